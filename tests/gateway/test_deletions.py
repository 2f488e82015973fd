from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from cut_off import HELLO, accepted, accepted_many, rows
from invoiced import agree, charged
from opened_gateway import MASTER, TEAM, opened_gateway, speech_client
from waiting import comes

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, running_emulator
from aai_gateway.gateway import rounds
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.deletions import Deletions, hand_over
from aai_gateway.gateway.settler import Settler
from aai_gateway.store import holds, ownership, teams, transcripts
from aai_gateway.store.transcripts import Transcript

US = Region.US
FAST = {"settle_after": 0.001, "settle_rate": 10_000, "settle_interval": 0.02}


@pytest.fixture
def emulator():
    """One of the test's own; jobs end at once."""
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        yield emulator


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened_gateway(emulator, tmp_path, **FAST) as gateway:
        yield gateway


@asynccontextmanager
async def running(gateway: Gateway, *, settling: bool = False) -> AsyncIterator[None]:
    settler = Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger)
    deletions = Deletions(gateway.settings, gateway.store, gateway.upstream, settler.pace)
    tasks = [asyncio.create_task(deletions.run())]
    tasks += [asyncio.create_task(settler.run())] if settling else []
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def owned(gateway: Gateway, *ids: str) -> None:
    """Settled transcripts of the team."""
    async with gateway.store.write() as connection:
        for one in ids:
            row = Transcript(one, US, f"team:{TEAM}", HELLO, team_id=TEAM, settled_at=utc_now())
            await transcripts.record(connection, row)


async def end_team(gateway: Gateway, heir: str = "deleted") -> None:
    async with gateway.store.write() as connection:
        assert await teams.delete(connection, TEAM, heir)


async def submit(gateway: Gateway) -> str:
    async with speech_client(gateway) as client:
        answer = await client.post("/assemblyai/v2/transcript", json={"audio_url": HELLO})
        return str(answer.raise_for_status().json()["id"])


async def row_of(gateway: Gateway, transcript_id: str) -> Transcript:
    async with gateway.store.read() as connection:
        row = await transcripts.get(connection, US, transcript_id)
    assert row is not None
    return row


async def upstream(emulator: Emulator, *ids: str) -> list[str]:
    """The texts that AssemblyAI has."""
    headers = {"Authorization": emulator.config.account_key}
    async with httpx.AsyncClient(base_url=emulator.urls.us, headers=headers) as client:
        answers = [await client.get(f"/v2/transcript/{one}") for one in ids]
    return [str(answer.raise_for_status().json()["text"]) for answer in answers]


def deleted(gateway: Gateway, *ids: str):
    async def look() -> bool:
        found = [await row_of(gateway, one) for one in ids]
        return all(row.deleted_at is not None and row.deleting_since is None for row in found)

    return look


def asked_to_delete(emulator: Emulator) -> list[str]:
    return [one.path.rpartition("/")[2] for one in emulator.requests if one.method == "DELETE"]


async def test_what_was_ordered_is_deleted_at_assemblyai(gateway: Gateway, emulator: Emulator):
    made = accepted_many(emulator, 70)
    await owned(gateway, *made)
    await end_team(gateway)
    async with running(gateway):
        await comes(deleted(gateway, *made))
    assert sorted(made) == sorted(asked_to_delete(emulator))
    assert {"Deleted by user."} == set(await upstream(emulator, *made))
    row = await row_of(gateway, made[0])
    assert ("deleted", TEAM, "http://deleted_by_user") == (row.owner, row.team_id, row.audio_url)


async def test_what_is_kept_or_moved_stays_at_assemblyai(gateway: Gateway, emulator: Emulator):
    made = accepted(emulator)
    await owned(gateway, made)
    async with gateway.store.write() as connection:
        await teams.create(connection, Team("heir", "heir"))
    await end_team(gateway, "team:heir")

    async def moved() -> bool:
        return (await row_of(gateway, made)).owner == "team:heir"

    async with running(gateway):
        await comes(moved)
    assert [] == asked_to_delete(emulator)


async def test_a_job_is_charged_to_its_team_before_it_is_deleted(gateway: Gateway, emulator: Emulator):
    made = await submit(gateway)
    await end_team(gateway)
    async with running(gateway):
        await hand_over(gateway.store, US)
        async with gateway.store.write() as connection:
            later = utc_now() + timedelta(days=1)
            assert [] == await transcripts.claim_deletions(connection, US, later, later, 10)
    async with running(gateway, settling=True):
        await comes(deleted(gateway, made))
    agree(await rows(gateway), charged(emulator, [made]))
    [booked] = await rows(gateway)
    assert (f"team:{TEAM}", TEAM) == (booked.owner, booked.team_id)
    assert ["Deleted by user."] == await upstream(emulator, made)


async def test_what_assemblyai_does_not_know_counts_as_deleted(gateway: Gateway):
    await owned(gateway, "gone")
    await end_team(gateway)
    async with running(gateway):
        await comes(deleted(gateway, "gone"))


# A DELETE whose connection breaks is repeated at once by the HTTP client.
TROUBLES = [Fault(status=429), Fault(status=500), Fault(status=401), Fault(cut=True, count=2)]


@pytest.mark.parametrize("fault", TROUBLES)
async def test_after_trouble_it_pauses_and_deletes_later(
    gateway: Gateway, emulator: Emulator, fault: Fault, monkeypatch: pytest.MonkeyPatch
):
    now = 0.0
    monkeypatch.setattr(rounds, "_clock", lambda: now)
    made = accepted(emulator)
    await owned(gateway, made)
    await end_team(gateway)
    await hand_over(gateway.store, US)
    emulator.faults.add(fault)
    deletions = Deletions(
        gateway.settings,
        gateway.store,
        gateway.upstream,
        Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger).pace,
    )
    assert 1 == await deletions.take_due(US)
    assert 0 == await deletions.take_due(US)
    row = await row_of(gateway, made)
    assert row.next_check_at is not None and row.next_check_at > utc_now()
    assert (1, None) == (row.attempts, row.deleted_at)
    async with gateway.store.write() as connection:
        await transcripts.postpone(connection, US, made, utc_now(), 1)
    now = 60.0
    assert 1 == await deletions.take_due(US)
    assert await deleted(gateway, made)()


async def test_nobody_but_the_master_key_sees_what_is_being_deleted(gateway: Gateway, emulator: Emulator):
    made = accepted(emulator)
    await owned(gateway, made)
    async with gateway.store.write() as connection:
        await teams.create(connection, Team("other", "other"))
    async with speech_client(gateway) as client:
        assert 200 == (await client.get(f"/assemblyai/v2/transcript/{made}")).status_code
        await end_team(gateway)
        await hand_over(gateway.store, US)
        assert 401 == (await client.get(f"/assemblyai/v2/transcript/{made}")).status_code
    async with speech_client(gateway, MASTER) as master:
        assert 200 == (await master.get(f"/assemblyai/v2/transcript/{made}")).status_code


async def test_a_moved_job_that_still_runs_is_charged_to_who_submitted_it(
    gateway: Gateway, emulator: Emulator
):
    made = [await submit(gateway) for _ in range(2)]
    async with gateway.store.write() as connection:
        heir = await teams.create(connection, Team("heir", "heir"))
        for one in made:
            assert "moved" == await ownership.move(connection, one, heir)
        # The second one's hold has expired: its submission still says whose it was.
        gone = (await transcripts.get(connection, US, made[1])).intent_id
        assert await holds.release(connection, gone, utc_now()) is not None
    for one in made:
        assert await gateway.ledger.settle_now(await row_of(gateway, one))
    agree(await rows(gateway), charged(emulator, made))
    assert {(f"team:{TEAM}", TEAM)} == {(row.owner, row.team_id) for row in await rows(gateway)}
    assert {"team:heir"} == {(await row_of(gateway, one)).owner for one in made}

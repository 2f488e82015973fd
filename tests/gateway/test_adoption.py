from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest
from cut_off import HELLO, accepted, accepted_many, intent, note, rows, set_back
from opened_gateway import TEAM, opened_gateway, speech_client

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, running_emulator
from aai_gateway.gateway import asking
from aai_gateway.gateway.adoption import Adopted, Adopter
from aai_gateway.gateway.asking import Pace, PatientJobs
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.reconcile import Reconciler
from aai_gateway.gateway.settler import Settler
from aai_gateway.store import transcripts
from aai_gateway.store.transcripts import Transcript

US = Region.US
THEN = datetime(2025, 3, 1, tzinfo=timezone.utc)


@pytest.fixture
def emulator():
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        yield emulator


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened_gateway(emulator, tmp_path, settle_rate=10_000, settle_after=0.001) as gateway:
        yield gateway


async def adopt(gateway: Gateway, *ids: str, team: str = TEAM) -> list[Adopted]:
    jobs = PatientJobs(gateway.upstream, Pace(gateway.settings.settle_rate))
    adopter = Adopter(gateway.settings, gateway.store, jobs, Team(team, team), US)
    return await adopter.run(ids)


def outcomes(found: list[Adopted]) -> list[str]:
    return [one.outcome for one in found]


async def row_of(gateway: Gateway, transcript_id: str) -> Transcript:
    async with gateway.store.read() as connection:
        row = await transcripts.get(connection, US, transcript_id)
    assert row is not None
    return row


def asked(emulator: Emulator) -> int:
    return sum(one.method == "GET" for one in emulator.requests)


@pytest.mark.parametrize("count", [1, 2, 30])
async def test_what_was_made_before_is_the_teams_with_its_time(
    gateway: Gateway, emulator: Emulator, count: int
):
    made = accepted_many(emulator, count + 1)
    set_back(emulator, THEN)
    found = await adopt(gateway, *made[:count])
    assert ["adopted"] * count == outcomes(found)
    assert [THEN + timedelta(milliseconds=n) for n in range(count)] == [one.created_at for one in found]
    assert all(one.is_dated for one in found)
    row = await row_of(gateway, made[0])
    assert (f"team:{TEAM}", TEAM, None, "completed", HELLO) == (
        *(row.owner, row.team_id, row.key_hash),
        *(row.status, row.audio_url),
    )
    assert None not in (row.adopted_at, row.settled_at, row.completed_at)
    async with speech_client(gateway) as client:
        listed = (await client.get("/assemblyai/v2/transcript")).json()["transcripts"]
        assert made[:count][::-1][:10] == [one["id"] for one in listed]
        assert 200 == (await client.get(f"/assemblyai/v2/transcript/{made[0]}")).status_code
        assert 400 == (await client.get(f"/assemblyai/v2/transcript/{made[count]}")).status_code
    # A page for many, or three questions for each of a few.
    before = asked(emulator)
    assert ["already"] * count == outcomes(await adopt(gateway, *made[:count]))
    assert before == asked(emulator)


async def test_many_cost_pages_and_not_questions_each(gateway: Gateway, emulator: Emulator):
    made = accepted_many(emulator, 30)
    await adopt(gateway, *made)
    assert 1 == asked(emulator)


async def test_the_newest_has_its_time_too(gateway: Gateway, emulator: Emulator):
    made = accepted_many(emulator, 2)
    set_back(emulator, THEN)
    [found] = await adopt(gateway, made[1])
    assert (THEN + timedelta(milliseconds=1), True) == (found.created_at, found.is_dated)


async def test_it_is_never_charged(gateway: Gateway, emulator: Emulator):
    made = accepted(emulator, speaker_labels=True)
    await adopt(gateway, made)
    async with speech_client(gateway) as client:
        answer = await client.get(f"/assemblyai/v2/transcript/{made}")
        assert "x-aai-gateway-cost-usd" not in answer.headers
    settler = Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger)
    assert 0 == await settler.settle_due(US)
    jobs = PatientJobs(gateway.upstream, Pace(10_000))
    for fix in (False, True):
        reconciler = Reconciler(gateway.settings, gateway.store, jobs, gateway.ledger, gateway.prices)
        now = utc_now()
        report = await reconciler.run(US, now - timedelta(days=1), now + timedelta(days=1), fix=fix)
        assert ([], [], 1) == (report.findings, report.fixed, report.not_charged)
    assert [] == await rows(gateway)


async def test_one_that_still_runs_is_followed_and_not_charged(tmp_path: Path):
    with running_emulator(EmulatorConfig(job_seconds=60)) as slow:
        async with opened_gateway(slow, tmp_path, settle_rate=10_000, settle_after=0.001) as gateway:
            made = accepted(slow)
            assert ["adopted"] == outcomes(await adopt(gateway, made))
            row = await row_of(gateway, made)
            assert ("queued", None) == (row.status, row.settled_at)
            row = await row_of(gateway, made)
            await gateway.ledger.settle(row, {"id": made, "status": "completed", "audio_duration": 9})
            row = await row_of(gateway, made)
            assert ("completed", None) == (row.status, row.next_check_at)
            assert row.settled_at is not None
            assert [] == await rows(gateway)


async def test_a_failed_and_a_deleted_one_are_adopted_as_they_are(gateway: Gateway, emulator: Emulator):
    bad, gone = accepted(emulator, "https://example.org/not-audio.html"), accepted(emulator)
    headers = {"Authorization": emulator.config.account_key}
    async with httpx.AsyncClient(base_url=emulator.urls.us, headers=headers) as client:
        (await client.delete(f"/v2/transcript/{gone}")).raise_for_status()
    assert ["adopted", "adopted"] == outcomes(await adopt(gateway, bad, gone))
    row = await row_of(gateway, gone)
    assert row.deleted_at is not None and "http://deleted_by_user" == row.audio_url


async def test_what_is_wrong_with_one_does_not_stop_the_others(gateway: Gateway, emulator: Emulator):
    made = accepted_many(emulator, 2)
    async with gateway.store.write() as connection:
        await transcripts.record(connection, Transcript("theirs", US, "team:other", HELLO))
        await transcripts.record(connection, Transcript("masters", US, "master", HELLO))
        await transcripts.record(connection, Transcript("going", US, "deleted", HELLO))
    found = await adopt(gateway, made[0], "no-such", "../x", "theirs", "masters", "going", made[1], made[0])
    assert ["adopted", *["failed"] * 5, "adopted"] == outcomes(found)
    why = [one.why or "" for one in found]
    assert "no such transcript in the US region" in why[1]
    assert "no transcript id" in why[2]
    assert "belongs to a team that was deleted" in why[3] and "transcripts move" in why[3]
    assert "belongs to the master key" in why[4]
    assert "being deleted" in why[5]
    assert not any("/x" in one.path for one in emulator.requests)


async def test_a_job_of_a_submission_under_way_is_not_given_away(gateway: Gateway, emulator: Emulator):
    made = accepted(emulator)
    await note(gateway, intent(owner="team:other"))
    [found] = await adopt(gateway, made)
    assert "failed" == found.outcome
    assert "still under way" in str(found.why)


async def test_trouble_is_waited_out(gateway: Gateway, emulator: Emulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asking.random, "random", lambda: 0.0)
    made = accepted(emulator)
    emulator.faults.add(Fault(method="GET", status=429, retry_after=0))
    assert ["adopted"] == outcomes(await adopt(gateway, made))


@pytest.mark.parametrize("count", [2, 6])
async def test_when_assemblyai_stays_away_the_rest_fails_and_what_is_done_stays(
    gateway: Gateway, emulator: Emulator, count: int
):
    made = accepted_many(emulator, count)
    await adopt(gateway, made[0])
    emulator.faults.add(Fault(method="GET", status=401, count=None))
    found = await adopt(gateway, *made)
    assert ["already", *["failed"] * (count - 1)] == outcomes(found)
    assert "Not looked up: AssemblyAI answered 401." == found[-1].why


async def test_a_job_without_a_place_in_the_list_is_dated_now(
    gateway: Gateway, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    async def nowhere(*_: object) -> None:
        return None

    monkeypatch.setattr(PatientJobs, "listed", nowhere)
    made = accepted(emulator)
    set_back(emulator, THEN)
    begun = utc_now()
    [found] = await adopt(gateway, made)
    assert ("adopted", False) == (found.outcome, found.is_dated)
    assert found.created_at is not None and begun <= found.created_at
    assert "completed" == (await row_of(gateway, made)).status

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from invoiced import agree, charged
from opened_gateway import KEY, TEAM, opened_gateway, speech_client
from waiting import until

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, running_emulator
from aai_gateway.gateway import settler as module
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.settler import Settler
from aai_gateway.store import intents, transcripts, usage
from aai_gateway.store.intents import Intent
from aai_gateway.store.transcripts import Transcript

HELLO = "https://example.org/audio.wav"
INTERVIEW = "https://assembly.ai/wildfires.mp3"
LONG_AGO = timedelta(minutes=3)


@pytest.fixture
def emulator():
    """One of the test's own, so that its list and its invoice hold nothing else; jobs end at once."""
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        yield emulator


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened_gateway(emulator, tmp_path, settle_after=0.001) as gateway:
        yield gateway


@pytest.fixture
def settler(gateway: Gateway) -> Settler:
    return Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger)


def accepted(emulator: Emulator, audio_url: str, **options: object) -> str:
    """A job that AssemblyAI took while its answer was lost."""
    headers = {"Authorization": emulator.config.account_key}
    url = f"{emulator.urls.us}/v2/transcript"
    answer = httpx.post(url, headers=headers, json={"audio_url": audio_url, **options})
    return str(answer.raise_for_status().json()["id"])


def intent(
    audio_url: str, owner: str = f"team:{TEAM}", age: timedelta = LONG_AGO, **requested: object
) -> Intent:
    return Intent(
        region=Region.US,
        owner=owner,
        team_id=TEAM,
        audio_url=audio_url,
        requested=requested,
        created_at=utc_now() - age,
    )


async def note(gateway: Gateway, *noted: Intent) -> None:
    async with gateway.store.write() as connection:
        for one in noted:
            await intents.open(connection, one)


async def rows(gateway: Gateway) -> list[usage.UsageRow]:
    async with gateway.store.read() as connection:
        return await usage.list_rows(connection)


async def owners(gateway: Gateway, *ids: str) -> list[str | None]:
    async with gateway.store.read() as connection:
        return [await transcripts.owner_of(connection, Region.US, one) for one in ids]


async def still_open(gateway: Gateway) -> list[str]:
    async with gateway.store.read() as connection:
        return [i.id for i in await intents.unresolved(connection, Region.US, utc_now())]


async def submit(gateway: Gateway, **body: object) -> str:
    async with speech_client(gateway) as client:
        answer = await client.post("/assemblyai/v2/transcript", json={"audio_url": HELLO, **body})
        return str(answer.raise_for_status().json()["id"])


async def due_later(gateway: Gateway, transcript_id: str) -> Transcript:
    async with gateway.store.read() as connection:
        row = await transcripts.get(connection, Region.US, transcript_id)
    assert row is not None and row.next_check_at is not None
    assert utc_now() < row.next_check_at
    return row


async def test_what_is_due_is_settled_once(gateway: Gateway, settler: Settler, emulator: Emulator):
    made = [await submit(gateway, speaker_labels=True), await submit(gateway)]
    assert 2 == await settler.settle_due()
    assert 0 == await settler.settle_due()
    agree(await rows(gateway), charged(emulator, made))


@pytest.mark.parametrize(
    "fault",
    [Fault(status=429, retry_after=1), Fault(status=500), Fault(cut=True, count=None), Fault(status=401)],
)
async def test_a_job_that_cannot_be_asked_for_is_asked_for_again_later(
    gateway: Gateway, settler: Settler, emulator: Emulator, fault: Fault
):
    made = await submit(gateway)
    emulator.faults.add(fault)
    assert 1 == await settler.settle_due()
    assert 1 == (await due_later(gateway, made)).attempts
    assert [] == await rows(gateway)


async def test_a_job_that_still_runs_is_asked_for_again_later(tmp_path: Path):
    with running_emulator(EmulatorConfig(job_seconds=60)) as slow:
        async with opened_gateway(slow, tmp_path, settle_after=0.001) as gateway:
            settler = Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger)
            made = await submit(gateway)
            assert 1 == await settler.settle_due()
            assert "queued" == (await due_later(gateway, made)).status


async def test_a_job_that_was_deleted_at_assemblyai_is_closed(gateway: Gateway, settler: Settler):
    gone = Transcript(
        id="gone", region=Region.US, owner=f"team:{TEAM}", audio_url=HELLO, next_check_at=utc_now()
    )
    async with gateway.store.write() as connection:
        await transcripts.record(connection, gone)
    assert 1 == await settler.settle_due()
    [row] = await rows(gateway)
    assert ("gone", "error", 0) == (row.source_id, row.status, row.micros)


async def test_a_lost_submission_is_found_by_its_audio(
    gateway: Gateway, settler: Settler, emulator: Emulator
):
    noise = [accepted(emulator, INTERVIEW) for _ in range(3)]
    made = accepted(emulator, HELLO, speaker_labels=True)
    await note(gateway, intent(HELLO, speaker_labels=True))
    assert 1 == await settler.recover_intents(Region.US)
    assert [f"team:{TEAM}", None, None, None] == await owners(gateway, made, *noise)
    assert [] == await still_open(gateway)
    await settler.settle_due()
    agree(await rows(gateway), charged(emulator, [made]))
    async with speech_client(gateway, KEY) as client:
        assert 200 == (await client.get(f"/assemblyai/v2/transcript/{made}")).status_code


async def test_it_is_found_many_pages_down(gateway: Gateway, settler: Settler, emulator: Emulator):
    made = accepted(emulator, HELLO)
    async with httpx.AsyncClient(headers={"Authorization": emulator.config.account_key}) as client:
        for _ in range(450):
            answer = await client.post(f"{emulator.urls.us}/v2/transcript", json={"audio_url": INTERVIEW})
            answer.raise_for_status()
    await note(gateway, intent(HELLO))
    assert 1 == await settler.recover_intents(Region.US)
    assert [f"team:{TEAM}"] == await owners(gateway, made)


async def test_two_lost_submissions_get_a_job_each(gateway: Gateway, settler: Settler, emulator: Emulator):
    made = [accepted(emulator, HELLO), accepted(emulator, HELLO)]
    older, newer = intent(HELLO, "team:older", LONG_AGO * 1.1), intent(HELLO, "team:newer")
    await note(gateway, newer, older)
    assert 2 == await settler.recover_intents(Region.US)
    assert {"team:older", "team:newer"} == set(await owners(gateway, *made))


def test_the_job_nearest_in_time_comes_first():
    lost = intent(HELLO)
    seconds = {"long-before": -301, "before": -40, "after": 3, "later": 60, "long-after": 421}
    listed = [
        {"id": id, "audio_url": HELLO, "created": (lost.created_at + timedelta(seconds=s)).isoformat()}
        for id, s in seconds.items()
    ]
    other = {**listed[2], "id": "other", "audio_url": INTERVIEW}
    assert ["after", "before", "later"] == [i["id"] for i in module._candidates(lost, [*listed, other])]


async def test_a_job_that_has_an_owner_is_not_given_to_another(gateway: Gateway, settler: Settler):
    made = await submit(gateway)
    await note(gateway, intent(HELLO, "team:other"))
    assert 0 == await settler.recover_intents(Region.US)
    assert [f"team:{TEAM}"] == await owners(gateway, made)


async def test_a_job_may_belong_to_a_submission_that_is_still_under_way(
    gateway: Gateway, settler: Settler, emulator: Emulator
):
    made = accepted(emulator, HELLO)
    lost, under_way = intent(HELLO, "team:lost"), intent(HELLO, "team:under-way", timedelta(seconds=1))
    await note(gateway, lost, under_way)
    assert 0 == await settler.recover_intents(Region.US)
    assert [None] == await owners(gateway, made)
    assert [lost.id, under_way.id] == await still_open(gateway)


async def test_a_submission_that_is_never_found_is_given_up_after_hours(gateway: Gateway, settler: Settler):
    await note(gateway, intent(HELLO, age=module.INTENT_GIVE_UP * 1.01), recent := intent(HELLO))
    assert 0 == await settler.recover_intents(Region.US)
    assert [recent.id] == await still_open(gateway)


async def test_a_search_in_vain_is_not_repeated_at_once(
    gateway: Gateway, settler: Settler, emulator: Emulator
):
    await note(gateway, intent(HELLO))
    assert 0 == await settler.recover_intents(Region.US)
    asked = len(emulator.requests)
    assert 0 == await settler.recover_intents(Region.US)
    assert [] == emulator.requests[asked:]


async def test_a_list_that_cannot_be_read_loses_nothing(
    gateway: Gateway, settler: Settler, emulator: Emulator
):
    await note(gateway, lost := intent(HELLO))
    emulator.faults.add(Fault(method="GET", path="/v2/transcript", status=500))
    assert 0 == await settler.recover_intents(Region.US)
    assert [lost.id] == await still_open(gateway)


async def test_it_goes_on_after_whatever_happened(
    gateway: Gateway, settler: Settler, monkeypatch: pytest.MonkeyPatch
):
    rounds = 0

    async def odd(region: Region) -> int:
        nonlocal rounds
        rounds += 1
        raise KeyError("transcripts")

    monkeypatch.setattr(settler, "recover_intents", odd)
    monkeypatch.setattr(gateway.settings, "settle_interval", 0.01)
    running = asyncio.create_task(settler.run())
    await asyncio.to_thread(until, lambda: rounds > 2)
    running.cancel()

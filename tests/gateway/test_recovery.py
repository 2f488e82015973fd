from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cut_off import (
    HELLO,
    INTERVIEW,
    LONG_AGO,
    accepted,
    accepted_many,
    held,
    intent,
    note,
    owners,
    rows,
    set_back,
    still_open,
)
from invoiced import agree, charged
from opened_gateway import KEY, TEAM, opened_gateway, speech_client

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, running_emulator
from aai_gateway.errors import UpstreamFailed
from aai_gateway.gateway import recovery as module
from aai_gateway.gateway.asking import AccountJobs, Pace
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.recovery import INTENT_GIVE_UP, Recovery
from aai_gateway.gateway.settler import Settler
from aai_gateway.store import intents, teams, transcripts
from aai_gateway.store.intents import Intent
from aai_gateway.store.transcripts import Transcript

US = Region.US
LABELS = {"speaker_labels": True}


@pytest.fixture
def emulator():
    """One of the test's own, so that its list holds nothing else; jobs end at once."""
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        yield emulator


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened_gateway(emulator, tmp_path, settle_after=0.001) as gateway:
        yield gateway


@pytest.fixture
def recovery(gateway: Gateway) -> Recovery:
    return recovery_of(gateway)


def recovery_of(gateway: Gateway) -> Recovery:
    return Recovery(gateway.settings, gateway.store, AccountJobs(gateway.upstream, Pace(10_000)))


async def outcome(gateway: Gateway, *asked: Intent) -> list[str]:
    """What became of intents: open, unknown, or the job that they got."""
    async with gateway.store.read() as connection:
        found = {
            i.id: i for i in await intents.without_job(connection, US, utc_now() - timedelta(1), utc_now())
        }
    return [found[i.id].outcome if i.id in found else "closed" for i in asked]


def lists(emulator: Emulator) -> int:
    return len([r for r in emulator.requests if (r.method, r.path) == ("GET", "/v2/transcript")])


async def test_a_lost_submission_is_found_by_its_audio(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    noise = accepted_many(emulator, 3, INTERVIEW)
    made = accepted(emulator, **LABELS)
    await note(gateway, intent(**LABELS))
    assert 1 == await recovery.round(US)
    assert [f"team:{TEAM}", None, None, None] == await owners(gateway, made, *noise)
    assert [] == await still_open(gateway)
    await Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger).settle_due(US)
    agree(await rows(gateway), charged(emulator, [made]))
    async with speech_client(gateway, KEY) as client:
        assert 200 == (await client.get(f"/assemblyai/v2/transcript/{made}")).status_code


async def test_it_is_found_many_pages_down(gateway: Gateway, recovery: Recovery, emulator: Emulator):
    made = accepted(emulator)
    accepted_many(emulator, 450, INTERVIEW)
    await note(gateway, intent())
    assert 1 == await recovery.round(US)
    assert [f"team:{TEAM}"] == await owners(gateway, made)
    # Three pages, and one that says that there are no more.
    assert 4 == lists(emulator)


async def test_a_search_begins_at_a_job_of_ours_from_after_its_time(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    two_hours = timedelta(hours=2)
    made = accepted(emulator)
    newer = accepted_many(emulator, 450, INTERVIEW)
    set_back(emulator, utc_now() - two_hours, [made])
    async with gateway.store.write() as connection:
        for number, id in enumerate(("never-was", newer[10])):
            at = utc_now() - timedelta(hours=1) + timedelta(seconds=number)
            await transcripts.record(connection, Transcript(id, US, "master", INTERVIEW, created_at=at))
    await note(gateway, intent(age=two_hours))
    assert 1 == await recovery.round(US)
    assert [f"team:{TEAM}"] == await owners(gateway, made)
    # One that AssemblyAI does not know, the page below the other, and the end.
    assert 3 == lists(emulator)


async def test_two_lost_submissions_get_a_job_each(gateway: Gateway, recovery: Recovery, emulator: Emulator):
    first, second = accepted_many(emulator, 2)
    older, newer = intent(owner="team:older", age=LONG_AGO * 1.1), intent(owner="team:newer")
    await note(gateway, newer, older)
    assert 2 == await recovery.round(US)
    assert ["team:older", "team:newer"] == await owners(gateway, first, second)


async def test_options_tell_the_jobs_of_two_teams_apart(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    plain, labelled = accepted(emulator), accepted(emulator, **LABELS)
    await note(gateway, intent(owner="team:labels", age=LONG_AGO * 1.1, **LABELS), intent(owner="team:plain"))
    assert 2 == await recovery.round(US)
    assert ["team:plain", "team:labels"] == await owners(gateway, plain, labelled)


async def test_a_job_with_other_options_is_not_given(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    made = accepted(emulator, **LABELS)
    await note(gateway, intent())
    assert 0 == await recovery.round(US)
    assert [None] == await owners(gateway, made)


async def test_two_workers_give_each_job_once(gateway: Gateway, emulator: Emulator):
    made = accepted_many(emulator, 8)
    lost = [intent(owner=f"team:{n}", age=LONG_AGO + timedelta(seconds=8 - n)) for n in range(8)]
    await note(gateway, *lost)
    found = await asyncio.gather(*(recovery_of(gateway).round(US) for _ in range(4)))
    assert 8 == sum(found)
    assert [i.owner for i in lost] == await owners(gateway, *made)
    assert [] == await still_open(gateway)


async def test_a_job_that_has_an_owner_is_not_given_to_another(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    made = accepted(emulator)
    async with gateway.store.write() as connection:
        await transcripts.record(connection, Transcript(made, US, "team:first", HELLO))
    await note(gateway, intent(owner="team:other"))
    assert 0 == await recovery.round(US)
    assert ["team:first"] == await owners(gateway, made)


async def test_a_job_may_belong_to_a_submission_that_is_still_under_way(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    made = accepted(emulator)
    lost = intent(owner="team:lost", age=INTENT_GIVE_UP * 2)
    set_back(emulator, lost.created_at)
    under_way = intent(owner="team:under-way", age=timedelta(seconds=1))
    await note(gateway, lost, replace(under_way, created_at=utc_now()))
    # The job is older than the one that is under way: it is the lost one's.
    assert 1 == await recovery.round(US)
    assert ["team:lost"] == await owners(gateway, made)


async def test_a_job_that_one_under_way_may_have_made_waits_for_its_answer(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    made = accepted(emulator)
    lost, under_way = intent(owner="team:lost"), intent(owner="team:under-way", age=timedelta(seconds=1))
    await note(gateway, lost, under_way)
    assert 0 == await recovery.round(US)
    assert [None] == await owners(gateway, made)
    assert [lost.id, under_way.id] == await still_open(gateway)


async def test_what_a_late_search_does_not_find_is_given_up_and_its_hold_returned(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    async with gateway.store.write() as connection:
        await teams.create(connection, Team("t2", "research"))
    late, recent = intent(owner="team:t2", age=INTENT_GIVE_UP * 1.01), intent(owner="team:t2")
    await note(gateway, late, recent, micros=5)
    assert 0 == await recovery.round(US)
    assert ["unknown", "open"] == await outcome(gateway, late, recent)
    assert [recent.id] == await held(gateway)
    async with gateway.store.read() as connection:
        team = await teams.by_id(connection, "t2")
    assert team is not None and 5 == team.budget.held_micros


async def test_a_search_that_failed_gives_nothing_up(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    await note(gateway, late := intent(age=INTENT_GIVE_UP * 2))
    emulator.faults.add(Fault(method="GET", path="/v2/transcript", status=500))
    with pytest.raises(UpstreamFailed):
        await recovery.round(US)
    assert [late.id] == await still_open(gateway)
    await recovery.round(US)
    assert ["unknown"] == await outcome(gateway, late)


async def test_a_submission_that_may_last_longer_is_given_up_later(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path, recover_after=600) as gateway:
        await note(
            gateway, late := intent(age=timedelta(minutes=29)), over := intent(age=timedelta(minutes=31))
        )
        await recovery_of(gateway).round(US)
        assert ["open", "unknown"] == await outcome(gateway, late, over)


async def test_a_search_in_vain_is_not_repeated_at_once(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    await note(gateway, intent())
    assert 0 == await recovery.round(US)
    asked = len(emulator.requests)
    assert 0 == await recovery.round(US)
    assert [] == emulator.requests[asked:]


async def test_many_have_their_turn_in_bounded_parts(
    gateway: Gateway, recovery: Recovery, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "AT_ONCE", 10)
    made = accepted_many(emulator, 25)
    await note(gateway, *(intent(age=LONG_AGO + timedelta(seconds=25 - n)) for n in range(25)))
    assert [10, 10, 5, 0] == [await recovery.round(US) for _ in range(4)]
    assert {f"team:{TEAM}"} == set(await owners(gateway, *made))


async def test_others_submissions_of_the_same_audio_do_not_make_a_search_long(
    gateway: Gateway, recovery: Recovery, emulator: Emulator
):
    accepted_many(emulator, 50)
    await note(gateway, intent())
    await recovery.round(US)
    looked_at = {r.path for r in emulator.requests if r.method == "GET" and r.path != "/v2/transcript"}
    assert module.MORE_CANDIDATES + 2 == len(looked_at)

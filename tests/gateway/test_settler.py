from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cut_off import HELLO, accepted, accepted_many, held, intent, note, owners, rows
from invoiced import agree, charged
from opened_gateway import TEAM, opened_gateway, speech_client
from waiting import comes

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, running_emulator
from aai_gateway.errors import StoreError
from aai_gateway.gateway import ledger
from aai_gateway.gateway import rounds as module
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.rounds import BATCH
from aai_gateway.gateway.settler import Settler
from aai_gateway.store import holds, transcripts, usage
from aai_gateway.store.holds import Hold
from aai_gateway.store.transcripts import Transcript

PARALLEL = Settler.parallel
US, EU = Region.US, Region.EU
FAST = {"settle_after": 0.001, "settle_rate": 10_000, "settle_interval": 0.02}


@pytest.fixture
def emulator():
    """One of the test's own, so that its list and its invoice hold nothing else; jobs end at once."""
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        yield emulator


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened_gateway(emulator, tmp_path, **FAST) as gateway:
        yield gateway


@pytest.fixture
def settler(gateway: Gateway) -> Settler:
    return settler_of(gateway)


def settler_of(gateway: Gateway) -> Settler:
    return Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger)


async def submit(gateway: Gateway, route: str = "assemblyai", **body: object) -> str:
    async with speech_client(gateway) as client:
        answer = await client.post(f"/{route}/v2/transcript", json={"audio_url": HELLO, **body})
        return str(answer.raise_for_status().json()["id"])


async def due(gateway: Gateway, *ids: str, region: Region = US, attempts: int = 0) -> None:
    """Jobs of the team that have their turn now, after so many looks at them."""
    async with gateway.store.write() as connection:
        for one in ids:
            row = Transcript(one, region, f"team:{TEAM}", HELLO, team_id=TEAM, next_check_at=utc_now())
            await transcripts.record(connection, replace(row, attempts=attempts))


async def row_of(gateway: Gateway, transcript_id: str, region: Region = US) -> Transcript:
    async with gateway.store.read() as connection:
        row = await transcripts.get(connection, region, transcript_id)
    assert row is not None
    return row


def asked(emulator: Emulator, host: str = "us") -> int:
    """How often a region was asked for a job."""
    looks = [one for one in emulator.requests if one.host == host and one.method == "GET"]
    return len(looks)


@asynccontextmanager
async def running(settler: Settler) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(settler.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def booked(gateway: Gateway, count: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return len(await rows(gateway)) >= count

    return look


async def test_what_is_due_is_settled_once(gateway: Gateway, settler: Settler, emulator: Emulator):
    made = [await submit(gateway, speaker_labels=True), await submit(gateway)]
    assert 2 == await settler.settle_due(US)
    assert 0 == await settler.settle_due(US)
    agree(await rows(gateway), charged(emulator, made))


async def test_each_region_settles_its_own(gateway: Gateway, settler: Settler, emulator: Emulator):
    made = [await submit(gateway, "eu.assemblyai"), await submit(gateway)]
    assert [1, 1] == [await settler.settle_due(EU), await settler.settle_due(US)]
    agree(await rows(gateway), charged(emulator, made))


TROUBLES = [Fault(status=429), Fault(status=500), Fault(cut=True, count=None), Fault(status=401)]


@pytest.fixture
def clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause of a region ends, however slow the machine is."""
    monkeypatch.setattr(module, "_clock", lambda: 0.0)


@pytest.mark.usefixtures("clock_stands")
@pytest.mark.parametrize("fault", TROUBLES)
async def test_after_trouble_the_region_pauses_and_the_job_comes_later(
    gateway: Gateway, settler: Settler, emulator: Emulator, fault: Fault
):
    made = await submit(gateway)
    emulator.faults.add(fault)
    assert 1 == await settler.settle_due(US)
    row = await row_of(gateway, made)
    assert row.next_check_at is not None and utc_now() < row.next_check_at
    assert (1, []) == (row.attempts, await rows(gateway))
    await due(gateway, "another")
    before = asked(emulator)
    assert 0 == await settler.settle_due(US)
    assert before == asked(emulator)


@pytest.mark.usefixtures("clock_stands")
async def test_trouble_costs_a_few_requests_however_many_jobs_are_due(
    gateway: Gateway, settler: Settler, emulator: Emulator
):
    await due(gateway, *accepted_many(emulator, BATCH + 20))
    emulator.faults.add(Fault(host="us", method="GET", status=500, count=None))
    assert BATCH == await settler.settle_due(US)
    assert 1 <= asked(emulator) <= PARALLEL
    async with gateway.store.write() as connection:
        left = await transcripts.claim_due(connection, US, utc_now(), utc_now(), 1000)
    # Only those that were asked for wait; what was claimed besides is due at once.
    assert BATCH + 20 - asked(emulator) == len(left)
    assert {0} == {row.attempts for row in left}


async def test_after_a_pause_one_job_is_tried_and_then_all_go_on(
    gateway: Gateway, settler: Settler, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    now = 0.0
    monkeypatch.setattr(module, "_clock", lambda: now)
    made = accepted_many(emulator, BATCH)
    await due(gateway, made[0])
    emulator.faults.add(Fault(host="us", method="GET", status=503, retry_after=20))
    await settler.settle_due(US)
    await due(gateway, *made[1:])
    now = 19.9
    assert (0, 1) == (await settler.settle_due(US), asked(emulator))
    now = 20.0
    emulator.faults.add(Fault(host="us", method="GET", status=500))
    assert (1, 2) == (await settler.settle_due(US), asked(emulator))
    assert 0 == await settler.settle_due(US)
    now = 30.0
    assert (1, 3) == (await settler.settle_due(US), asked(emulator))
    assert BATCH - 3 == await settler.settle_due(US)
    assert set(made[2:]) == {row.source_id for row in await rows(gateway)}


async def test_a_job_that_always_fails_does_not_hold_up_the_others(
    gateway: Gateway, settler: Settler, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    now = 0.0
    monkeypatch.setattr(module, "_clock", lambda: now)
    bad, *good = (accepted(emulator) for _ in range(4))
    await due(gateway, bad)
    await due(gateway, *good)
    emulator.faults.add(Fault(path=f"*/{bad}", status=500, count=None))
    for _ in range(4):
        now += 60
        await settler.settle_due(US)
    assert set(good) == {row.source_id for row in await rows(gateway)}


@pytest.mark.usefixtures("clock_stands")
async def test_trouble_in_one_region_does_not_delay_the_other(
    gateway: Gateway, settler: Settler, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "FIRST_PATIENCE", 0.2)
    emulator.faults.add(Fault(host="us", method="GET", delay_seconds=1, count=None))
    await due(gateway, *accepted_many(emulator, BATCH))
    europe = accepted_many(emulator, BATCH * 2, region="eu")
    # Patience doubles with each look: a slow machine is no trouble in the EU.
    await due(gateway, *europe, region=EU, attempts=9)
    async with running(settler):
        await comes(booked(gateway, len(europe)))
    agree(await rows(gateway), charged(emulator, europe))
    emulator.faults.clear()
    assert 0 == await settler.settle_due(US)


async def test_all_is_settled_once_the_trouble_is_over(
    gateway: Gateway, settler: Settler, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "FIRST_WAIT", timedelta(seconds=0.05))
    monkeypatch.setattr(module.random, "random", lambda: 0.0)
    made = accepted_many(emulator, 2 * BATCH + 20)
    await due(gateway, *made)
    for fault in (
        Fault(host="us", method="GET", status=500, count=2),
        Fault(host="us", method="GET", cut=True, count=1),
        Fault(host="us", method="GET", status=429, retry_after=1, count=1),
    ):
        emulator.faults.add(fault)
    async with running(settler):
        await comes(booked(gateway, len(made)))
    agree(await rows(gateway), charged(emulator, made))
    # Each job once, and once more for each trouble.
    assert len(made) + 4 == asked(emulator)


async def test_a_job_that_still_runs_is_asked_for_again_later(tmp_path: Path):
    with running_emulator(EmulatorConfig(job_seconds=60)) as slow:
        async with opened_gateway(slow, tmp_path, **FAST) as gateway:
            settler = settler_of(gateway)
            made = await submit(gateway)
            assert 1 == await settler.settle_due(US)
            row = await row_of(gateway, made)
            assert ("queued", 1) == (row.status, row.attempts)
            assert 0 == await settler.settle_due(US)


async def test_a_job_that_assemblyai_does_not_know_is_booked_as_unknown_after_many_looks(
    gateway: Gateway, settler: Settler, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "FIRST_WAIT", timedelta(0))
    await due(gateway, "gone")
    for _ in range(ledger.LOOKS_FOR_VANISHED):
        assert 1 == await settler.settle_due(US)
        assert [] == await rows(gateway)
    assert 1 == await settler.settle_due(US)
    [row] = await rows(gateway)
    assert ("gone", "unknown", 0) == (row.source_id, row.status, row.micros)
    assert 0 == await settler.settle_due(US)


async def test_a_region_without_a_key_keeps_its_jobs(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path, assemblyai_api_key=None, **FAST) as gateway:
        settler = settler_of(gateway)
        await due(gateway, "a", "b")
        assert 2 == await settler.settle_due(US)
        assert 0 == await settler.settle_due(US)
        assert ([], 0) == (await rows(gateway), asked(emulator))


async def test_a_store_that_fails_ends_the_round_and_loses_nothing(
    gateway: Gateway, settler: Settler, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    made = accepted_many(emulator, 30)
    await due(gateway, *made)

    async def full(*_: object) -> bool:
        raise StoreError("The store cannot be written: database or disk is full")

    with monkeypatch.context() as failing:
        failing.setattr(usage, "record", full)
        with pytest.raises(StoreError):
            await settler.settle_due(US)
    assert [] == await rows(gateway)
    assert 30 - PARALLEL == await settler.settle_due(US)
    async with gateway.store.write() as connection:
        in_a_lease = utc_now() + module.LEASE
        assert PARALLEL == len(await transcripts.claim_due(connection, US, in_a_lease, utc_now(), 100))
    assert PARALLEL == await settler.settle_due(US)
    agree(await rows(gateway), charged(emulator, made))


async def test_who_is_cancelled_between_jobs_gives_back_what_it_had_claimed(
    gateway: Gateway, settler: Settler, emulator: Emulator, caplog: pytest.LogCaptureFixture
):
    made = accepted_many(emulator, 40)
    await due(gateway, *made)
    emulator.faults.add(Fault(host="us", method="GET", delay_seconds=1, count=None))

    async def claimed() -> bool:
        return (await row_of(gateway, made[-1])).next_check_at > utc_now()

    async with running(settler) as task:
        await comes(claimed)
    assert task.cancelled()
    emulator.faults.clear()
    del task
    gc.collect()
    assert [] == [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert 40 == await settler.settle_due(US)
    agree(await rows(gateway), charged(emulator, made))


async def test_a_booking_under_way_is_finished_before_the_settler_ends(
    gateway: Gateway, settler: Settler, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    made = accepted(emulator)
    await due(gateway, made)
    begun, go_on = asyncio.Event(), asyncio.Event()
    record = usage.record

    async def slow(*values: object) -> bool:
        begun.set()
        await go_on.wait()
        return await record(*values)

    monkeypatch.setattr(usage, "record", slow)
    async with running(settler) as task:
        await begun.wait()
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        go_on.set()
    assert task.cancelled()
    assert [made] == [row.source_id for row in await rows(gateway)]


async def test_expired_holds_end(gateway: Gateway, settler: Settler):
    late = Hold("call-1", "chat", US, f"team:{TEAM}", 5, utc_now(), team_id=TEAM)
    async with gateway.store.write() as connection:
        await holds.place(connection, late)
    async with running(settler):
        await comes(booked(gateway, 1))
    assert [] == await held(gateway)
    assert [("call-1", "unknown")] == [(row.source_id, row.status) for row in await rows(gateway)]


async def test_cut_off_jobs_are_looked_for(gateway: Gateway, settler: Settler, emulator: Emulator):
    made = accepted(emulator)
    await note(gateway, intent())
    async with running(settler):
        await comes(booked(gateway, 1))
    assert [f"team:{TEAM}"] == await owners(gateway, made)


@pytest.mark.usefixtures("clock_stands")
async def test_a_search_that_fails_pauses_the_region(gateway: Gateway, settler: Settler, emulator: Emulator):
    emulator.faults.add(Fault(method="GET", path="/v2/transcript", status=500))
    made = accepted(emulator)
    await due(gateway, made)
    await note(gateway, intent())
    assert [0, 0] == [await settler.recover(US), await settler.settle_due(US)]
    assert 1 == asked(emulator)


async def test_it_goes_on_after_whatever_happened(
    gateway: Gateway, settler: Settler, monkeypatch: pytest.MonkeyPatch
):
    rounds: list[datetime] = []

    async def odd(region: Region) -> int:
        rounds.append(utc_now())
        raise KeyError("transcripts")

    monkeypatch.setattr(settler, "recover", odd)

    async def many() -> bool:
        return len(rounds) > 4

    async with running(settler):
        await comes(many)

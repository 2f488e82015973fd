from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from aai_gateway.core.reconciling import Booked
from aai_gateway.core.regions import Region
from aai_gateway.store import Store, reconciling, transcripts, usage, usage_lines
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageFilter, UsageRow

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
US, EU = Region.US, Region.EU
JOB = Transcript("j1", US, "team:t1", "https://example.com/a.mp3", {"prompt": True}, "t1", created_at=NOON)
LINE = {"name": "universal-2", "quantity": 10, "unit_price": "0.15", "micros": 417}
ROW = UsageRow("speech", "j1", US, "team:t1", 417, [LINE], "t1", audio_seconds=10, channels=2)


async def fill(store: Store, *found: Transcript | UsageRow) -> None:
    async with store.write() as connection:
        for one in found:
            if isinstance(one, Transcript):
                await transcripts.record(connection, one)
            else:
                await usage.record(connection, one)


async def test_a_page_of_jobs_comes_with_what_is_booked(store: Store) -> None:
    await fill(store, JOB, ROW, replace(JOB, id="j2"), replace(JOB, region=EU))
    async with store.read() as connection:
        found = await reconciling.jobs(connection, US, ["j1", "j2", "j3"])
        elsewhere = await reconciling.jobs(connection, EU, ["j1"])

    unbooked = Booked("j2", NOON, "t1", {"prompt": True})
    expected = Booked("j1", NOON, "t1", {"prompt": True}, "completed", 417, 10, 2, [LINE])
    assert {"j1": expected, "j2": unbooked} == found
    assert {"j1": replace(unbooked, id="j1")} == elsewhere


async def test_booked_jobs_of_a_time_come_page_by_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "_PAGE", 3)
    for number in range(8):
        job = replace(JOB, id=f"j{number}", created_at=NOON + timedelta(seconds=number // 2))
        await fill(store, job, *([replace(ROW, source_id=job.id)] if number != 4 else []))
    await fill(store, replace(JOB, id="e", region=EU), replace(ROW, source_id="e", region=EU))

    until = NOON + timedelta(seconds=3)
    assert ["j0", "j1", "j2", "j3", "j5"] == [
        job.id async for job in reconciling.booked(store, US, NOON, until)
    ]


async def test_completions_that_ended_nobody_knows_how_are_summed(store: Store) -> None:
    held = {"name": "unknown_outcome", "micros": 0, "held_micros": 30}
    chat = replace(ROW, service="chat", status="unknown", micros=0, items=[held], created_at=NOON)
    await fill(
        store,
        chat,
        replace(chat, source_id="c2"),
        replace(chat, source_id="c3", region=EU),
        replace(chat, source_id="c4", status="completed"),
        replace(chat, source_id="c5", created_at=NOON + timedelta(1)),
        replace(ROW, status="unknown"),
    )
    async with store.read() as connection:
        chats = UsageFilter(service="chat", region=US, since=NOON, until=NOON + timedelta(1))
        found = await usage_lines.unknown_completions(connection, chats)

    assert (2, 60) == (found.count, found.held_micros)

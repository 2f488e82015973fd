from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from query_plans import explained

from aai_gateway.core.regions import Region
from aai_gateway.store import Store, holds, intents, standing, transcripts
from aai_gateway.store.holds import Hold
from aai_gateway.store.intents import Intent
from aai_gateway.store.standing import Standing
from aai_gateway.store.transcripts import Transcript

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
JOB = Transcript("", Region.EU, "team:t1", "https://example.com/a.mp3", created_at=NOON)
HOLD = Hold("", "speech", Region.EU, "team:t1", 5, NOON + timedelta(hours=1), team_id="t1", key_hash="k1")
INTENT = Intent(Region.US, "team:t1", "https://example.com/a.mp3", key_hash="k1")


@pytest.fixture
async def busy(store: Store) -> Store:
    hour = timedelta(hours=1)
    jobs = (
        replace(JOB, id="j1", key_hash="k1"),
        replace(JOB, id="j2", status="processing", region=Region.US, created_at=NOON - hour),
        replace(JOB, id="j3", status="completed", key_hash="k1", created_at=NOON + hour),
        replace(JOB, id="j4", status="completed", settled_at=NOON, created_at=NOON - 9 * hour),
        replace(JOB, id="j5", status="error", owner="key:k3", key_hash="k3", created_at=NOON - 2 * hour),
    )
    async with store.write() as connection:
        for job in jobs:
            await transcripts.record(connection, job)
        await holds.place(connection, replace(HOLD, id="h1"))
        await holds.place(connection, replace(HOLD, id="h2", service="chat", key_hash="k2", micros=7))
        await holds.place(
            connection, replace(HOLD, id="h3", owner="key:k3", team_id=None, key_hash="k3", micros=11)
        )
        await intents.open(connection, INTENT)
        await intents.open(connection, replace(INTENT, id="i2", owner="key:k3", key_hash="k3"))
        await intents.open(connection, replace(INTENT, id="i3"))
        await intents.close(connection, "i3", "refused")
    return store


async def test_what_is_under_way_is_counted_for_each_and_for_all(busy: Store) -> None:
    hour = timedelta(hours=1)
    async with busy.read() as connection:
        assert Standing(2, 2, NOON - 2 * hour, 2, 3, 23) == await standing.read(connection)
        assert Standing(2, 1, NOON - hour, 1, 2, 12) == await standing.read(connection, "team:t1")
        assert Standing(1, 1, NOON, 1, 1, 5) == await standing.read(connection, "team:t1", key_hash="k1")
        assert Standing(0, 1, NOON - 2 * hour, 1, 1, 11) == await standing.read(connection, "key:k3")
        assert Standing(0, 0, None, 0, 0, 0) == await standing.read(connection, "team:t9")


async def test_counting_reads_indexes(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    async with store.read() as connection:
        plans = explained(connection)
        await standing.read(connection)
        await standing.read(connection, "team:t1")
        await standing.read(connection, "team:t1", key_hash="k1")
    await store.close()
    of_jobs = [plan for plan in plans if " transcripts" in plan]
    assert ["SCAN transcripts USING COVERING INDEX ix_transcripts_unsettled_latest"] * 3 == of_jobs
    assert [] == [plan for plan in plans if " intents" in plan and "ix_intents_open" not in plan]
    # Everybody's holds are read, which are few: those of what runs now.
    assert ["SCAN holds"] == [plan for plan in plans if " holds" in plan and "ix_holds_service" not in plan]

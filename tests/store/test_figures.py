"""What /metrics is made of: exact sums, each from an index."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import sqlalchemy as sa

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.store import Store, figures, intents, teams, transcripts, usage
from aai_gateway.store.figures import Figures
from aai_gateway.store.intents import Intent
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageRow

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
US, EU = Region.US, Region.EU


async def fill(store: Store) -> None:
    async with store.write() as connection:
        await teams.create(connection, Team("t", "research", budget=Budget(soft_micros=6), created_at=NOW))
        for row in (
            UsageRow("speech", "a", US, "team:t", 7, team_id="t", model="u2", created_at=NOW),
            UsageRow("speech", "b", US, "team:t", 1, team_id="t", model="u9", priced_as="u3", created_at=NOW),
            UsageRow("speech", "c", EU, "team:t", 2, team_id="t", model="u9", priced_as="u3", created_at=NOW),
            UsageRow("chat", "d", US, "master", 5, model="gpt-9", priced_as="gpt-5", created_at=NOW),
            UsageRow("chat", "e", US, "team:t", 0, team_id="t", status="unknown", created_at=NOW),
        ):
            await usage.record(connection, row)
        for name, region, age in (("x", US, 60), ("y", US, 90), ("z", EU, 5)):
            job = Transcript(name, region, "team:t", "https://example.com/a", created_at=NOW - timedelta(age))
            await transcripts.record(connection, job)
        await transcripts.mark_settled(connection, US, "y", NOW, status="completed")
        await intents.open(connection, Intent(US, "team:t", "https://example.com/a", created_at=NOW))
        closed = Intent(US, "team:t", "https://example.com/a", created_at=NOW)
        await intents.open(connection, closed)
        await intents.close(connection, closed.id, "refused")


async def test_every_figure(store: Store) -> None:
    await fill(store)
    async with store.read() as connection:
        found = await figures.read(connection)

    assert {
        ("t", "speech", US): 8,
        ("t", "speech", EU): 2,
        ("t", "chat", US): 0,
        (None, "chat", US): 5,
    } == found.spend
    assert {("speech", "u9"): (2, 3), ("chat", "gpt-9"): (1, 5)} == found.flagged
    assert (1, {"team": 1}, {US: 1, EU: 1}) == (
        found.unknown_completions,
        found.soft_budgets_crossed,
        found.pending,
    )
    assert (NOW - timedelta(60), 1, 1) == (
        found.oldest_pending_at,
        found.open_intents,
        found.undelivered_notices,
    )
    assert ["research"] == [team.alias for team in found.teams]


async def test_a_new_store_has_nothing(store: Store) -> None:
    async with store.read() as connection:
        assert Figures({}, {}, 0, {}, {}, None, 0, 0, ()) == await figures.read(connection)


async def test_no_figure_reads_the_whole_ledger(tmp_path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    asked: list[tuple[str, object]] = []

    def note(connection, cursor, statement, parameters, context, many) -> None:
        asked.append((statement, parameters))

    async with store.read() as connection:
        sa.event.listen(connection.engine.sync_engine, "before_cursor_execute", note)
        await figures.read(connection)
        sa.event.remove(connection.engine.sync_engine, "before_cursor_execute", note)
        plans = {}
        for statement, parameters in asked:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans[statement] = [row.detail for row in plan]
    await store.close()

    large = [step for plan in plans.values() for step in plan if "usage" in step or "transcripts" in step]
    assert 4 == len([step for step in large if "USING" in step and "INDEX" in step])
    assert 4 == len(large)
    assert "SCAN usage USING COVERING INDEX ix_usage_team_id_service_region_micros" in large

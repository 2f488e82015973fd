"""What /metrics is made of: exact sums, each from an index."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import sqlalchemy as sa
from query_plans import explained
from random_usage import item

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.store import Store, figures, holds, intents, teams, transcripts, usage
from aai_gateway.store.figures import Figures, LastReconciliation, Queue, Used
from aai_gateway.store.holds import Hold
from aai_gateway.store.intents import Intent
from aai_gateway.store.schema import reconciliations
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageRow

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
US, EU = Region.US, Region.EU
URL = "https://example.com/a"


async def fill(store: Store) -> None:
    budget = Budget(soft_micros=6)
    async with store.write() as connection:
        await teams.create(connection, Team("t", "research", (EU,), budget=budget, created_at=NOW))
        for row in (
            UsageRow(
                "speech", "a", US, "team:t", 7, team_id="t", model="u2", audio_seconds=60, created_at=NOW
            ),
            UsageRow("speech", "b", US, "team:t", 1, team_id="t", model="u9", priced_as="u3", created_at=NOW),
            UsageRow("speech", "c", EU, "team:t", 2, team_id="t", model="u9", priced_as="u3", created_at=NOW),
            UsageRow(
                *("chat", "d", US, "master", 5, (item("input", 3, "token", "1", 5),)),
                model="gpt-9",
                priced_as="gpt-5",
                prompt_tokens=3,
                completion_tokens=4,
                created_at=NOW,
            ),
            UsageRow("chat", "e", US, "team:t", 0, team_id="t", status="unknown", created_at=NOW),
        ):
            await usage.record(connection, row)
        for name, region, age, status in (
            ("w", US, 5, "processing"),
            ("x", US, 60, "queued"),
            ("y", US, 90, "queued"),
            ("z", EU, 5, "queued"),
        ):
            at = NOW - timedelta(seconds=age)
            due = at if age >= 60 else NOW + timedelta(seconds=1)
            job = Transcript(name, region, "team:t", URL, status=status, created_at=at, next_check_at=due)
            await transcripts.record(connection, job)
        await transcripts.mark_settled(connection, US, "y", NOW, status="completed")
        hold = Hold("h", "chat", US, "team:t", 9, NOW + timedelta(1), team_id="t", created_at=NOW)
        await holds.place(connection, hold)
        await intents.open(connection, Intent(US, "team:t", URL, created_at=NOW))
        closed = Intent(US, "team:t", URL, created_at=NOW)
        await intents.open(connection, closed)
        await intents.close(connection, closed.id, "refused")


async def test_what_was_used(store: Store) -> None:
    await fill(store)
    async with store.read() as connection:
        found = await figures.read(connection, NOW)
        next_month = await figures.read(connection, NOW + timedelta(days=30))

    assert {
        ("t", "speech", "us"): Used(8, audio_seconds=60),
        ("t", "speech", "eu"): Used(2),
        ("t", "chat", "us"): Used(0),
        ("", "chat", "us"): Used(5, prompt_tokens=3, completion_tokens=4),
    } == found.used
    assert ({"t": 10, "": 5}, {}) == (found.month_micros, next_month.month_micros)
    assert found.used == next_month.used
    assert {("2026-11", "speech", "us", "u9", 1, 1), ("2026-11", "chat", "us", "gpt-9", 1, 5)} <= {
        (*row.keys.values(), row.sums.flagged, row.sums.flagged_micros) for row in found.models
    }
    assert [("2026-11", "chat", "us", "input", 5)] == [
        (*row.keys.values(), row.sums.micros) for row in found.items
    ]


async def test_what_is_under_way(store: Store) -> None:
    await fill(store)
    async with store.read() as connection:
        found = await figures.read(connection, NOW)

    minute = timedelta(seconds=60)
    assert {
        US: Queue({"queued": 1, "processing": 1}, oldest_at=NOW - minute, due=1, due_since=NOW - minute),
        EU: Queue({"queued": 1}, oldest_at=NOW - timedelta(seconds=5)),
    } == found.queues
    assert ({"team": 1}, 1, 1, {("chat", "us"): 1}) == (
        found.soft_budgets_crossed,
        found.open_intents,
        found.undelivered_notices,
        found.holds,
    )
    [team] = found.teams
    assert ("research", (EU,), 9) == (team.alias, team.regions, team.budget.held_micros)
    assert (15, 9) == (found.gateway_budget.spent_micros, found.gateway_budget.held_micros)


async def test_the_last_reconciliation_of_each_region(store: Store) -> None:
    def one(region: Region, findings: int, at: datetime) -> dict[str, object]:
        sums = {"compared": 9, "findings": findings, "difference_micros": -findings, "without_a_sum": 0}
        span = {"since": at, "until": at, "quick": False, "fixed": 0}
        return {"region": region.value, "at": at, **span, **sums}

    async with store.write() as connection:
        for row in (one(US, 3, NOW), one(EU, 2, NOW), one(US, 1, NOW + timedelta(1))):
            await connection.execute(sa.insert(reconciliations).values(row))
    async with store.read() as connection:
        found = await figures.read(connection, NOW)

    assert {
        "us": LastReconciliation(NOW + timedelta(1), 1, -1, 0),
        "eu": LastReconciliation(NOW, 2, -2, 0),
    } == found.reconciliations


async def test_a_new_store_has_nothing(store: Store) -> None:
    async with store.read() as connection:
        assert Figures() == await figures.read(connection, NOW)


async def test_no_figure_reads_the_ledger_or_all_of_a_large_table(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    async with store.read() as connection:
        plans = explained(connection)
        await figures.read(connection, NOW)
    await store.close()

    assert [] == [step for step in plans if re.search(r"\busage\b", step)]
    large = [step for step in plans if re.search("usage_sums|transcripts|intents|deliveries", step)]
    assert 7 <= len(large)
    assert [] == [step for step in large if "INDEX" not in step and "PRIMARY KEY" not in step]
    assert ["SCAN usage_sums USING COVERING INDEX ix_usage_sums_models_months"] == [
        step for step in large if "SCAN usage_sums" in step
    ]

"""`aai-gateway budget` on a real store."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.regions import Region
from aai_gateway.store import gateway_budget, holds, teams, usage
from aai_gateway.store.holds import Hold
from aai_gateway.store.usage import UsageRow


def test_a_new_gateway_has_no_limit(run):
    shown = json.loads(run("budget", "--json").stdout)

    assert [] == shown["teams"]
    assert (None, None, 0, 0, 0) == tuple(
        shown["gateway"][f"{n}_micros"] for n in ("max", "left", "spent", "held", "lifetime")
    )
    assert "The gateway" in run("budget").stdout


def test_what_is_spent_held_and_left_of_everyone(run, on_store):
    run("teams", "create", "lab", "--budget", "5", "--soft-budget", "4", "--budget-duration", "1mo")
    run("teams", "create", "desk")

    async def work(connection):
        now = utc_now()
        team = await teams.get(connection, "lab")
        await gateway_budget.set_limits(connection, Budget(20_000_000, "7d", soft_micros=9_000_000), now)
        row = UsageRow("speech", "t1", Region.US, f"team:{team.id}", 250_000, team_id=team.id, created_at=now)
        await usage.record(connection, row)
        hold = Hold("h", "speech", Region.EU, f"team:{team.id}", 1_000_000, now, team_id=team.id)
        await holds.place(connection, hold)

    on_store(work)
    shown = json.loads(run("budget", "--json").stdout)
    assert ["desk", "lab"] == [team["name"] for team in shown["teams"]]
    lab, total = shown["teams"][1], shown["gateway"]
    amounts = ("max_usd", "soft_usd", "spent_usd", "held_usd", "left_usd")
    assert ("5.000000", "4.000000", "0.250000", "1.000000", "3.750000") == tuple(lab[n] for n in amounts)
    assert ("20.000000", "9.000000", "0.250000", "1.000000", "18.750000") == tuple(total[n] for n in amounts)
    assert ("7d", "0.250000") == (total["duration"], total["lifetime_usd"])
    table = run("budget").stdout
    [line] = [line for line in table.splitlines() if line.startswith("lab")]
    assert ["$5.000000", "$0.250000", "$1.000000", "$3.750000", "$4.000000", "1mo"] == line.split()[1:7]
    assert "-01 00:00" in line


def test_a_period_that_has_ended_shows_nothing_spent(run, on_store):
    async def work(connection):
        long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
        await gateway_budget.set_limits(connection, Budget(100, "1d"), long_ago)
        row = UsageRow("speech", "t1", Region.US, "master", 100, created_at=long_ago)
        await usage.record(connection, row)

    on_store(work)
    total = json.loads(run("budget", "--json").stdout)["gateway"]
    assert (0, 100, 100) == (total["spent_micros"], total["left_micros"], total["lifetime_micros"])
    assert total["resets_at"] > str(utc_now())

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import StatementError

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, keys, teams, transcripts, usage

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
RESEARCH = Team(
    "t1",
    "research",
    regions=(Region.EU,),
    models=("eu.assemblyai/*",),
    budget=Budget(5_000_000, "30d", 120, NOON + timedelta(days=30)),
    created_at=NOON,
    metadata={"cost_centre": "Köln", "limits": {"rpm": 5}},
)


async def test_a_team_comes_back_as_it_was_given(store: Store) -> None:
    async with store.write() as connection:
        assert RESEARCH == await teams.create(connection, RESEARCH)
    async with store.read() as connection:
        assert RESEARCH == await teams.by_id(connection, "t1")


async def test_a_moment_of_another_zone_comes_back_in_utc(store: Store) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    async with store.write() as connection:
        team = await teams.create(connection, replace(RESEARCH, created_at=tokyo))

    assert (NOON, timezone.utc) == (team.created_at, team.created_at.tzinfo)


async def test_a_moment_without_a_zone_is_refused(store: Store) -> None:
    naive = replace(RESEARCH, created_at=datetime(2026, 11, 21))
    async with store.write() as connection:
        with pytest.raises(StatementError, match="has no time zone"):
            await teams.create(connection, naive)


async def test_a_budget_with_a_duration_begins_with_its_team(store: Store) -> None:
    team = replace(RESEARCH, budget=Budget(5_000_000, "12h"))
    async with store.write() as connection:
        created = await teams.create(connection, team)

    assert Budget(5_000_000, "12h", 0, NOON + timedelta(hours=12)) == created.budget


async def test_teams_are_found_by_id_first_then_by_alias(store: Store) -> None:
    async with store.write() as connection:
        await teams.create(connection, RESEARCH)
        await teams.create(connection, Team("research", "newsroom"))
        assert "newsroom" == (await teams.get(connection, "research")).alias
        assert "newsroom" == (await teams.get(connection, "newsroom")).alias
        assert "research" == (await teams.get(connection, "t1")).alias
        assert await teams.get(connection, "nobody") is None
        assert await teams.by_id(connection, "newsroom") is None
        assert ["newsroom", "research"] == [team.alias for team in await teams.list_all(connection)]


@pytest.mark.parametrize("team", [Team("t1", "other"), Team("t2", "research")])
async def test_an_id_or_alias_that_is_taken_is_refused(store: Store, team: Team) -> None:
    async with store.write() as connection:
        await teams.create(connection, RESEARCH)
    with pytest.raises(StoreError, match=r"There is already a team with the id t[12] or the name"):
        async with store.write() as connection:
            await teams.create(connection, team)


async def test_update_changes_what_is_named_and_nothing_else(store: Store) -> None:
    async with store.write() as connection:
        await teams.create(connection, RESEARCH)
        changed = await teams.update(connection, "t1", alias="lab", regions=(Region.US,), blocked=True)

    assert replace(RESEARCH, alias="lab", regions=(Region.US,), blocked=True) == changed


async def test_a_new_limit_keeps_what_is_spent(store: Store) -> None:
    async with store.write() as connection:
        await teams.create(connection, RESEARCH)
        raised = await teams.update(connection, "t1", budget=Budget(9_000_000))
        assert Budget(9_000_000, None, 120, None) == raised.budget
        forgiven = await teams.update(connection, "t1", spent_micros=0)

    assert Budget(9_000_000, None, 0, None) == forgiven.budget


async def test_updating_nobody_or_taking_an_alias_is_refused(store: Store) -> None:
    async with store.write() as connection:
        await teams.create(connection, RESEARCH)
        await teams.create(connection, Team("t2", "newsroom"))
    with pytest.raises(StoreError, match="There is no team with the id t3"):
        async with store.write() as connection:
            await teams.update(connection, "t3", blocked=True)
    with pytest.raises(StoreError, match="There is already a team with the name research"):
        async with store.write() as connection:
            await teams.update(connection, "t2", alias="research")


async def test_deleting_a_team_takes_its_keys_and_leaves_its_jobs(store: Store) -> None:
    job = transcripts.Transcript("j1", Region.EU, "team:t1", "https://example.com/a.mp3", team_id="t1")
    row = usage.UsageRow("speech", "j1", Region.EU, "team:t1", 42, team_id="t1", key_hash="k1")
    async with store.write() as connection:
        await teams.create(connection, RESEARCH)
        await keys.create(connection, VirtualKey("k1", "sk-...aaaa", team_id="t1"))
        await keys.create(connection, VirtualKey("k2", "sk-...bbbb"))
        await transcripts.record(connection, job)
        await usage.record(connection, row)
        assert await teams.delete(connection, "t1") is True
        assert await teams.delete(connection, "t1") is False

        assert ["k2"] == [key.hash for key in await keys.list_all(connection)]
        assert await transcripts.get(connection, Region.EU, "j1") is not None
        assert 42 == (await usage.total(connection, usage.UsageFilter(team_id="t1"))).micros


async def test_a_table_of_all_teams_has_their_budgets(store: Store) -> None:
    resets = datetime(2030, 1, 1, tzinfo=timezone.utc)
    budget = Budget(90, "30d", resets_at=resets, soft_micros=50)
    async with store.write() as connection:
        await teams.create(connection, Team("t2", "beta", budget=budget, blocked=True))
        await teams.create(connection, Team("t1", "alpha"))
        await teams.update(connection, "t2", spent_micros=60)
        whole = await teams.list_all(connection)
        found = await teams.list_budgets(connection)
    assert [(team.id, team.alias, team.blocked, team.budget) for team in whole] == [
        (team.id, team.alias, team.blocked, team.budget) for team in found
    ]
    assert ["t1", "t2"] == [team.id for team in found]

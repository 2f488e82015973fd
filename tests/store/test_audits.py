"""Sums that are kept beside their rows agree with them, or are found out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.store import Store, holds, keys, teams, usage
from aai_gateway.store.audits import Disagreement, disagreements
from aai_gateway.store.holds import Hold
from aai_gateway.store.schema import gateway_budget
from aai_gateway.store.schema import teams as teams_table
from aai_gateway.store.schema import virtual_keys as keys_table

MADE = datetime(2026, 11, 1, tzinfo=timezone.utc)
NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
ROW = usage.UsageRow("speech", "j1", Region.US, "team:t1", 700, team_id="t1", key_hash="k1", created_at=NOON)
HOLD = Hold("h1", "speech", Region.US, "team:t1", 40, NOON + timedelta(days=1), "t1", "k1", created_at=NOON)


@pytest.fixture
async def store(store: Store) -> Store:
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "research", created_at=MADE))
        await teams.create(connection, Team("t2", "newsroom", created_at=MADE))
        await keys.create(connection, VirtualKey("k1", "sk-...aaaa", team_id="t1", created_at=MADE))
        await keys.create(
            connection, VirtualKey("k2", "sk-...bbbb", alias="desk", team_id="t2", created_at=MADE)
        )
        await usage.record(connection, ROW)
        await usage.record(connection, replace(ROW, source_id="j2", team_id="gone", key_hash="gone"))
        await holds.place(connection, HOLD)
        await holds.place(connection, replace(HOLD, id="h2", team_id=None, key_hash=None))
    return store


async def found(store: Store) -> list[Disagreement]:
    async with store.read() as connection:
        return await disagreements(connection)


async def test_what_the_gateway_writes_adds_up(store: Store) -> None:
    assert [] == await found(store)
    async with store.write() as connection:
        await holds.release(connection, "h1", NOON)
        await usage.record(connection, replace(ROW, source_id="j3", micros=40))
    assert [] == await found(store)


async def test_every_account_that_is_wrong_is_named(store: Store) -> None:
    async with store.write() as connection:
        await connection.execute(sa.update(teams_table).values(held_micros=1))
        await connection.execute(sa.update(keys_table).values(lifetime_micros=2))
        await connection.execute(sa.update(gateway_budget).values(held_micros=0, lifetime_micros=1_401))

    assert [
        Disagreement("held", "Team newsroom", 1, 0),
        Disagreement("held", "Team research", 1, 40),
        Disagreement("held", "The gateway", 0, 80),
        Disagreement("spent", "Key desk", 2, 0),
        Disagreement("spent", "Key sk-...aaaa", 2, 700),
        Disagreement("spent", "The gateway", 1_401, 1_400),
    ] == sorted(await found(store), key=lambda one: (one.what, one.name))


async def test_what_an_earlier_team_of_the_same_id_spent_is_not_this_one_s(store: Store) -> None:
    async with store.write() as connection:
        await teams.delete(connection, "t1")
        await teams.create(connection, Team("t1", "research", created_at=NOON + timedelta(seconds=1)))

    assert [] == await found(store)


async def test_rows_from_before_the_clock_was_set_back_are_the_team_s_own(store: Store) -> None:
    early = replace(ROW, source_id="j3", created_at=MADE - timedelta(days=2))
    async with store.write() as connection:
        await usage.record(connection, early)
    assert [] == await found(store)

    async with store.write() as connection:
        await connection.execute(sa.update(teams_table).values(lifetime_micros=sa.literal(5)))
    assert ("Team research", 5, 700) in [
        (one.name, one.recorded_micros, one.expected_micros) for one in await found(store)
    ]

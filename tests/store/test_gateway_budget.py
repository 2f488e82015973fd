"""The gateway's own budget: limits from its configuration, what is spent over restarts."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import sqlalchemy as sa

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.store import Store, gateway_budget, notices, usage
from aai_gateway.store.schema import notices as table
from aai_gateway.store.usage import UsageRow

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


async def charge(store: Store, number: int, micros: int, at: datetime) -> None:
    async with store.write() as connection:
        await usage.record(
            connection, UsageRow("chat", f"c{number}", Region.EU, "master", micros, created_at=at)
        )


async def set_limits(store: Store, limits: Budget, at: datetime) -> bool:
    async with store.write() as connection:
        return await gateway_budget.set_limits(connection, limits, at)


async def get(store: Store) -> tuple[Budget, int]:
    async with store.read() as connection:
        return await gateway_budget.get(connection)


async def test_a_new_store_has_no_limit_and_counts_what_is_spent(store: Store) -> None:
    await charge(store, 1, 70, NOW)

    assert (Budget(spent_micros=70), 70) == await get(store)


async def test_the_first_period_begins_when_it_is_first_configured(store: Store) -> None:
    await charge(store, 1, 70, NOW)

    assert await set_limits(store, Budget(100, "1mo", soft_micros=50), NOW)

    end = datetime(2026, 12, 1, tzinfo=timezone.utc)
    assert (Budget(100, "1mo", 0, end, soft_micros=50), 70) == await get(store)


async def test_the_same_configuration_again_changes_nothing(store: Store) -> None:
    limits = Budget(100, "1d", soft_micros=50)
    await set_limits(store, limits, NOW)
    await charge(store, 1, 60, NOW)

    assert not await set_limits(store, limits, NOW + timedelta(hours=3))

    expected = Budget(100, "1d", 60, NOW + timedelta(days=1), soft_micros=50, warned=True)
    assert (expected, 60) == await get(store)


async def test_other_limits_go_on_with_the_period_and_none_take_them_away(store: Store) -> None:
    await set_limits(store, Budget(100, "1d", soft_micros=50), NOW)
    await charge(store, 1, 60, NOW)

    assert await set_limits(store, Budget(200, "1d", soft_micros=150), NOW + timedelta(hours=3))
    ends = NOW + timedelta(days=1)
    assert Budget(200, "1d", 60, ends, soft_micros=150) == (await get(store))[0]
    assert await set_limits(store, Budget(), NOW)
    assert Budget(spent_micros=60) == (await get(store))[0]


async def test_workers_that_start_at_once_begin_one_period(store_url: str) -> None:
    stores = [await Store.open(store_url) for _ in range(4)]
    await charge(stores[0], 1, 70, NOW)
    outcomes = await asyncio.gather(*(set_limits(store, Budget(100, "1d"), NOW) for store in stores * 5))
    found = await get(stores[0])
    for store in stores:
        await store.close()

    assert 1 == outcomes.count(True)
    assert (Budget(100, "1d", 0, NOW + timedelta(days=1)), 70) == found


async def test_a_restart_goes_on_where_the_period_was_and_the_next_begins_on_time(store_url: str) -> None:
    store = await Store.open(store_url)
    await set_limits(store, Budget(100, "7d"), NOW)
    await charge(store, 1, 60, NOW)
    await store.close()

    store = await Store.open(store_url)
    await set_limits(store, Budget(100, "7d"), NOW + timedelta(days=6))
    await charge(store, 2, 10, NOW + timedelta(days=7) - timedelta(microseconds=1))
    assert 70 == (await get(store))[0].spent_micros
    await charge(store, 3, 5, NOW + timedelta(days=7))
    found = await get(store)
    await store.close()
    assert (Budget(100, "7d", 5, NOW + timedelta(days=14)), 75) == found


async def test_its_soft_budget_is_told_as_the_gateways(store: Store) -> None:
    await set_limits(store, Budget(soft_micros=50), NOW)
    await charge(store, 1, 60, NOW)
    async with store.read() as connection:
        [row] = (await connection.execute(sa.select(table))).mappings()

    assert (notices.SOFT_BUDGET, "gateway", "The gateway") == (
        row["event"],
        row["scope"],
        row["body"]["name"],
    )

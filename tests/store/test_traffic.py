from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from aai_gateway.core.traffic import BUCKETS, TOTAL_ONLY, Counted, Counts, Place, minute_of
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, traffic
from aai_gateway.store.traffic import AskedRow, TrafficRow

NOON = datetime(2026, 10, 1, 12, 0, tzinfo=timezone.utc)
POLL, UPLOAD, REFUSED = Place("get", "us", 200), Place("upload", "eu", 200), Place("management", "", 401)


def counts(number: int) -> Counts:
    return Counts(number, number * 10, number * 100, number, number * 1000, (number, *[0] * (BUCKETS - 1)))


def minute(number: int) -> str:
    return minute_of(NOON + timedelta(minutes=number))


async def write(store: Store, counted: Counted) -> None:
    async with store.write() as connection:
        await traffic.add(connection, counted)


async def test_what_processes_count_is_added_up(store: Store) -> None:
    await write(store, Counted({(minute(0), POLL): counts(1)}, {(minute(0), ("us.host", "ok")): 1}))
    await write(
        store,
        Counted(
            {
                (minute(0), POLL): counts(2),
                (minute(1), POLL): counts(3),
                (minute(1), REFUSED): counts(4),
                (TOTAL_ONLY, UPLOAD): counts(5),
            },
            {(minute(0), ("us.host", "ok")): 2, (minute(1), ("us.host", "429")): 3},
        ),
    )
    async with store.read() as connection:
        assert {POLL: counts(6), REFUSED: counts(4), UPLOAD: counts(5)} == await traffic.totals(connection)
        assert {("us.host", "ok"): 3, ("us.host", "429"): 3} == await traffic.upstream_totals(connection)


async def test_a_window_is_summed_as_asked_for(store: Store) -> None:
    served = {
        (minute(0), POLL): counts(1),
        (minute(1), POLL): counts(2),
        (minute(1), REFUSED): counts(4),
        (minute(2), POLL): counts(8),
    }
    await write(store, Counted(served, {(minute(n), ("h", "ok")): n for n in (1, 2, 3)}))
    since = NOON + timedelta(minutes=1, seconds=30)
    async with store.read() as connection:
        assert [TrafficRow({}, counts(14))] == await traffic.minutes(connection, since)
        assert [
            TrafficRow({"period": minute(1)}, counts(6)),
            TrafficRow({"period": minute(2)}, counts(8)),
        ] == await traffic.minutes(connection, since, by=["period"])
        assert [
            TrafficRow({"operation": "get", "status": 200}, counts(10)),
            TrafficRow({"operation": "management", "status": 401}, counts(4)),
        ] == await traffic.minutes(connection, since, by=["operation", "status"])
        assert [AskedRow({"host": "h", "outcome": "ok"}, 6)] == await traffic.upstream_minutes(
            connection, since, by=["host", "outcome"]
        )
        later = NOON + timedelta(hours=1)
        assert [TrafficRow({}, Counts())] == await traffic.minutes(connection, later)
        assert [] == await traffic.minutes(connection, later, by=["region"])
        assert [AskedRow({}, 0)] == await traffic.upstream_minutes(connection, later)


async def test_minutes_are_forgotten_after_a_day_and_totals_never(store: Store) -> None:
    await write(
        store,
        Counted(
            {(minute(0), POLL): counts(1), (minute(1), POLL): counts(2)},
            {(minute(0), ("h", "ok")): 1, (minute(1), ("h", "ok")): 2},
        ),
    )
    async with store.write() as connection:
        await traffic.prune(connection, NOON + timedelta(days=1, minutes=1, seconds=59))
    async with store.read() as connection:
        left = await traffic.minutes(connection, NOON, by=["period"])
        assert [TrafficRow({"period": minute(1)}, counts(2))] == left
        asked = await traffic.upstream_minutes(connection, NOON, by=["period"])
        assert [AskedRow({"period": minute(1)}, 2)] == asked
        assert {POLL: counts(3)} == await traffic.totals(connection)
        assert {("h", "ok"): 3} == await traffic.upstream_totals(connection)


async def test_what_many_write_at_once_is_all_there(store: Store) -> None:
    places = [Place(operation, "us", status) for operation in "abcdef" for status in (200, 429)]

    async def process(number: int) -> None:
        own = places if number % 2 else places[::-1]
        for _ in range(5):
            served = {(minute(0), place): counts(1) for place in own}
            await write(store, Counted(served, {(minute(0), (place.operation, "ok")): 1 for place in own}))

    await asyncio.gather(*map(process, range(4)))
    async with store.read() as connection:
        assert dict.fromkeys(places, counts(20)) == await traffic.totals(connection)
        assert dict.fromkeys([(name, "ok") for name in "abcdef"], 20) == await traffic.upstream_totals(
            connection
        )


async def test_nothing_of_a_batch_that_fails_is_there(store: Store) -> None:
    broken = {(minute(0), ("h", "ok")): 2**70}
    with pytest.raises((StoreError, OverflowError)):
        await write(store, Counted({(minute(0), POLL): counts(1)}, broken))
    async with store.read() as connection:
        assert {} == await traffic.totals(connection)

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import sqlalchemy as sa
from query_plans import explained
from random_usage import NOON, UNKNOWN, random_rows
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.core.rollups import ALL_TEAMS, NO_TEAM, PARTS, Sums, covering
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.store import Store, usage, usage_sums
from aai_gateway.store.schema import usage_sums as table
from aai_gateway.store.usage import UsageFilter

FIRST, LAST = date(2026, 10, 1), date(2027, 1, 31)


async def book(store: Store, rows: Sequence[UsageRow]) -> None:
    for row in rows:
        async with store.write() as connection:
            await usage.record(connection, row)


def every_day() -> list[date]:
    return [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


def every_month() -> list[date]:
    return [day for day in every_day() if day.day == 1]


async def differences(connection: AsyncConnection) -> list[usage_sums.Difference]:
    found = [one for day in every_day() for one in await usage_sums.check_day(connection, day)]
    return found + [one for month in every_month() for one in await usage_sums.check_month(connection, month)]


async def kept(connection: AsyncConnection) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in await connection.execute(sa.select(table)))


async def test_what_is_kept_row_by_row_is_what_the_rows_add_up_to(store: Store) -> None:
    await book(store, random_rows(3, 300))
    async with store.read() as connection:
        assert [] == await differences(connection)
        before = await kept(connection)
    async with store.write() as connection:
        await connection.execute(sa.delete(table))
        for day in every_day():
            await usage_sums.rebuild_day(connection, day)
        for month in every_month():
            await usage_sums.rebuild_month(connection, month)
    async with store.read() as connection:
        assert before == await kept(connection)


async def test_a_month_is_made_anew_some_teams_at_a_time_by_their_own_rows(store: Store) -> None:
    await book(store, random_rows(9, 60))
    month = date(2026, 11, 1)
    async with store.write() as connection:
        before = await kept(connection)
        await connection.execute(sa.delete(table).where(table.c.period == "2026-11"))
        for team_id in await usage_sums.teams_in(connection, month):
            await usage_sums.rebuild_month(connection, month, [team_id])
        assert before == await kept(connection)
        if connection.dialect.name == "sqlite":
            plans = explained(connection)
            await usage_sums.rebuild_month(connection, month, ["t1"])
            assert any("PRIMARY KEY (team_id=? AND part=? AND period>?" in plan for plan in plans)


async def test_the_sums_of_a_range_are_those_of_the_ledger(store: Store) -> None:
    await book(store, random_rows(4, 200))
    since, until = date(2026, 10, 20), date(2026, 12, 5)
    periods = covering(since, until)
    where = UsageFilter(since=_midnight(since), until=_midnight(until))
    async with store.read() as connection:
        total = await usage.total(connection, where)
        assert total.micros == (await usage_sums.total(connection, periods)).micros
        assert total.jobs == (await usage_sums.total(connection, periods)).jobs
        by_team = await usage.summary(connection, ["team_id"], where)
        assert {row.keys["team_id"] or NO_TEAM: row.micros for row in by_team} == {
            row.keys["team_id"]: row.sums.micros
            for row in await usage_sums.read(connection, "total", periods, by=["team_id"], team_id=None)
        }
        by_model = await usage.summary(connection, ["service", "region", "model"], where)
        found = await usage_sums.read(connection, "model", periods, by=["service", "region", "model"])
        assert {
            tuple(value or "" for value in row.keys.values()): (row.micros, row.jobs, row.audio_seconds)
            for row in by_model
        } == {
            tuple(row.keys.values()): (row.sums.micros, row.sums.jobs, row.sums.audio_seconds)
            for row in found
        }
        assert sorted((row.sums.micros for row in found), reverse=True) == [row.sums.micros for row in found]
        by_tag = await usage.summary(connection, ["tag"], replace(where, team_id="t1"))
        assert {row.keys["tag"]: row.micros for row in by_tag if row.keys["tag"] is not None} == {
            row.keys["name"]: row.sums.micros
            for row in await usage_sums.read(connection, "tag", periods, by=["name"], team_id="t1")
        }


async def test_a_row_that_is_written_over_is_not_counted_twice(store: Store) -> None:
    unknown = UsageRow(
        service="chat",
        source_id="c1",
        region=Region.US,
        owner="team:t1",
        team_id="t1",
        micros=0,
        items=(UNKNOWN,),
        status="unknown",
        tags=("red",),
        created_at=datetime(2026, 11, 30, 23, 59, tzinfo=timezone.utc),
    )
    known = replace(
        unknown,
        status="completed",
        micros=12,
        items=({"name": "input", "quantity": 4, "unit": "token", "unit_price": "3", "micros": 12},),
        tags=("green",),
        created_at=datetime(2026, 12, 1, 0, 1, tzinfo=timezone.utc),
    )
    await book(store, [unknown, unknown, known, known])
    async with store.read() as connection:
        assert [] == await differences(connection)
        assert Sums() == await usage_sums.total(connection, ["2026-11"])
        assert Sums(micros=12, jobs=1) == await usage_sums.total(connection, ["2026-12"])
        tags = await usage_sums.read(connection, "tag", ["2026-11", "2026-12"], by=["name"])
        assert ["green"] == [row.keys["name"] for row in tags]


async def test_a_sum_that_is_wrong_is_found_and_mended(store: Store) -> None:
    await book(store, random_rows(5, 40))
    async with store.write() as connection:
        place = (
            await connection.execute(
                sa.select(table).where(table.c.part == "item", sa.func.length(table.c.period) == 10)
            )
        ).first()
        assert place is not None
        await connection.execute(
            sa.update(table)
            .where(*(column == place._mapping[column.name] for column in table.primary_key))
            .values(micros=table.c.micros + 1)
        )
    day = date.fromisoformat(place.period)
    async with store.read() as connection:
        # The day is one too high; its month, which is right, is one lower than its days.
        assert [-1, 1] == sorted(one.kept.micros - one.rows.micros for one in await differences(connection))
    async with store.write() as connection:
        await usage_sums.rebuild_day(connection, day)
        await usage_sums.rebuild_month(connection, day.replace(day=1))
    async with store.read() as connection:
        assert [] == await differences(connection)


async def test_what_is_booked_while_sums_are_made_anew_is_counted_once(store: Store, store_url: str) -> None:
    """Two stores, as of two processes: one books while the other makes all anew, over and over."""
    rows = [
        replace(row, created_at=datetime(2026, 12, 1, tzinfo=timezone.utc) + (row.created_at - NOON) / 20)
        for row in random_rows(12, 40)
    ]
    days = sorted({row.created_at.date() for row in rows})
    command = await Store.open(store_url)
    booking = asyncio.create_task(book(store, rows))
    while not booking.done():
        for day in days:
            async with command.write() as connection:
                await usage_sums.rebuild_day(connection, day)
        for month in (date(2026, 11, 1), date(2026, 12, 1)):
            async with command.write() as connection:
                await usage_sums.rebuild_month(connection, month)
            async with command.snapshot() as connection:
                assert [] == await usage_sums.check_month(connection, month)
    await booking
    await command.close()
    async with store.read() as connection:
        assert [] == await differences(connection)
        assert len(rows) == (await usage_sums.total(connection, ["2026-11", "2026-12"])).jobs


async def test_each_team_and_all_of_them_have_every_part(store: Store) -> None:
    await book(store, random_rows(6, 60))
    async with store.read() as connection:
        rows = await connection.execute(sa.select(table.c.team_id, table.c.part).distinct())
        found = {tuple(row) for row in rows}
        ends = await usage_sums.first_and_last_day(connection)

    assert {(team, part) for team in (ALL_TEAMS, NO_TEAM, "t1", "t2", "t3") for part in PARTS} == found
    assert ends is not None and FIRST <= ends[0] <= ends[1] <= LAST


async def test_nothing_is_kept_of_an_empty_ledger(store: Store) -> None:
    async with store.read() as connection:
        assert None is await usage_sums.first_and_last_day(connection)
        assert Sums() == await usage_sums.total(connection, ["2026-11"])
        assert [] == await usage_sums.read(connection, "model", ["2026-11"], by=["model"])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)

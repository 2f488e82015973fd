"""Reading many statements in one thread: SQLite's way to answer a page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, usage


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    await book(store, "first")
    yield store
    await store.close()


async def book(store: Store, source_id: str) -> None:
    async with store.write() as connection:
        await usage.record(connection, usage.UsageRow("speech", source_id, Region.US, "master", 7))


async def test_it_sees_one_moment(store: Store) -> None:
    has_read, has_booked = threading.Event(), threading.Event()

    async def twice(connection: AsyncConnection) -> tuple[int, int]:
        first = (await usage.total(connection)).jobs
        has_read.set()
        assert has_booked.wait(20)
        return first, (await usage.total(connection)).jobs

    reading = asyncio.ensure_future(store.read_at_once(twice))
    await asyncio.to_thread(has_read.wait, 20)
    await book(store, "second")
    has_booked.set()
    assert (1, 1) == await reading
    assert 2 == (await store.read_at_once(usage.total)).jobs


async def test_it_raises_what_the_work_raises_and_leaves_nothing_behind(store: Store) -> None:
    async def fails(connection: AsyncConnection) -> None:
        await usage.total(connection)
        raise ZeroDivisionError

    async def asks_nonsense(connection: AsyncConnection) -> None:
        await connection.execute(sa.text("SELECT it FROM nowhere"))

    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await store.read_at_once(fails)
        with pytest.raises(StoreError, match="nowhere"):
            await store.read_at_once(asks_nonsense)
    await book(store, "second")
    assert 2 == (await store.read_at_once(usage.total)).jobs


async def test_work_that_waits_for_something_else_is_a_mistake(store: Store) -> None:
    async def naps(_connection: AsyncConnection) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waited"):
        await store.read_at_once(naps)


async def test_what_nobody_waits_for_any_more_does_no_harm(store: Store) -> None:
    goes_on = threading.Event()

    async def waits(connection: AsyncConnection) -> int:
        assert goes_on.wait(20)
        return (await usage.total(connection)).jobs

    given_up = [asyncio.ensure_future(store.read_at_once(waits)) for _ in range(4)]
    await asyncio.sleep(0)
    for reading in given_up:
        reading.cancel()
    goes_on.set()
    await asyncio.gather(*given_up, return_exceptions=True)
    assert 1 == (await store.read_at_once(usage.total)).jobs

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aai_gateway.core.traffic import Counts, Place, Served, Tally
from aai_gateway.errors import StoreError
from aai_gateway.gateway import traffic_writer
from aai_gateway.gateway.observing import this_minute
from aai_gateway.gateway.traffic_writer import TrafficWriter
from aai_gateway.store import Store, traffic

POLL = Place("get", "us", 200)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield store
    await store.close()


def count(tally: Tally, times: int = 1) -> None:
    for _ in range(times):
        tally.count(Served("get", "us", 200, 1, 2, 300), this_minute())
        tally.count_asked("us.host", "ok", this_minute())


async def requests(store: Store) -> tuple[int, int]:
    """How many the store has, and how often it says that the host was asked."""
    async with store.read() as connection:
        totals, asked = await traffic.totals(connection), await traffic.upstream_totals(connection)
    return totals.get(POLL, Counts()).requests, asked.get(("us.host", "ok"), 0)


async def test_what_was_counted_is_written_once(store: Store) -> None:
    tally = Tally()
    writer = TrafficWriter(store, tally)
    count(tally, 3)
    assert await writer.flush()
    assert await writer.flush()
    count(tally)
    await writer.close()
    assert (4, 4) == await requests(store)


async def test_it_is_written_again_and_again_until_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic_writer, "INTERVAL", 0.01)
    tally = Tally()
    writer = TrafficWriter(store, tally)
    running = asyncio.ensure_future(writer.run())
    for _ in range(20):
        count(tally)
        await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.wait([running])
    count(tally)
    await writer.close()
    assert (21, 21) == await requests(store)


async def test_what_cannot_be_written_stays_until_it_can(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = Tally()
    writer = TrafficWriter(store, tally)
    write, tries = store.write, 0

    @asynccontextmanager
    async def failing() -> AsyncIterator[Any]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreError("The store is away.")
        async with write() as connection:
            yield connection

    monkeypatch.setattr(store, "write", failing)
    count(tally, 2)
    assert not await writer.flush()
    count(tally, 5)
    await writer.close()
    assert (7, 7) == await requests(store)
    assert 3 == tries

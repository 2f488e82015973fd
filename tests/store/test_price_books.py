"""Changes of the price book in the store: numbered, kept as they were, put on the packaged book in order."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from aai_gateway.errors import PriceError
from aai_gateway.price_book import load_price_book
from aai_gateway.store import Store, price_books
from aai_gateway.store.price_books import StoredOverlay

NOW = datetime(2026, 11, 21, 10, tzinfo=timezone.utc)
BOOK = load_price_book()


def prices(usd: str, since: str = "2026-12-01") -> dict[str, Any]:
    return {"speech": {"models": {"universal-2": [{"from": since, "usd": usd, "source": "a page"}]}}}


async def add(store: Store, source: str, body: dict[str, Any]) -> int:
    async with store.write() as connection:
        await price_books.lock(connection)
        return await price_books.add(connection, source, body, NOW)


async def test_changes_are_numbered_and_come_back_as_they_were(store: Store) -> None:
    async with store.read() as connection:
        assert None is await price_books.newest_id(connection)
    first = await add(store, "sync us", prices("0.14"))
    second = await add(store, "load contract.yaml", prices("0.12"))

    async with store.read() as connection:
        assert second == await price_books.newest_id(connection)
        found = await price_books.list_all(connection)
    assert first < second
    assert [
        StoredOverlay(first, NOW, "sync us", prices("0.14")),
        StoredOverlay(second, NOW, "load contract.yaml", prices("0.12")),
    ] == found
    assert [False, True] == [one.own for one in found]


async def test_the_book_in_force_has_them_all_the_published_one_no_contract(store: Store) -> None:
    await add(store, "load contract.yaml", prices("0.12"))
    await add(store, "sync us", prices("0.14", "2027-01-01"))

    async with store.read() as connection:
        in_force = await price_books.merged(connection, BOOK)
        published = await price_books.merged(connection, BOOK, own=False)

    assert ["0.15", "0.12"] == [str(price.amount) for price in in_force.speech_models["universal-2"]]
    assert ["0.15", "0.14"] == [str(price.amount) for price in published.speech_models["universal-2"]]


async def test_a_change_that_cannot_be_read_is_named(store: Store) -> None:
    number = await add(store, "sync us", {"speech": {"model": {}}})

    with pytest.raises(PriceError, match=rf"^Price change {number} \(sync us\): speech: model is not known"):
        async with store.read() as connection:
            await price_books.merged(connection, BOOK)


async def test_two_writers_take_turns_so_that_numbers_are_in_the_order_of_commits(store: Store) -> None:
    order: list[int] = []

    async def write(usd: str) -> None:
        async with store.write() as connection:
            await price_books.lock(connection)
            await asyncio.sleep(0)
            number = await price_books.add(connection, "sync us", prices(usd), NOW)
            seen = await price_books.newest_id(connection)
        assert number == seen
        order.append(number)

    await asyncio.gather(*(write(f"0.1{n}") for n in range(5)))

    assert sorted(order) == order
    async with store.read() as connection:
        last = await price_books.merged(connection, BOOK)
        assert order == [one.id for one in await price_books.list_all(connection)]
    assert Decimal("0.15") == last.speech_models["universal-2"][0].amount

"""The running gateway's price book: the newest, in every process, without a restart."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.price_book import PriceBook
from aai_gateway.gateway import prices as module
from aai_gateway.gateway.prices import Prices
from aai_gateway.price_book import load_price_book
from aai_gateway.store import Store, price_books

BOOK = load_price_book()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield store
    await store.close()


def change(usd: str, since: datetime | None = None) -> dict[str, Any]:
    moment = (since or utc_now()).isoformat()
    return {"speech": {"models": {"universal-2": [{"from": moment, "usd": usd, "source": "a page"}]}}}


async def add(store: Store, body: dict[str, Any]) -> None:
    async with store.write() as connection:
        await price_books.add(connection, "sync us", body, utc_now())


async def newest(store: Store, prices: Prices) -> Decimal:
    async with store.read() as connection:
        return (await prices.book(connection)).speech_models["universal-2"][-1].amount


async def test_without_changes_it_is_the_packaged_book(store: Store) -> None:
    told: list[PriceBook] = []
    prices = Prices(BOOK, told.append)

    assert Decimal("0.15") == await newest(store, prices)
    assert BOOK is prices.current
    assert [] == told


async def test_a_new_book_is_taken_by_every_process_at_once(store: Store, tmp_path: Path) -> None:
    told: list[PriceBook] = []
    here, there = Prices(BOOK, told.append), Prices(BOOK)
    assert Decimal("0.15") == await newest(store, here)
    elsewhere = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    try:
        await add(elsewhere, change("0.12"))
        assert Decimal("0.12") == await newest(store, here)
        assert Decimal("0.12") == await newest(elsewhere, there)
        await add(elsewhere, change("0.11"))
        assert Decimal("0.11") == await newest(store, here)
        assert Decimal("0.11") == await newest(store, here)
    finally:
        await elsewhere.close()

    assert [Decimal("0.12"), Decimal("0.11")] == [b.speech_models["universal-2"][-1].amount for b in told]
    assert told[-1] is here.current


async def test_it_is_seen_within_the_transaction_that_books(store: Store) -> None:
    prices = Prices(BOOK)
    await add(store, change("0.12"))

    async with store.write() as connection:
        assert Decimal("0.12") == (await prices.book(connection)).speech_models["universal-2"][-1].amount


async def test_a_change_that_cannot_be_read_is_left_out_and_said(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    prices = Prices(BOOK)
    await add(store, change("0.12"))
    await add(store, {"of": "a later release"})

    with caplog.at_level(logging.ERROR, "aai_gateway"):
        assert Decimal("0.12") == await newest(store, prices)
        assert Decimal("0.12") == await newest(store, prices)
    assert 1 == caplog.text.count("Price change 2 (sync us): price book: of is not known here")
    await add(store, change("0.11"))
    assert Decimal("0.11") == await newest(store, prices)


async def test_who_follows_the_book_is_told_again_when_a_price_begins(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[PriceBook] = []
    prices = Prices(BOOK, told.append)
    await add(store, change("0.12", datetime(2099, 1, 1, tzinfo=timezone.utc)))
    await newest(store, prices)
    await newest(store, prices)
    assert 1 == len(told)

    monkeypatch.setattr(
        module, "utc_now", lambda: datetime(2099, 1, 1, tzinfo=timezone.utc) + timedelta(hours=1)
    )
    await newest(store, prices)
    await newest(store, prices)

    assert 2 == len(told)


async def test_who_follows_cannot_keep_the_ledger_from_booking(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(book: PriceBook) -> None:
        raise KeyError("LiteLLM")

    prices = Prices(BOOK, failing)
    await add(store, change("0.12"))

    assert Decimal("0.12") == await newest(store, prices)
    assert "the new price book could not be passed on" in caplog.text

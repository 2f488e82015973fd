"""The price book of a running gateway: always the newest, in every worker and replica, without a restart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.price_book import PriceBook
from aai_gateway.core.price_changes import next_change
from aai_gateway.errors import PriceError
from aai_gateway.store import price_books

log = logging.getLogger("aai_gateway")


class Prices:
    """Holds the book in force: the packaged one with the store's changes on it.

    `on_change` is called with the book when there is a new one, and when a line of it begins to hold.
    """

    def __init__(
        self, packaged: PriceBook, on_change: Callable[[PriceBook], None] = lambda book: None
    ) -> None:
        self._packaged = packaged
        self._on_change = on_change
        self._current = packaged
        self._number: int | None = None
        self._changes_at = next_change(packaged, utc_now())

    @property
    def current(self) -> PriceBook:
        """The book as it was last loaded, for what needs no price to the cent: lists of models, estimates."""
        return self._current

    async def book(self, connection: AsyncConnection) -> PriceBook:
        """The newest book, asked for on the connection, and in the transaction, that will book by it.

        A change that cannot be read is logged and left out. Raises what the database raises.
        """
        number = await price_books.newest_id(connection)
        if number != self._number:
            await self._load(connection, number)
        elif self._changes_at is not None and self._changes_at <= (now := utc_now()):
            self._take(self._current, now)
        return self._current

    async def _load(self, connection: AsyncConnection, number: int | None) -> None:
        overlays = await price_books.list_all(connection)
        if number == self._number:  # another request was faster
            return
        self._number = overlays[-1].id if overlays else None
        book = self._packaged
        for stored in overlays:
            try:
                book = stored.on(book)
            except PriceError as error:
                log.error("a change of the price book is left out: %s", error)
        log.info("prices are those of change %s", self._number)
        self._take(book, utc_now())

    def _take(self, book: PriceBook, now: datetime) -> None:
        self._current = book
        self._changes_at = next_change(book, now)
        try:
            self._on_change(book)
        except Exception:
            # Booking goes by our book alone: it must not fail with those who only follow it.
            log.exception("the new price book could not be passed on")

"""The price book in force, as the running gateway reads it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.prices import PriceBook


class Prices:
    """Holds the price book in force."""

    def __init__(self, packaged: PriceBook) -> None:
        self._book = packaged

    @property
    def current(self) -> PriceBook:
        """The book that was last read."""
        return self._book

    async def book(self, connection: AsyncConnection) -> PriceBook:
        """The newest book, as the store knows it on this connection."""
        return self._book

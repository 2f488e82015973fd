"""The changes to the packaged price book, in the order in which they were made. None is ever changed.

Their number is how a running gateway sees that there is a new one, so on Postgres, where numbers are given
before they are committed, one transaction at a time adds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.price_book import PriceBook
from aai_gateway.core.price_overlays import merge
from aai_gateway.core.price_parsing import parse_overlay
from aai_gateway.errors import PriceError
from aai_gateway.store import audit_log
from aai_gateway.store.schema import price_books

OWN = "load "
"""How the source of a contract's own prices begins; all others are published ones."""

_NEWEST = sa.select(sa.func.max(price_books.c.id))
_ALL = sa.select(price_books).order_by(price_books.c.id)


@dataclass(frozen=True, slots=True)
class StoredOverlay:
    """One change: its number, when it was stored, what made it, and its plain values."""

    id: int
    created_at: datetime
    source: str
    body: Mapping[str, Any]

    @property
    def own(self) -> bool:
        """Whether these are prices of one's own contract."""
        return self.source.startswith(OWN)

    def on(self, book: PriceBook) -> PriceBook:
        """`book` with this change on it. Raises PriceError naming the change and the key."""
        try:
            return merge(book, parse_overlay(self.body, own=self.own))
        except PriceError as error:
            raise PriceError(f"Price change {self.id} ({self.source}): {error}") from None


async def lock(connection: AsyncConnection) -> None:
    """Hold off others who would add, until this transaction ends; SQLite's writers take turns anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.text(f"LOCK TABLE {price_books.name} IN SHARE ROW EXCLUSIVE MODE"))


async def add(connection: AsyncConnection, source: str, body: Mapping[str, Any], now: datetime) -> int:
    """Store a change that was checked by merging it, after `lock`; its number."""
    values = {"created_at": now, "source": source, "body": dict(body)}
    query = sa.insert(price_books).values(**values).returning(price_books.c.id)
    number: int = (await connection.execute(query)).scalar_one()
    action = "prices.load" if source.startswith(OWN) else "prices.sync"
    audit_log.record(connection, action, f"price_book:{number}", {"source": source, "body": body})
    return number


async def newest_id(connection: AsyncConnection) -> int | None:
    """The number of the newest change, or None when there is none."""
    number: int | None = await connection.scalar(_NEWEST)
    return number


async def list_all(connection: AsyncConnection) -> list[StoredOverlay]:
    """Every change, oldest first."""
    rows = (await connection.execute(_ALL)).all()
    return [StoredOverlay(row.id, row.created_at, row.source, row.body) for row in rows]


async def merged(connection: AsyncConnection, packaged: PriceBook, *, own: bool = True) -> PriceBook:
    """`packaged` with every change on it, those of one's own contract only if `own`. Raises PriceError."""
    book = packaged
    for stored in await list_all(connection):
        if own or not stored.own:
            book = stored.on(book)
    return book

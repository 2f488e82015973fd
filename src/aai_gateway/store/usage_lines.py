"""Sums over the line items of usage rows, made by the database: no row is loaded.

SQLite and Postgres take JSON lists apart in their own ways, which differ here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.store._usage_filter import ALL, UsageFilter, conditions
from aai_gateway.store.schema import UtcDateTime, usage

_c = usage.c


@dataclass(frozen=True, slots=True)
class LineSum:
    """Line items that agree in what was charged, and at which price; `fallback`: the price was a stand-in.

    `unit_price` is USD per hour of seconds, or per million tokens. `count` is of line items.
    """

    service: str
    region: Region
    model: str | None
    name: str
    unit: str
    unit_price: Decimal
    fallback: bool
    quantity: int
    micros: int
    count: int


@dataclass(frozen=True, slots=True)
class Flagged:
    """Line items that the price book did not know: how many, what they were charged, first and last seen.

    `name` is None for rows that were booked without any line, because nothing could be priced.
    """

    service: str
    model: str | None
    name: str | None
    priced_as: str
    count: int
    micros: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class UnknownCompletions:
    """Completions whose answer never came, and what they may have cost at most; micro-dollars."""

    count: int
    held_micros: int


class Lines:
    """`usage` joined with its line items, whose values are text."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._sqlite = connection.dialect.name == "sqlite"
        each = sa.func.json_each if self._sqlite else sa.func.json_array_elements
        self._line = each(_c["items"]).table_valued("value")
        self.joined = usage.join(self._line, sa.true())
        self.joined_if_any = usage.outerjoin(self._line, sa.true())

    def text(self, name: str) -> sa.ColumnElement[Any]:
        # Names are ours and written out: Postgres takes two bound parameters for two different columns.
        if self._sqlite:
            return sa.func.json_extract(self._line.c.value, sa.literal_column(f"'$.{name}'"))
        return self._line.c.value.op("->>")(sa.literal_column(f"'{name}'"))

    def sum(self, name: str) -> sa.ColumnElement[Any]:
        return sa.func.coalesce(sa.func.sum(sa.cast(self.text(name), sa.BigInteger)), 0)


async def line_sums(connection: AsyncConnection, where: UsageFilter = ALL) -> list[LineSum]:
    """The line items of rows, summed by service, region, model, name, unit and unit price, in that order.

    Their sum is the rows'. Completions whose answer never came have no line that was charged.
    """
    lines = Lines(connection)
    groups = (
        _c.service,
        _c.region,
        _c.model,
        *(lines.text(name) for name in ("name", "unit", "unit_price")),
        lines.text("fallback").is_not(None),
    )
    summed = (lines.sum("quantity"), lines.sum("micros"), sa.func.count())
    query = sa.select(*groups, *summed).select_from(lines.joined).where(*conditions(where))
    rows = await connection.execute(query.where(_c.status != "unknown").group_by(*groups))
    # The same price may be written in several ways.
    merged: dict[tuple[Any, ...], LineSum] = {}
    for service, region, model, name, unit, price, fallback, *sums in rows:
        key = (service, Region(region), model, name, unit, Decimal(price), bool(fallback))
        line = merged.get(key) or LineSum(*key, quantity=0, micros=0, count=0)
        quantity, micros, count = map(int, sums)
        merged[key] = replace(
            line,
            quantity=line.quantity + quantity,
            micros=line.micros + micros,
            count=line.count + count,
        )
    return sorted(merged.values(), key=_order)


def _order(line: LineSum) -> tuple[Any, ...]:
    price = (line.unit, line.unit_price, line.fallback)
    return (line.service, line.region.value, line.model or "", line.name, *price)


async def flagged(connection: AsyncConnection, where: UsageFilter = ALL) -> list[Flagged]:
    """What was charged at another price than its own, by service, model and line, the dearest first."""
    lines = Lines(connection)
    groups = (_c.service, _c.model, lines.text("name"), _c.priced_as)
    moments = (
        sa.func.min(_c.created_at, type_=UtcDateTime()),
        sa.func.max(_c.created_at, type_=UtcDateTime()),
    )
    # Rows of the first release do not say which of their lines it is.
    says_which = sa.cast(_c["items"], sa.Text).like('%"fallback"%')
    query = (
        sa.select(*groups, sa.func.count(), lines.sum("micros"), *moments)
        .select_from(lines.joined_if_any)
        .where(_c.priced_as.is_not(None), *conditions(where))
        .where(lines.text("fallback").is_not(None) | ~says_which)
        .group_by(*groups)
    )
    rows = await connection.execute(query)
    found = [
        Flagged(service, model, name, priced_as, int(count), int(micros), first, last)
        for service, model, name, priced_as, count, micros, first, last in rows
    ]
    return sorted(found, key=lambda one: (-one.micros, one.service, one.model or "", one.name or ""))


async def unknown_completions(connection: AsyncConnection, where: UsageFilter = ALL) -> UnknownCompletions:
    """Completions that are on record at nothing because nobody knows how they ended."""
    lines = Lines(connection)
    query = sa.select(sa.func.count(sa.distinct(_c.id)), lines.sum("held_micros"))
    query = query.select_from(lines.joined_if_any).where(_c.status == "unknown", *conditions(where))
    count, held_micros = (await connection.execute(query)).one()
    return UnknownCompletions(int(count), int(held_micros))

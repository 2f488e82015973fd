"""Pages of what lies in several sorted parts (regions, services), newest first, both ways, at any depth.

A place is a moment and the row's number, so that rows of one moment have an order too. What is asked reads as
many index entries as the page shows, wherever the page is.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_TEXT = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")

Line = TypeVar("Line")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a list: when its row was made, and the row's number."""

    created_at: datetime
    seq: int

    @property
    def text(self) -> str:
        """The place as a URL takes it: microseconds since 1970, and the number."""
        return f"{(self.created_at - _EPOCH) // _MICROSECOND}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """The place that `text` stands for. Raises ValueError."""
        if (match := _TEXT.fullmatch(text)) is None:
            raise ValueError(f"{text!r} is no place in a list.")
        try:
            return cls(_EPOCH + int(match[1]) * _MICROSECOND, int(match[2]))
        except OverflowError:
            raise ValueError(f"{text!r} is no place in a list.") from None


@dataclass(frozen=True, slots=True)
class Page(Generic[Line]):
    """Lines, newest first. `older` and `newer` are places to go on from: before the one, after the other.

    None where the list ends.
    """

    lines: tuple[Line, ...]
    older: Place | None = None
    newer: Place | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that an index has in the order of `created_at` and `seq`.

    `query` has their conditions, `exists` the same ones without the columns that a line needs.
    """

    query: sa.Select[Any]
    exists: sa.Select[Any]
    created_at: sa.ColumnElement[Any]
    seq: sa.ColumnElement[Any]

    def between(self, low: Place | None, high: Place | None) -> list[sa.ColumnElement[bool]]:
        """Newer than `low` and older than `high`, where they are given."""
        place = sa.tuple_(self.created_at, self.seq)
        bounds: list[sa.ColumnElement[bool]] = []
        if low is not None:
            bounds.append(place > self._literal(low))
        if high is not None:
            bounds.append(place < self._literal(high))
        return bounds

    def _literal(self, place: Place) -> sa.Tuple:
        moment, seq = sa.literal(place.created_at, self.created_at.type), sa.literal(place.seq, self.seq.type)
        return sa.tuple_(moment, seq)


def day_bounds(since: date | None, until: date | None) -> tuple[Place | None, Place | None]:
    """Between which places the rows of the UTC days from `since` up to `until`, not included, lie."""
    low, high = (
        None if day is None else Place(datetime.combine(day, time(), timezone.utc), 0)
        for day in (since, until)
    )
    return low, high


async def read_page(
    connection: AsyncConnection,
    parts: Sequence[Part],
    line_of: Callable[[sa.RowMapping], tuple[Place, Line]],
    *,
    limit: int,
    days: tuple[Place | None, Place | None] = (None, None),
    before: Place | None = None,
    after: Place | None = None,
) -> Page[Line]:
    """The newest `limit` lines, those next older than `before`, or those next newer than `after`.

    With both, those between them, from the newer end.
    """
    rising = after is not None and before is None
    # One bound at each end: of two, SQLite may begin at the wrong one and read all between.
    low = max(filter(None, (days[0], after)), default=None)
    high = min(filter(None, (days[1], before)), default=None)
    found: list[list[tuple[Place, Line]]] = []
    for part in parts:
        order = (part.created_at, part.seq) if rising else (part.created_at.desc(), part.seq.desc())
        query = part.query.where(*part.between(low, high)).order_by(*order).limit(limit + 1)
        found.append([line_of(row) for row in (await connection.execute(query)).mappings()])
    lines = list(heapq.merge(*found, key=lambda one: one[0], reverse=not rising))
    goes_on = len(lines) > limit
    lines = sorted(lines[:limit], key=lambda one: one[0], reverse=True)
    if not lines:
        return Page(())
    newest, oldest = lines[0][0], lines[-1][0]
    older = await _is_any(connection, parts, days[0], oldest) if rising or after else goes_on
    newer = goes_on if rising else before is not None and await _is_any(connection, parts, newest, days[1])
    return Page(
        tuple(line for _, line in lines), older=oldest if older else None, newer=newest if newer else None
    )


async def _is_any(
    connection: AsyncConnection, parts: Sequence[Part], low: Place | None, high: Place | None
) -> bool:
    beyond = (part.exists.where(*part.between(low, high)).exists() for part in parts)
    return bool(await connection.scalar(sa.select(sa.or_(*beyond))))

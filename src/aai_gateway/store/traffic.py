"""Requests that were answered, as all processes count them: in all, and by the minute for a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.traffic import TOTAL_ONLY, Asked, Counted, Counts, Place, minute_of
from aai_gateway.store.schema import traffic, upstream_traffic

Group = Literal["period", "operation", "region", "status"]
Bundle = Literal["period", "host", "outcome"]

TOTAL = "total"
"""The period since the beginning; sorts after every minute."""
KEPT = timedelta(hours=24)

_SUMS = tuple(column.name for column in traffic.columns if not column.primary_key)


@dataclass(frozen=True, slots=True)
class TrafficRow:
    """Counts of the requests that agree in `keys`; a `period` is a UTC minute, YYYY-MM-DDTHH:MM."""

    keys: Mapping[str, Any]
    counts: Counts


@dataclass(frozen=True, slots=True)
class AskedRow:
    """How many requests to other hosts agree in `keys`."""

    keys: Mapping[str, Any]
    requests: int


async def add(connection: AsyncConnection, counted: Counted) -> None:
    """Add what a process counted to the totals and to its minutes. Needs `Store.write`."""
    served, asked = _served(counted), _asked(counted)
    name = connection.dialect.name
    # In one order, so that no two processes wait for each other's rows.
    if served:
        rows = [
            {"period": period, **_names(place), **dict(zip(_SUMS, served[period, place].flat(), strict=True))}
            for period, place in sorted(served, key=lambda key: (key[0], *_names(key[1]).values()))
        ]
        await connection.execute(_adding(name, traffic), rows)
    if asked:
        hosts = [
            {"period": period, "host": host, "outcome": outcome, "requests": asked[period, (host, outcome)]}
            for period, (host, outcome) in sorted(asked)
        ]
        await connection.execute(_adding(name, upstream_traffic), hosts)


async def totals(connection: AsyncConnection) -> dict[Place, Counts]:
    """Everything that was ever counted."""
    query = sa.select(traffic).where(traffic.c.period == TOTAL)
    return {Place(*row[1:4]): Counts.of(row[4:]) for row in await connection.execute(query)}


async def minutes(
    connection: AsyncConnection, since: datetime, *, by: Sequence[Group] = ()
) -> list[TrafficRow]:
    """What was counted in `since`'s minute and after, for each combination of `by`, in its order.

    Without `by`, one row, of zeros where there was nothing.
    """
    columns = (traffic.c[name] for name in _SUMS)
    rows = await connection.execute(_grouped(traffic, since, by, columns))
    width = len(by)
    return [
        TrafficRow(dict(zip(by, row[:width], strict=True)), Counts.of(map(int, row[width:]))) for row in rows
    ]


async def upstream_totals(connection: AsyncConnection) -> dict[Asked, int]:
    """How often each host was ever asked, by how that ended."""
    u = upstream_traffic.c
    query = sa.select(u.host, u.outcome, u.requests).where(u.period == TOTAL)
    return {(host, outcome): requests for host, outcome, requests in await connection.execute(query)}


async def upstream_minutes(
    connection: AsyncConnection, since: datetime, *, by: Sequence[Bundle] = ()
) -> list[AskedRow]:
    """How often hosts were asked in `since`'s minute and after, for each combination of `by`."""
    rows = await connection.execute(_grouped(upstream_traffic, since, by, [upstream_traffic.c.requests]))
    return [AskedRow(dict(zip(by, row[:-1], strict=True)), int(row[-1])) for row in rows]


async def prune(connection: AsyncConnection, now: datetime) -> None:
    """Forget the minutes that are older than a day. Needs `Store.write`."""
    for table in (traffic, upstream_traffic):
        await connection.execute(sa.delete(table).where(table.c.period < minute_of(now - KEPT)))


def _served(counted: Counted) -> dict[tuple[str, Place], Counts]:
    found: dict[tuple[str, Place], Counts] = {}
    for (minute, place), counts in counted.served.items():
        for period in _periods(minute):
            found[period, place] = found.get((period, place), Counts()) + counts
    return found


def _asked(counted: Counted) -> dict[tuple[str, Asked], int]:
    found: dict[tuple[str, Asked], int] = {}
    for (minute, asked), requests in counted.asked.items():
        for period in _periods(minute):
            found[period, asked] = found.get((period, asked), 0) + requests
    return found


def _periods(minute: str) -> Iterator[str]:
    yield TOTAL
    if minute != TOTAL_ONLY:
        yield minute


def _names(place: Place) -> dict[str, Any]:
    return {"operation": place.operation, "region": place.region, "status": place.status}


@cache
def _adding(name: str, table: sa.Table) -> Any:
    dialect: Any = postgresql if name == "postgresql" else sqlite
    statement = dialect.insert(table)
    sums = [column.name for column in table.columns if not column.primary_key]
    more = {sum_: table.c[sum_] + statement.excluded[sum_] for sum_ in sums}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=more)


def _grouped(table: sa.Table, since: datetime, by: Sequence[str], sums: Any) -> sa.Select[Any]:
    groups = [table.c[name] for name in by]
    summed = (sa.func.coalesce(sa.func.sum(column), 0) for column in sums)
    periods = (table.c.period >= minute_of(since), table.c.period < TOTAL)
    return sa.select(*groups, *summed).where(*periods).group_by(*groups).order_by(*groups)

"""Statements drawn up from the ledger: of one team, or of all, whose sum is the month's total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.core.names import Names
from aai_gateway.core.statements import PARTS, Share, Statement, StatementLine, month_end, require_whole
from aai_gateway.errors import StoreError
from aai_gateway.store import usage, usage_lines
from aai_gateway.store.names import load_names
from aai_gateway.store.usage import UsageFilter

NO_TEAM = "no team"
"""What is charged to the master key, and to keys without a team."""


@dataclass(frozen=True, slots=True)
class DaySum:
    """What a service cost in a region on a UTC day; micro-dollars."""

    day: str
    service: str
    region: str
    micros: int


async def of_team(connection: AsyncConnection, team_id: str, month: datetime) -> Statement:
    """A team's statement for the month that begins at `month`. Needs `Store.snapshot`.

    Raises StoreError when its lines do not add up to its rows.
    """
    return await _drawn_up(connection, _of(month, team_id), await load_names(connection), month)


async def of_all(connection: AsyncConnection, month: datetime) -> list[Statement]:
    """The statement of each team, and one of what belongs to none where there is such. Needs
    `Store.snapshot`.

    Raises StoreError when they do not add up to the month.
    """
    whole = _of(month)
    names = await load_names(connection)
    booked = [row.keys["team_id"] for row in await usage.summary(connection, ("team_id",), whole)]
    ids = sorted({*names.teams, *(one for one in booked if one is not None)})
    wheres = [replace(whole, team_id=one) for one in ids]
    if None in booked:
        wheres.append(replace(whole, no_team=True))
    made = [await _drawn_up(connection, where, names, month) for where in wheres]
    expected = (await usage.total(connection, whole)).micros
    if (found := sum(one.micros for one in made)) != expected:
        raise StoreError(f"The teams add up to {dollars(found)}, the month to {dollars(expected)}.")
    return made


async def by_day(connection: AsyncConnection, statement: Statement, month: datetime) -> list[DaySum]:
    """The days of a statement, taken apart by service and region."""
    where = _of(month, statement.team_id)
    if statement.team_id is None:
        where = replace(where, no_team=True)
    rows = await usage.summary(connection, ("day", "service", "region"), where)
    return [
        DaySum(row.keys["day"] or "", row.keys["service"] or "", row.keys["region"] or "", row.micros)
        for row in rows
    ]


def _of(month: datetime, team_id: str | None = None) -> UsageFilter:
    return UsageFilter(team_id=team_id, since=month, until=month_end(month))


async def _drawn_up(
    connection: AsyncConnection, where: UsageFilter, names: Names, month: datetime
) -> Statement:
    total = await usage.total(connection, where)
    unknown = await usage_lines.unknown_completions(connection, where)
    now = utc_now()
    made = Statement(
        team=names.team(where.team_id) or NO_TEAM,
        team_id=where.team_id,
        month=f"{month:%Y-%m}",
        has_ended=month_end(month) <= now,
        drawn_up=now,
        micros=total.micros,
        jobs=total.jobs,
        failed=total.failed,
        flagged=total.flagged,
        unknown=unknown.count,
        unknown_micros=unknown.held_micros,
        lines=[
            StatementLine(
                service=line.service,
                region=line.region,
                model=line.model,
                item=line.name,
                quantity=line.quantity,
                unit=line.unit,
                unit_price=line.unit_price,
                fallback=line.fallback,
                micros=line.micros,
            )
            for line in await usage_lines.line_sums(connection, where)
        ],
        parts={part: await _shares(connection, part, where, names) for part in PARTS},
    )
    require_whole(made)
    return made


async def _shares(
    connection: AsyncConnection, part: str, where: UsageFilter, names: Names
) -> Sequence[Share]:
    group: usage.Group = "key_hash" if part == "key" else part  # type: ignore[assignment]  # PARTS holds groups
    found = [(row.keys[group], row) for row in await usage.summary(connection, [group], where)]
    named = [(names.key(value) if part == "key" else value, row) for value, row in found]
    return [Share(name, row.jobs, row.micros) for name, row in named]

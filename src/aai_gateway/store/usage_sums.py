"""The sums over `usage`: written with each row, read by pages and metrics, built anew from the rows.

They are kept by adding what `core.rollups` says of each row, and built anew by the database from the rows
themselves: two ways to the same figures, which `check` holds against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.rollups import ALL_TEAMS, PARTS, SUMS, Part, Place, Sums, contributions
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.store._budgets import IS_GATEWAY, locked
from aai_gateway.store.schema import IS_TOTAL, gateway_budget, usage, usage_sums, usage_tags
from aai_gateway.store.usage_lines import Lines

Group = Literal["team_id", "period", "service", "region", "model", "name"]

_c = usage_sums.c
_u = usage.c
_PLACE = tuple(column.name for column in usage_sums.primary_key)
_place = attrgetter(*_PLACE)
_NONE: Any = sa.literal_column("''")


@dataclass(frozen=True, slots=True)
class SumRow:
    """Sums of the places that agree in `keys`."""

    keys: Mapping[str, str]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Difference:
    """A sum that is not what the rows add up to."""

    place: Place
    kept: Sums
    rows: Sums


async def add(connection: AsyncConnection, row: UsageRow) -> None:
    """Count a new row in. Needs `Store.write`, and the gateway's budget locked: all add to the same sums."""
    await _add(connection, contributions(row, _day_of(row)))


async def replace(connection: AsyncConnection, old: UsageRow, new: UsageRow) -> None:
    """Count a row in that was written over another."""
    changed = {place: -sums for place, sums in contributions(old, _day_of(old)).items()}
    for place, sums in contributions(new, _day_of(new)).items():
        changed[place] = changed.get(place, Sums()) + sums
    await _add(connection, changed)


def _day_of(row: UsageRow) -> date:
    return row.created_at.astimezone(timezone.utc).date()


async def _add(connection: AsyncConnection, added: Mapping[Place, Sums]) -> None:
    columns = (*_PLACE, *SUMS)
    values = [
        dict(zip(columns, (*_place(place), *sums.values), strict=True)) for place, sums in added.items()
    ]
    await connection.execute(_adding(connection.dialect.name), values)


@cache
def _adding(name: str) -> Any:
    dialect: Any = postgresql if name == "postgresql" else sqlite
    statement = dialect.insert(usage_sums)
    more = {sum_: _c[sum_] + statement.excluded[sum_] for sum_ in SUMS}
    return statement.on_conflict_do_update(index_elements=_PLACE, set_=more)


async def read(
    connection: AsyncConnection,
    part: Part,
    periods: Sequence[str] | None,
    *,
    by: Sequence[Group] = (),
    team_id: str | None = ALL_TEAMS,
    limit: int | None = None,
) -> list[SumRow]:
    """The sums of a part over `periods`, or since the beginning, for each combination of `by`, dearest first.

    Of one team, of what belongs to none (`NO_TEAM`), of all together, or, with None, of each of them: then
    `by` has `team_id` to tell them apart, `ALL_TEAMS` not among them.
    """
    query = _reading(part, tuple(by), each_team=team_id is None, ever=periods is None, limit=limit)
    whose = {"of_team": ALL_TEAMS if team_id is None else team_id}
    rows = await connection.execute(query, whose if periods is None else whose | {"of_periods": periods})
    width = len(by)
    return [
        SumRow(dict(zip(by, row[:width], strict=True)), Sums(*map(int, row[width:]))) for row in rows.all()
    ]


@lru_cache
def _reading(
    part: Part, by: tuple[Group, ...], *, each_team: bool, ever: bool, limit: int | None
) -> sa.Select[Any]:
    """Built once for each kind of question: a page asks ten, and building costs more than running them."""
    team_id: sa.BindParameter[str] = sa.bindparam("of_team")
    groups = [_c[name] for name in by]
    whose = _c.team_id != team_id if each_team else _c.team_id == team_id
    # Every row is in a month.
    month = sa.func.length(_c.period) == len("2026-11")
    when = month if ever else _c.period.in_(sa.bindparam("of_periods", expanding=True))
    query = sa.select(*groups, *(sa.func.coalesce(sa.func.sum(_c[sum_]), 0) for sum_ in SUMS))
    # The part is written out, not bound: only so is the partial index of totals taken.
    query = query.where(whose, _c.part == sa.literal_column(f"'{part}'"), when).group_by(*groups)
    if groups:
        dearest = sa.func.sum(_c.micros).desc()
        query = query.having(sa.func.sum(_c.jobs) != 0).order_by(dearest, *groups).limit(limit)
    return query


async def micros_of_teams(
    connection: AsyncConnection, periods: Sequence[str], team_id: str | None = None
) -> dict[str, int]:
    """What each team, or one, spent in `periods` together, for tables of all teams."""
    whose = _c.team_id != ALL_TEAMS if team_id is None else _c.team_id == team_id
    query = sa.select(_c.team_id, sa.func.sum(_c.micros)).where(whose, IS_TOTAL, _c.period.in_(periods))
    rows = (await connection.execute(query.group_by(_c.team_id))).all()
    return {team: int(micros) for team, micros in rows}


async def total(connection: AsyncConnection, periods: Sequence[str], *, team_id: str = ALL_TEAMS) -> Sums:
    """What a team, or all together, used in `periods`."""
    return (await read(connection, "total", periods, team_id=team_id))[0].sums


# -- built anew -------------------------------------------------------------------------------------------


async def first_and_last_day(connection: AsyncConnection) -> tuple[date, date] | None:
    """The UTC days of the oldest and the newest row, or of what is kept where that reaches further.

    Of what is kept its first month's first day.
    """
    # One by one: only so does a database look at the ends alone.
    found = [
        moment.astimezone(timezone.utc).date()
        for end in (sa.func.min(_u.created_at), sa.func.max(_u.created_at))
        if (moment := await connection.scalar(sa.select(end))) is not None
    ]
    for end in (sa.func.min(_c.period), sa.func.max(_c.period)):
        if (period := await connection.scalar(sa.select(end))) is not None:
            found.append(date.fromisoformat(period if len(period) == len("2026-11-21") else f"{period}-01"))
    return (min(found), max(found)) if found else None


async def rebuild_day(connection: AsyncConnection, day: date) -> None:
    """Make a UTC day's sums anew from its rows, while nothing is booked. Needs `Store.write`."""
    await locked(connection, gateway_budget, IS_GATEWAY)
    period = f"{day:%Y-%m-%d}"
    await connection.execute(sa.delete(usage_sums).where(_c.period == period, _c.part.in_(PARTS)))
    columns = [*_PLACE, *SUMS]
    for query in _day_queries(connection, day):
        await connection.execute(sa.insert(usage_sums).from_select(columns, query))
    everybody = _summed(sa.literal(ALL_TEAMS), _c.period, (_c.period == period, _c.team_id != ALL_TEAMS))
    await connection.execute(sa.insert(usage_sums).from_select(columns, everybody))


async def teams_in(connection: AsyncConnection, month: date) -> list[str]:
    """Under whom there are sums of a UTC month or of its days, `ALL_TEAMS` among them."""
    period = f"{month:%Y-%m}"
    query = sa.select(_c.team_id).where(_c.period >= period, _c.period < f"{period}~").distinct()
    return sorted(await connection.scalars(query))


async def rebuild_month(
    connection: AsyncConnection, month: date, team_ids: Sequence[str] | None = None
) -> None:
    """Make a UTC month's sums anew from its days', while nothing is booked; those of some teams, if so told.

    All of a large ledger's would hold bookings up for long. Needs `Store.write`.
    """
    await locked(connection, gateway_budget, IS_GATEWAY)
    period, theirs = f"{month:%Y-%m}", () if team_ids is None else (_c.team_id.in_(team_ids),)
    gone = sa.delete(usage_sums).where(_c.period == period, _c.part.in_(PARTS), *theirs)
    await connection.execute(gone)
    summed = _summed(_c.team_id, sa.literal(period), (*_days_of(period), *theirs))
    await connection.execute(sa.insert(usage_sums).from_select([*_PLACE, *SUMS], summed))


async def check_day(connection: AsyncConnection, day: date) -> list[Difference]:
    """Where a UTC day's sums are not what its rows add up to."""
    rows: dict[Place, Sums] = {}
    for query in _day_queries(connection, day):
        for place, sums in _placed(await connection.execute(query)):
            rows[place] = sums
            everybody = Place(ALL_TEAMS, *astuple(place)[1:])
            rows[everybody] = rows.get(everybody, Sums()) + sums
    return await _differences(connection, f"{day:%Y-%m-%d}", rows)


async def check_month(connection: AsyncConnection, month: date) -> list[Difference]:
    """Where a UTC month's sums are not what its days' add up to."""
    period = f"{month:%Y-%m}"
    summed = _summed(_c.team_id, sa.literal(period), _days_of(period))
    return await _differences(connection, period, dict(_placed(await connection.execute(summed))))


async def _differences(
    connection: AsyncConnection, period: str, rows: Mapping[Place, Sums]
) -> list[Difference]:
    query = sa.select(usage_sums).where(_c.period == period, _c.part.in_(PARTS))
    kept = dict(_placed(await connection.execute(query)))
    places = sorted(kept.keys() | rows.keys(), key=astuple)
    compared = [Difference(place, kept.get(place, Sums()), rows.get(place, Sums())) for place in places]
    return [one for one in compared if one.kept != one.rows]


def _placed(rows: Iterable[Any]) -> Iterable[tuple[Place, Sums]]:
    width = len(_PLACE)
    return ((Place(*row[:width]), Sums(*map(int, row[width:]))) for row in rows)


def _days_of(month: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _c.period > month, _c.period < f"{month}~"


def _summed(team_id: Any, period: Any, where: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    """Sums over sums, under another team or period."""
    same = (_c.part, _c.service, _c.region, _c.model, _c.name)
    place = (team_id.label("team"), _c.part, period.label("of"), *same[1:])
    sums = (sa.func.sum(_c[sum_]) for sum_ in SUMS)
    groups = [column for column in (team_id, period) if isinstance(column, sa.Column)]
    # Written out part by part: only so is the index of periods taken.
    return sa.select(*place, *sums).where(*where, _c.part.in_(PARTS)).group_by(*groups, *same)


def _day_queries(connection: AsyncConnection, day: date) -> list[sa.Select[Any]]:
    """What a day's rows add up to, part by part, under their teams; the columns are the table's."""
    midnight = datetime.combine(day, time(), timezone.utc)
    where = (_u.created_at >= midnight, _u.created_at < midnight + timedelta(days=1))
    team, period = sa.func.coalesce(_u.team_id, ""), sa.literal(f"{day:%Y-%m-%d}")
    kind = (_u.service, _u.region, sa.func.coalesce(_u.model, ""))
    whole = (
        sa.func.sum(_u.micros),
        sa.func.count(),
        sa.func.sum(sa.case((_u.status == "error", 1), else_=0)),
        sa.func.sum(sa.case((_u.priced_as.is_not(None), 1), else_=0)),
        sa.func.sum(sa.case((_u.priced_as.is_not(None), _u.micros), else_=0)),
        sa.func.sum(sa.case((_u.status == "unknown", 1), else_=0)),
        sa.func.sum(_u.audio_seconds),
        sa.func.sum(_u.prompt_tokens),
        sa.func.sum(_u.completion_tokens),
        sa.literal(0),
    )
    lines = Lines(connection)
    item = (lines.sum("micros"), sa.func.count(), *[sa.literal(0)] * 7, lines.sum("quantity"))
    tagged = usage.join(usage_tags, usage_tags.c.usage_id == _u.id)
    key = sa.func.coalesce(_u.key_hash, "")

    def part(name: Part, names: Sequence[Any], sums: Sequence[Any], table: Any = usage) -> sa.Select[Any]:
        query = sa.select(team, sa.literal(name), period, *names, *sums).select_from(table).where(*where)
        # By position: Postgres takes two bound parameters for two different expressions.
        width = 3 + len(names)
        grouped: list[Any] = [sa.literal_column(str(n)) for n in range(1, width + 1) if n not in (2, 3)]
        return query.group_by(*grouped)

    nothing = (_NONE, _NONE, _NONE)
    return [
        part("total", (*nothing, _NONE), whole),
        part("model", (*kind, _NONE), whole),
        part("item", (*kind, lines.text("name")), item, lines.joined),
        part("key", (*nothing, key), whole),
        part("tag", (*nothing, usage_tags.c.tag), whole, tagged),
    ]

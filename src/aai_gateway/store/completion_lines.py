"""Completions, and understanding requests, as people list them: a team's or a key's, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.core.rollups import ALL_TEAMS, NO_TEAM
from aai_gateway.core.usage_rows import Service, UsageRow
from aai_gateway.store.paging import Page, Part, Place, day_bounds, read_page
from aai_gateway.store.schema import teams, usage, usage_sums, virtual_keys
from aai_gateway.store.usage import usage_of

SERVICES: tuple[Service, ...] = ("chat", "understanding")
"""What is listed here; jobs are in `transcript_lines`."""

_c = usage.c
_COLUMNS = tuple(column.name for column in _c)
_lines = (
    sa.select(
        usage,
        teams.c.alias.label("of_team"),
        sa.func.coalesce(virtual_keys.c.alias, virtual_keys.c.masked).label("of_key"),
    )
    .select_from(usage)
    .outerjoin(teams, teams.c.id == _c.team_id)
    .outerjoin(virtual_keys, virtual_keys.c.hash == _c.key_hash)
)


@dataclass(frozen=True, slots=True)
class Line:
    """A completion's row of the ledger, its team's name, and its key's name or masked form."""

    row: UsageRow
    team: str | None
    key: str | None

    @property
    def place(self) -> Place:
        """Where it is in the list."""
        assert self.row.id is not None
        return Place(self.row.created_at, self.row.id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: those that agree with all that is given. A team or a key is; `NO_TEAM` is what has none.

    A key's are those that it made for the team, where both are given. Those booked on the UTC days from
    `since` up to `until`, which is not among them. Raises ValueError for everybody's: no index has them in
    their order.
    """

    team_id: str | None = None
    key_hash: str | None = None
    service: Service | None = None
    region: Region | None = None
    model: str | None = None
    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        if self.team_id is None and self.key_hash is None:
            raise ValueError("Completions are listed of a team or of a key.")


async def page(
    connection: AsyncConnection,
    wanted: Wanted,
    limit: int,
    *,
    before: Place | None = None,
    after: Place | None = None,
) -> Page[Line]:
    """The newest rows, those next older than a place, or those next newer. Costs the same anywhere.

    Of a model that was seldom used, the days between its first and its last are read.
    """
    if wanted.model is not None:
        narrowed = await _to_days_of_model(connection, wanted)
        if narrowed is None:
            return Page(())
        wanted = narrowed
    services = SERVICES if wanted.service is None else (wanted.service,)
    parts = [_part(wanted, service) for service in services]
    days = day_bounds(wanted.since, wanted.until)
    return await read_page(connection, parts, _line_of, limit=limit, days=days, before=before, after=after)


async def _to_days_of_model(connection: AsyncConnection, wanted: Wanted) -> Wanted | None:
    """The same between the first and the last day on which the model ran; None when it never did."""
    s = usage_sums.c
    team_id = ALL_TEAMS if wanted.team_id is None else wanted.team_id
    ran = (s.team_id == team_id, s.part == "model", s.model == wanted.model, s.jobs != 0)
    query = sa.select(sa.func.min(s.period), sa.func.max(s.period)).where(
        *ran, sa.func.length(s.period) == 10
    )
    first, last = (await connection.execute(query)).one()
    if first is None:
        return None
    since, until = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    return replace(
        wanted,
        since=since if wanted.since is None else max(since, wanted.since),
        until=until if wanted.until is None else min(until, wanted.until),
    )


def _part(wanted: Wanted, service: Service) -> Part:
    conditions = [_c.service == service, *_whose(wanted)]
    if wanted.region is not None:
        conditions.append(_c.region == wanted.region.value)
    if wanted.model is not None:
        conditions.append(_c.model == wanted.model)
    hint = f"INDEXED BY {_index(wanted)}"
    query, exists = (
        select.where(*conditions).with_hint(usage, hint, "sqlite") for select in (_lines, sa.select(_c.id))
    )
    return Part(query, exists, _c.created_at, _c.id)


def _whose(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.key_hash is not None:
        found.append(_c.key_hash == wanted.key_hash)
    if wanted.team_id == NO_TEAM:
        found.append(_c.team_id.is_(None))
    elif wanted.team_id is not None:
        found.append(_c.team_id == wanted.team_id)
    return found


def _index(wanted: Wanted) -> str:
    """The index that has what is wanted in its order."""
    whose = "team_id" if wanted.key_hash is None else "key_hash"
    return f"ix_usage_{whose}_service_created_at_id"


def _line_of(row: sa.RowMapping) -> tuple[Place, Line]:
    own = {name: row[name] for name in _COLUMNS}
    line = Line(usage_of(own), row["of_team"], row["of_key"])
    return line.place, line

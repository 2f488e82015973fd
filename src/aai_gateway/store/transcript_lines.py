"""Transcripts as people list them: of every region, with their team's and key's name and what they cost."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.errors import StoreError
from aai_gateway.store.schema import teams, transcripts, usage, virtual_keys
from aai_gateway.store.transcripts import Transcript, transcript_of

PAGE = 500
"""Lines that are read at once."""

_c = transcripts.c
_place = sa.tuple_(_c.created_at, _c.seq)
_lines = (
    sa.select(
        transcripts,
        teams.c.alias.label("of_team"),
        sa.func.coalesce(virtual_keys.c.alias, virtual_keys.c.masked).label("of_key"),
        usage.c.model.label("with_model"),
        usage.c.audio_seconds.label("with_seconds"),
        usage.c.micros.label("for_micros"),
    )
    .select_from(transcripts)
    .outerjoin(teams, teams.c.id == _c.team_id)
    .outerjoin(virtual_keys, virtual_keys.c.hash == _c.key_hash)
    .outerjoin(
        usage,
        sa.and_(
            usage.c.service == sa.literal_column("'speech'"),
            usage.c.region == _c.region,
            usage.c.source_id == _c.id,
        ),
    )
)
_OURS = ("of_team", "of_key", "with_model", "with_seconds", "for_micros")


@dataclass(frozen=True, slots=True)
class Line:
    """A transcript, its team's name, its key's name or masked form, and what the ledger has of it."""

    transcript: Transcript
    team: str | None
    key: str | None
    model: str | None
    audio_seconds: int | None
    micros: int | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transcripts: those that agree with all that is given. `created_on` is a UTC day."""

    owner: str | None = None
    key_hash: str | None = None
    region: Region | None = None
    status: str | None = None
    created_on: date | None = None
    deleting: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the list."""

    created_at: datetime
    seq: int


async def place_of(connection: AsyncConnection, transcript_id: str) -> Place:
    """The place of a transcript. Raises StoreError when there is none."""
    regions = [region.value for region in ALL_REGIONS]
    query = sa.select(_c.created_at, _c.seq).where(_c.region.in_(regions), _c.id == transcript_id)
    if (found := (await connection.execute(query)).first()) is None:
        raise StoreError(f"There is no transcript {transcript_id}.")
    return Place(found.created_at, found.seq)


def after(line: Line) -> Place:
    """The place of a line: what is older follows."""
    assert line.transcript.seq is not None
    return Place(line.transcript.created_at, line.transcript.seq)


async def newest(
    connection: AsyncConnection, wanted: Wanted, limit: int, before: Place | None = None
) -> list[Line]:
    """The newest transcripts, or those next older than a place, newest first. Costs the same anywhere."""
    regions = ALL_REGIONS if wanted.region is None else (wanted.region,)
    found = [await _of_region(connection, wanted, region, limit, before) for region in regions]
    return list(heapq.merge(*found, key=after, reverse=True))[:limit]


async def pages(
    connection: AsyncConnection, wanted: Wanted, limit: int | None, before: Place | None = None
) -> AsyncIterator[list[Line]]:
    """The lines of `newest`, all of them or the first `limit`, a page at a time however many there are."""
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = await newest(connection, wanted, size, before)
        if page:
            yield page
        if len(page) < size:
            return
        before, left = after(page[-1]), None if left is None else left - size


async def _of_region(
    connection: AsyncConnection, wanted: Wanted, region: Region, limit: int, before: Place | None
) -> list[Line]:
    query = _lines.where(*_conditions(wanted, region)).order_by(_c.created_at.desc(), _c.seq.desc())
    if before is not None:
        last = (sa.literal(before.created_at, _c.created_at.type), sa.literal(before.seq))
        query = query.where(_place < sa.tuple_(*last))
    return [_line_of(row) for row in (await connection.execute(query.limit(limit))).mappings()]


def _conditions(wanted: Wanted, region: Region) -> list[sa.ColumnElement[bool]]:
    equal = ((_c.owner, wanted.owner), (_c.key_hash, wanted.key_hash), (_c.status, wanted.status))
    found: list[sa.ColumnElement[bool]] = [_c.region == region.value]
    found += [column == value for column, value in equal if value is not None]
    if wanted.created_on is not None:
        midnight = datetime.combine(wanted.created_on, time(), timezone.utc)
        found += [_c.created_at >= midnight, _c.created_at < midnight + timedelta(days=1)]
    if wanted.deleting:
        found.append(_c.deleting_since.is_not(None))
    return found


def _line_of(row: sa.RowMapping) -> Line:
    values = {name: value for name, value in row.items() if name not in _OURS}
    return Line(transcript_of(values), *(row[name] for name in _OURS))

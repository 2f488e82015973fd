"""Transcripts as people list them: of every region, with their team's and key's name and what they cost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.errors import StoreError
from aai_gateway.store.paging import Page, Part, Place, day_bounds, read_page
from aai_gateway.store.schema import IS_DELETED, IS_UNSETTLED, teams, transcripts, usage, virtual_keys
from aai_gateway.store.transcripts import Transcript, transcript_of
from aai_gateway.store.usage import UsageRow, usage_of

State = Literal["queued", "processing", "completed", "error", "deleted", "unsettled", "deleting"]
"""A status, or: deleted; not booked yet; still to be deleted at AssemblyAI."""

PAGE = 500
"""Lines that are read at once."""

_c = transcripts.c
_COLUMNS = tuple(column.name for column in _c)
_USAGE_COLUMNS = tuple(column.name for column in usage.c)
_BOOKED = "booked_"
_lines = (
    sa.select(
        transcripts,
        teams.c.alias.label("of_team"),
        sa.func.coalesce(virtual_keys.c.alias, virtual_keys.c.masked).label("of_key"),
        *(usage.c[name].label(f"{_BOOKED}{name}") for name in _USAGE_COLUMNS),
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
# Written out, not bound: only so is the partial index taken.
_IS_ERROR = _c.status == sa.literal_column("'error'")


@dataclass(frozen=True, slots=True)
class Line:
    """A transcript, its team's name, its key's name or masked form, and its row of the ledger, if booked."""

    transcript: Transcript
    team: str | None
    key: str | None
    booked: UsageRow | None

    @property
    def place(self) -> Place:
        """Where it is in the list."""
        assert self.transcript.seq is not None
        return Place(self.transcript.created_at, self.transcript.seq)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which transcripts: those that agree with all that is given. A key's are those it made for `owner`.

    Those made on the UTC days from `since` up to `until`, which is not among them.
    """

    owner: str | None = None
    key_hash: str | None = None
    region: Region | None = None
    state: State | None = None
    since: date | None = None
    until: date | None = None


async def place_of(connection: AsyncConnection, transcript_id: str) -> Place:
    """The place of a transcript. Raises StoreError when there is none."""
    regions = [region.value for region in ALL_REGIONS]
    query = sa.select(_c.created_at, _c.seq).where(_c.region.in_(regions), _c.id == transcript_id)
    if (found := (await connection.execute(query)).first()) is None:
        raise StoreError(f"There is no transcript {transcript_id}.")
    return Place(found.created_at, found.seq)


async def page(
    connection: AsyncConnection,
    wanted: Wanted,
    limit: int,
    *,
    before: Place | None = None,
    after: Place | None = None,
) -> Page[Line]:
    """The newest transcripts, those next older than a place, or those next newer. Costs the same anywhere."""
    regions = ALL_REGIONS if wanted.region is None else (wanted.region,)
    days = day_bounds(wanted.since, wanted.until)
    parts = [_part(wanted, region) for region in regions]
    return await read_page(connection, parts, _line_of, limit=limit, days=days, before=before, after=after)


async def pages(
    connection: AsyncConnection, wanted: Wanted, limit: int | None, before: Place | None = None
) -> AsyncIterator[Page[Line]]:
    """All lines, or the first `limit`, a page at a time however many there are."""
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        found = await page(connection, wanted, size, before=before)
        if found.lines:
            yield found
        if found.older is None:
            return
        before, left = found.older, None if left is None else left - len(found.lines)


def _part(wanted: Wanted, region: Region) -> Part:
    conditions = [_c.region == region.value, *_whose(wanted), *_state(wanted.state)]
    hint = f"INDEXED BY {_index(wanted)}"
    query, exists = (
        select.where(*conditions).with_hint(transcripts, hint, "sqlite")
        for select in (_lines, sa.select(_c.seq))
    )
    return Part(query, exists, _c.created_at, _c.seq)


def _whose(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.key_hash is not None:
        found.append(_c.key_hash == wanted.key_hash)
    if wanted.owner is not None:
        found.append(_c.owner == wanted.owner)
    return found


def _state(state: State | None) -> list[sa.ColumnElement[bool]]:
    match state:
        case None:
            return []
        case "deleted":
            return [IS_DELETED]
        case "deleting":
            return [_c.deleting_since.is_not(None)]
        case "unsettled":
            return [IS_UNSETTLED]
        case "error":
            return [_IS_ERROR]
        case "queued" | "processing":
            # A job that has not ended is not settled either: of these there are few.
            return [_c.status == state, IS_UNSETTLED]
        case _:
            return [_c.status == state]


def _index(wanted: Wanted) -> str:
    """The index that has what is wanted in its order. Left to itself, SQLite may read everybody's day."""
    whose = "owner" if wanted.owner is not None else None
    whose = "key_hash" if wanted.key_hash is not None else whose
    match wanted.state:
        case "unsettled" | "queued" | "processing":
            return "ix_transcripts_unsettled_latest"
        case "deleted":
            return "ix_transcripts_deleted" if wanted.owner is None else "ix_transcripts_deleted_of_owner"
        case "error" if whose is None:
            return "ix_transcripts_failed"
        case "error" | "completed" if whose is not None:
            return f"ix_transcripts_region_{whose}_status_created_at_seq"
        case _:
            return f"ix_transcripts_region_{whose + '_' if whose else ''}created_at_seq"


def _line_of(row: sa.RowMapping) -> tuple[Place, Line]:
    own: dict[str, Any] = {name: row[name] for name in _COLUMNS}
    booked = None
    if row[f"{_BOOKED}id"] is not None:
        booked = usage_of({name: row[f"{_BOOKED}{name}"] for name in _USAGE_COLUMNS})
    line = Line(transcript_of(own), row["of_team"], row["of_key"], booked)
    return line.place, line

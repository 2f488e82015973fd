"""Transcripts: whose each is, what was asked of it, how far it has come, and when to look at it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.matching import DELETED_URL
from aai_gateway.core.regions import Region
from aai_gateway.errors import NotFound
from aai_gateway.store import audit_log
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import IS_THROTTLED, intents, transcripts

_c = transcripts.c
# Built once: every poll asks this, and building a statement costs more than running it.
_CHANGE = sa.update(transcripts).where(_c.region == sa.bindparam("of_region"), _c.id == sa.bindparam("of_id"))
# A job whose deletion is ordered is due for it once it is settled. One that a client deleted while it ran
# stays due until it is settled.
_due_at = sa.bindparam("due_at", type_=_c.next_check_at.type)
_SETTLED = _CHANGE.values(next_check_at=sa.case((_c.deleting_since.is_not(None), _due_at)))
_DELETED = _CHANGE.values(next_check_at=sa.case((_c.settled_at.is_(None), _c.next_check_at)))
_place = sa.tuple_(_c.created_at, _c.seq)
_Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Transcript:
    """A job at AssemblyAI. `requested` holds the options that its price depends on.

    `settled_at` is when its usage was booked; until then it is looked at again at `next_check_at`.
    `deleting_since` is when its deletion was ordered, while that is still to be done at AssemblyAI.
    `adopted_at` is when it was handed to a team that did not make it here: then it is never booked. `seq` is
    given by the store.
    """

    id: str
    region: Region
    owner: str
    audio_url: str
    requested: Mapping[str, Any] = field(default_factory=dict)
    team_id: str | None = None
    key_hash: str | None = None
    intent_id: str | None = None
    status: str = "queued"
    error: str | None = None
    throttled: bool = False
    created_at: datetime = field(default_factory=utc_now)
    completed_at: datetime | None = None
    settled_at: datetime | None = None
    deleted_at: datetime | None = None
    next_check_at: datetime | None = None
    attempts: int = 0
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    deleting_since: datetime | None = None
    adopted_at: datetime | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Transcripts, newest first, and whether the list goes on at either end."""

    transcripts: tuple[Transcript, ...]
    older: bool
    newer: bool


async def record(connection: AsyncConnection, transcript: Transcript) -> bool:
    """Add a transcript. Its first owner keeps it: False, and no change, when it is there already."""
    values = {
        "region": transcript.region.value,
        "id": transcript.id,
        "owner": transcript.owner,
        "team_id": transcript.team_id,
        "key_hash": transcript.key_hash,
        "intent_id": transcript.intent_id,
        "audio_url": transcript.audio_url,
        "requested": dict(transcript.requested),
        "status": transcript.status,
        "error": transcript.error,
        "throttled": transcript.throttled,
        "created_at": transcript.created_at,
        "completed_at": transcript.completed_at,
        "settled_at": transcript.settled_at,
        "deleted_at": transcript.deleted_at,
        "next_check_at": transcript.next_check_at,
        "attempts": transcript.attempts,
        "tags": list(transcript.tags),
        "end_user": transcript.end_user,
        "adopted_at": transcript.adopted_at,
    }
    return await insert_new(connection, transcripts, values)


async def get(connection: AsyncConnection, region: Region, transcript_id: str) -> Transcript | None:
    """A transcript, whoever owns it."""
    query = sa.select(transcripts).where(_is(region, transcript_id))
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else transcript_of(row)


async def get_own(
    connection: AsyncConnection, owner: str, key_hash: str | None, region: Region, transcript_id: str
) -> Transcript | None:
    """A transcript of an owner's, made by the key `key_hash` where that is given.

    Of another's nothing is read: to find it takes as long as to find nothing.
    """
    mine = [_is(region, transcript_id), _c.owner == owner]
    if key_hash is not None:
        mine.append(_c.key_hash == key_hash)
    row = (await connection.execute(sa.select(transcripts).where(*mine))).mappings().first()
    return None if row is None else transcript_of(row)


async def page(
    connection: AsyncConnection,
    owner: str | None,
    region: Region,
    *,
    key_hash: str | None = None,
    limit: int = 10,
    status: str | None = None,
    created_on: date | None = None,
    before_id: str | None = None,
    after_id: str | None = None,
    throttled_only: bool = False,
) -> Page:
    """A page of an owner's transcripts in a region (everybody's when `owner` is None), newest first.

    With `key_hash`, only those that this key of the owner's made.
    `before_id` gives those next older than that transcript, `after_id` those next newer, both those between,
    from the newer end. `created_on` is a UTC day. `throttled_only` overrides `status`, as at AssemblyAI.
    Costs the same anywhere in the list.
    Raises NotFound when before_id or after_id names no transcript that this list may show.
    """
    among = [*_whose(owner, key_hash, region), *_filters(status, throttled_only)]
    whose, day = (connection, owner, key_hash, region), _day(created_on)
    after = None if after_id is None else await _position(*whose, after_id)
    before = None if before_id is None else await _position(*whose, before_id)
    from_older_end = after is not None and before is None
    order = (_c.created_at, _c.seq) if from_older_end else (_c.created_at.desc(), _c.seq.desc())
    index = _index(owner, key_hash, status, created_on, throttled_only)
    # One bound at each end: of two, SQLite may begin at the wrong one and read all between.
    bounds = _between(
        max(filter(None, (day[0], after)), default=None), min(filter(None, (day[1], before)), default=None)
    )
    query = _through(index, sa.select(transcripts)).where(*among, *bounds)
    rows = await connection.execute(query.order_by(*order).limit(limit))
    found = [transcript_of(row) for row in rows.mappings()]
    if from_older_end:
        found.reverse()
    if not found:
        return Page((), older=False, newer=False)
    beyond = _through(index, sa.select(_c.seq)).where(*among)
    ends = await connection.execute(
        sa.select(
            beyond.where(*_between(day[0], _place_of(found[-1]))).exists(),
            beyond.where(*_between(_place_of(found[0]), day[1])).exists(),
        )
    )
    older, newer = ends.one()
    return Page(tuple(found), older=bool(older), newer=bool(newer))


def _whose(owner: str | None, key_hash: str | None, region: Region) -> list[sa.ColumnElement[bool]]:
    whose: list[sa.ColumnElement[bool]] = [_c.region == region.value]
    if key_hash is not None:
        # The owner as an expression, lest the planner read through the owner's index for this key's few.
        return [*whose, _c.key_hash == key_hash, sa.func.coalesce(_c.owner, "") == owner]
    return whose if owner is None else [*whose, _c.owner == owner]


def _filters(status: str | None, throttled_only: bool) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if status is not None and not throttled_only:
        filters.append(_c.status == status)
    if throttled_only:
        filters.append(IS_THROTTLED)
    return filters


def _day(created_on: date | None) -> tuple[_Place | None, _Place | None]:
    """The places that all transcripts of a UTC day lie between; `seq` begins with 1."""
    if created_on is None:
        return None, None
    midnight = datetime.combine(created_on, time(), timezone.utc)
    return (midnight, 0), (midnight + timedelta(days=1), 0)


def _between(low: _Place | None, high: _Place | None) -> list[sa.ColumnElement[bool]]:
    """Newer than `low` and older than `high`, where they are given."""
    bounds: list[sa.ColumnElement[bool]] = [] if low is None else [_place > _literal(low)]
    return bounds if high is None else [*bounds, _place < _literal(high)]


def _index(
    owner: str | None, key_hash: str | None, status: str | None, created_on: date | None, throttled_only: bool
) -> str | None:
    """The index to read an owner's day from: SQLite would read everybody's day. Otherwise it chooses well."""
    if owner is None or created_on is None or throttled_only:
        return None
    whose = "owner" if key_hash is None else "key_hash"
    return f"ix_transcripts_region_{whose}_{'status_' if status is not None else ''}created_at_seq"


def _through(index: str | None, query: sa.Select[Any]) -> sa.Select[Any]:
    return query if index is None else query.with_hint(transcripts, f"INDEXED BY {index}", "sqlite")


async def _position(
    connection: AsyncConnection, owner: str | None, key_hash: str | None, region: Region, transcript_id: str
) -> _Place:
    transcript = await get(connection, region, transcript_id)
    if transcript is None or owner not in (None, transcript.owner):
        raise NotFound
    if key_hash not in (None, transcript.key_hash):
        raise NotFound
    return _place_of(transcript)


def _place_of(transcript: Transcript) -> _Place:
    assert transcript.seq is not None
    return transcript.created_at, transcript.seq


def _literal(place: _Place) -> sa.Tuple:
    return sa.tuple_(sa.literal(place[0], _c.created_at.type), sa.literal(place[1], _c.seq.type))


async def mark_status(
    connection: AsyncConnection,
    region: Region,
    transcript_id: str,
    status: str,
    *,
    completed_at: datetime | None = None,
    error: str | None = None,
    throttled: bool | None = None,
) -> bool:
    """Note how far a job has come; what is None stays as it was. Whether the transcript is there."""
    values = {"status": status, "completed_at": completed_at, "error": error, "throttled": throttled}
    known = {name: value for name, value in values.items() if value is not None}
    return await _change(connection, region, transcript_id, known)


async def mark_settled(
    connection: AsyncConnection,
    region: Region,
    transcript_id: str,
    settled_at: datetime,
    *,
    status: str,
    error: str | None = None,
) -> bool:
    """Note how a job has ended and that it is booked: it is due again for an ordered deletion alone.

    Whether it is there.
    """
    ended = {"status": status, "error": error, "completed_at": settled_at, "settled_at": settled_at}
    return await _change(connection, region, transcript_id, {**ended, "due_at": settled_at}, _SETTLED)


async def mark_deleted(
    connection: AsyncConnection, region: Region, transcript_id: str, deleted_at: datetime
) -> bool:
    """Forget a deleted transcript's audio URL, its intent's too, and the error text that may quote it.

    The row stays for the list, as at AssemblyAI, and for the ledger. Whether the transcript is there. The
    first time, and for one that the store does not know, it goes to the audit log. Needs `Store.write`.
    """
    row = await get(connection, region, transcript_id)
    if row is None or row.deleted_at is None:
        audit_log.record(
            connection,
            "transcript.delete",
            audit_log.transcript_target(region, transcript_id),
            {"owner": row.owner if row else None},
            team_id=row.team_id if row else None,
        )
    mine = sa.select(_c.intent_id).where(_is(region, transcript_id)).scalar_subquery()
    await connection.execute(sa.update(intents).where(intents.c.id == mine).values(audio_url=DELETED_URL))
    gone = {"audio_url": DELETED_URL, "error": None, "deleted_at": deleted_at, "deleting_since": None}
    return await _change(connection, region, transcript_id, gone, _DELETED)


async def claim_due(
    connection: AsyncConnection, region: Region, now: datetime, lease_until: datetime, limit: int
) -> list[Transcript]:
    """Take a region's due transcripts for one worker: no other gets them until `lease_until`.

    They come as they were. Needs `Store.write`.
    """
    waiting = (_c.settled_at.is_(None), _c.region == region.value, _c.next_check_at <= now)
    return await _claim(connection, waiting, lease_until, limit)


async def claim_deletions(
    connection: AsyncConnection, region: Region, now: datetime, lease_until: datetime, limit: int
) -> list[Transcript]:
    """Take transcripts whose deletion is ordered, in the same way. One that is not settled is not due yet.

    Needs `Store.write`.
    """
    return await _claim(connection, _ordered(region, now), lease_until, limit)


async def is_deletion_due(connection: AsyncConnection, region: Region, now: datetime) -> bool:
    """Whether there is anything for `claim_deletions`, which holds up other writers. `Store.read` will do."""
    query = sa.select(_c.seq).where(*_ordered(region, now)).limit(1)
    return await connection.scalar(query) is not None


def _ordered(region: Region, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    due = (_c.deleting_since.is_not(None), _c.region == region.value, _c.next_check_at <= now)
    return (*due, _c.settled_at.is_not(None))


async def _claim(
    connection: AsyncConnection,
    waiting: tuple[sa.ColumnElement[bool], ...],
    lease_until: datetime,
    limit: int,
) -> list[Transcript]:
    query = sa.select(transcripts).where(*waiting).order_by(_c.next_check_at).limit(limit)
    query = query.with_for_update(skip_locked=True)
    claimed = [transcript_of(row) for row in (await connection.execute(query)).mappings()]
    if claimed:
        numbers = [transcript.seq for transcript in claimed]
        await connection.execute(
            sa.update(transcripts).where(_c.seq.in_(numbers)).values(next_check_at=lease_until)
        )
    return claimed


async def give_back(
    connection: AsyncConnection, claimed: Iterable[Transcript], lease_until: datetime, now: datetime
) -> None:
    """Let claimed transcripts be due at once, but for those that have moved on since. Needs `Store.write`."""
    numbers = [transcript.seq for transcript in claimed]
    still_leased = (_c.seq.in_(numbers), _c.next_check_at == lease_until)
    await connection.execute(sa.update(transcripts).where(*still_leased).values(next_check_at=now))


async def submitted_after(
    connection: AsyncConnection, region: Region, moment: datetime, limit: int, *, adopted: bool = True
) -> list[str]:
    """The ids of a region's first transcripts after a moment, oldest first; without `adopted` ones if so
    told."""
    later = [_c.region == region.value, _c.created_at > moment]
    if not adopted:
        later.append(_c.adopted_at.is_(None))
    query = sa.select(_c.id).where(*later).order_by(_c.created_at, _c.seq).limit(limit)
    return list(await connection.scalars(query))


async def known(connection: AsyncConnection, region: Region, ids: Iterable[str]) -> set[str]:
    """Those of a page of ids that the store has in this region."""
    query = sa.select(_c.id).where(_c.region == region.value, _c.id.in_(list(ids)))
    return set(await connection.scalars(query))


async def postpone(
    connection: AsyncConnection, region: Region, transcript_id: str, next_check_at: datetime, attempts: int
) -> bool:
    """Look at a transcript again later. Whether it is there."""
    return await _change(
        connection, region, transcript_id, {"next_check_at": next_check_at, "attempts": attempts}
    )


def _is(region: Region, transcript_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(_c.region == region.value, _c.id == transcript_id)


async def _change(
    connection: AsyncConnection,
    region: Region,
    transcript_id: str,
    values: Mapping[str, Any],
    change: sa.Update = _CHANGE,
) -> bool:
    which = {"of_region": region.value, "of_id": transcript_id}
    return (await connection.execute(change, {**values, **which})).rowcount == 1


def transcript_of(row: sa.RowMapping | Mapping[str, Any]) -> Transcript:
    """A transcript from a row of its table's columns."""
    return Transcript(**{**row, "region": Region(row["region"]), "tags": tuple(row["tags"])})

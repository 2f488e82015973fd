"""Transcripts that change hands: adopted, moved, and handed over when their team or key goes.

What was charged stays with who was charged: usage rows and holds are never moved, and a job that still runs
is charged to whose hold or submission it was. Uploads stay with who uploaded them. Functions take a
connection of `Store.write`, unless they say that one of `Store.read` will do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.owners import NOBODY, key_owner, team_id_of, team_owner
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team
from aai_gateway.errors import StoreError
from aai_gateway.store import audit_log
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import UtcDateTime, former_owners, intents, transcripts, virtual_keys
from aai_gateway.store.transcripts import Transcript, get, record

Adoption = Literal["adopted", "already", "another's", "being made"]
Move = Literal["moved", "already", "unknown", "another's", "no region", "being deleted"]

_c = transcripts.c
_f = former_owners.c
_REGIONS = [region.value for region in ALL_REGIONS]
_is_open = intents.c.outcome == sa.literal_column("'open'")


async def adopt(connection: AsyncConnection, transcript: Transcript, adopted_at: datetime) -> Adoption:
    """Record a transcript that was made without the gateway; it is never charged.

    "another's" when somebody else has it, "being made" when a submission with its audio is under way: then it
    may be that submission's, which is charged.
    """
    there = await get(connection, transcript.region, transcript.id)
    if there is not None:
        return "already" if there.owner == transcript.owner else "another's"
    of_its_audio = (intents.c.region == transcript.region.value, intents.c.audio_url == transcript.audio_url)
    if await connection.scalar(sa.select(intents.c.id).where(_is_open, *of_its_audio).limit(1)) is not None:
        return "being made"
    if not await record(connection, replace(transcript, adopted_at=adopted_at)):
        return "another's"
    target, after = audit_log.transcript_target(transcript.region, transcript.id), {"owner": transcript.owner}
    audit_log.record(connection, "transcript.adopt", target, {"after": after}, team_id=transcript.team_id)
    return "adopted"


async def move(
    connection: AsyncConnection, transcript_id: str, to: Team, *, owner: str | None = None
) -> Move:
    """Give one transcript, of `owner` where that is given, to a team. No key of the team made it.

    "no region": the team may not use the region that it lies in.
    """
    query = sa.select(_c.seq, _c.region, _c.owner, _c.deleting_since)
    found = (await connection.execute(query.where(*_is(transcript_id)).with_for_update())).all()
    if not found:
        return "unknown"
    heir = team_owner(to.id)
    for row in found:
        if row.deleting_since is not None or row.owner == NOBODY:
            return "being deleted"
        if row.owner == heir:
            return "already"
        if owner is not None and row.owner != owner:
            return "another's"
        if Region(row.region) not in to.regions:
            return "no region"
    await _give(connection, [row.seq for row in found], heir)
    for row in found:
        _audit_move(connection, Region(row.region), transcript_id, row.owner, to)
    return "moved"


async def move_all(connection: AsyncConnection, owner: str, to: Team, region: Region, limit: int) -> int:
    """Give up to `limit` of an owner's transcripts in a region to a team; how many they were.

    Called until it gives less than `limit`. Raises StoreError when the team may not use the region and there
    are any.
    """
    mine = (_c.region == region.value, _c.owner == owner)
    found = (await connection.execute(sa.select(_c.seq, _c.id).where(*mine).limit(limit))).all()
    if found and region not in to.regions:
        raise StoreError(f"Team {to.alias} may not use the {region.value.upper()} region.")
    await _give(connection, [row.seq for row in found], team_owner(to.id))
    for row in found:
        _audit_move(connection, region, row.id, owner, to)
    return len(found)


def _audit_move(
    connection: AsyncConnection, region: Region, transcript_id: str, owner: str, to: Team
) -> None:
    details = {"before": {"owner": owner}, "after": {"owner": team_owner(to.id)}}
    target = audit_log.transcript_target(region, transcript_id)
    audit_log.record(connection, "transcript.move", target, details, team_id=to.id)


# -- owners that go ---------------------------------------------------------------------------------------


async def owners_of_team(connection: AsyncConnection, team_id: str) -> list[str]:
    """The owners that go with a team: itself, and its keys, one of which may have had no team once.

    A connection of `Store.read` will do.
    """
    hashes = await connection.scalars(sa.select(virtual_keys.c.hash).where(virtual_keys.c.team_id == team_id))
    return [team_owner(team_id), *map(key_owner, hashes)]


async def held_by(connection: AsyncConnection, owners: Collection[str]) -> Counter[Region]:
    """How many transcripts owners have in each region, deleted ones left out and submissions under way
    counted.

    Reads each of them: a second for a million. A connection of `Store.read` will do.
    """
    mine = (_c.region.in_(_REGIONS), _c.owner.in_(owners), _c.deleted_at.is_(None))
    sent = (intents.c.region.in_(_REGIONS), intents.c.owner.in_(owners), _is_open)
    found: Counter[Region] = Counter()
    for query in (
        sa.select(_c.region, sa.func.count()).where(*mine).group_by(_c.region),
        sa.select(intents.c.region, sa.func.count()).where(*sent).group_by(intents.c.region),
    ):
        found.update({Region(region): count for region, count in await connection.execute(query)})
    return found


def require_heir(to: Team, held: Counter[Region]) -> str:
    """The owner that a team is, which inherits so many transcripts of each region.

    Raises StoreError when it may not use one of them.
    """
    if strange := [
        region.value.upper() for region in ALL_REGIONS if held[region] and region not in to.regions
    ]:
        raise StoreError(
            f"Team {to.alias} may not use the {strange[0]} region, where some of the transcripts are."
        )
    return team_owner(to.id)


async def leave(connection: AsyncConnection, owners: Iterable[str], heir: str, now: datetime) -> None:
    """Note that owners are gone and whose their transcripts are now: `team:<id>`, `master`, or `deleted`.

    From now on nobody is them; `hand_over` carries it out, also for what comes late.
    """
    for owner in owners:
        # Most keys belong to a team and own nothing.
        if team_id_of(owner) is None and not await _has_any(connection, owner):
            continue
        await insert_new(connection, former_owners, {"owner": owner, "heir": heir, "ended_at": now})


async def hand_over(connection: AsyncConnection, region: Region, now: datetime, limit: int) -> int:
    """Give up to `limit` transcripts of a former owner to its heir, or order their deletion; how many.

    The id of a team that is gone stays on what nobody inherits.
    """
    if (found := (await connection.execute(_next_former(region))).first()) is None:
        return 0
    mine = (_c.region == region.value, _c.owner == found.owner)
    query = sa.select(_c.seq).where(*mine).limit(limit).with_for_update(skip_locked=True)
    numbers = list(await connection.scalars(query))
    await _give(connection, numbers, found.heir, _deletion(now) if found.heir == NOBODY else {})
    return len(numbers)


async def begin(connection: AsyncConnection, owner: str) -> None:
    """Let there be an owner, who may have been deleted before: what was its own stays its heir's.

    Raises StoreError while that is not handed over yet.
    """
    if await connection.scalar(sa.select(_f.owner).where(_f.owner == owner)) is None:
        return
    if await _has_any(connection, owner):
        raise StoreError(
            "A team or key of this id was deleted, and its transcripts are not handed over yet. "
            "Choose another id, or try again in some minutes."
        )
    await connection.execute(sa.delete(former_owners).where(_f.owner == owner))


async def left_to_delete(connection: AsyncConnection) -> int:
    """How many transcripts are still to be deleted at AssemblyAI, those not yet handed over included.

    A connection of `Store.read` will do.
    """
    ordered = sa.select(sa.func.count()).where(_c.region.in_(_REGIONS), _c.deleting_since.is_not(None))
    theirs = (_c.region.in_(_REGIONS), _c.owner == _f.owner, _c.deleted_at.is_(None))
    each = sa.select(sa.func.count(_c.seq)).where(*theirs).correlate(former_owners).scalar_subquery()
    waiting = sa.select(sa.func.sum(each)).where(_f.heir == NOBODY)
    return sum([int(await connection.scalar(query) or 0) for query in (ordered, waiting)])


async def is_left(connection: AsyncConnection, region: Region) -> bool:
    """Whether former owners still have transcripts in a region. A connection of `Store.read` will do."""
    return (await connection.execute(_next_former(region))).first() is not None


def _next_former(region: Region) -> sa.Select[Any]:
    # Correlated: a join would begin with the transcripts, which are many.
    left = sa.exists().where(_c.region == region.value, _c.owner == _f.owner).correlate(former_owners)
    return sa.select(_f.owner, _f.heir).where(left).limit(1)


async def _has_any(connection: AsyncConnection, owner: str) -> bool:
    """Whether an owner has transcripts, deleted ones too, or submissions under way."""
    theirs = sa.exists().where(_c.region.in_(_REGIONS), _c.owner == owner)
    sent = sa.exists().where(intents.c.region.in_(_REGIONS), _is_open, intents.c.owner == owner)
    return bool(await connection.scalar(sa.select(theirs | sent)))


def _deletion(now: datetime) -> dict[str, Any]:
    """What orders a deletion. What is deleted stays as it is; a job that runs is settled first, as ever."""
    at = sa.literal(now, UtcDateTime())
    alive, booked = _c.deleted_at.is_(None), _c.settled_at.is_not(None)
    return {
        "deleting_since": sa.case((alive, at)),
        "next_check_at": sa.case((sa.and_(alive, booked), at), else_=_c.next_check_at),
    }


async def _give(
    connection: AsyncConnection, numbers: Collection[int], heir: str, also: dict[str, Any] | None = None
) -> None:
    # A key that sees its own alone must not see what has left it.
    values: dict[str, Any] = {"owner": heir, "key_hash": None, **(also or {})}
    if (team_id := team_id_of(heir)) is not None:
        values["team_id"] = team_id
    await connection.execute(sa.update(transcripts).where(_c.seq.in_(numbers)).values(values))


def _is(transcript_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return _c.region.in_(_REGIONS), _c.id == transcript_id

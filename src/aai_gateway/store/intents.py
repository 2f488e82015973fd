"""Intents: a submission noted before it is forwarded, so that none is lost when something dies in between.

open ──▶ accepted   AssemblyAI took it; `transcript_id` names the job
  ├────▶ refused    AssemblyAI turned it away
  └────▶ unknown    no answer, and no job of its like was found
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.job_life import State, sources
from aai_gateway.core.regions import Region
from aai_gateway.store.schema import intents

Outcome = Literal["open", "accepted", "refused", "unknown"]

_OUTCOMES = {"held": "open", "running": "accepted"}
"""The states of `core.job_life` under the names that they have here."""

_c = intents.c


@dataclass(frozen=True, slots=True)
class Intent:
    """A submission that is about to be forwarded. `requested` holds the options that its price depends on."""

    region: Region
    owner: str
    audio_url: str
    requested: Mapping[str, Any] = field(default_factory=dict)
    team_id: str | None = None
    key_hash: str | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created_at: datetime = field(default_factory=utc_now)
    outcome: Outcome = "open"
    transcript_id: str | None = None
    tags: tuple[str, ...] = ()
    end_user: str | None = None


async def open(connection: AsyncConnection, intent: Intent) -> None:
    """Note an intent, before its submission is forwarded."""
    values = {
        "id": intent.id,
        "region": intent.region.value,
        "owner": intent.owner,
        "team_id": intent.team_id,
        "key_hash": intent.key_hash,
        "audio_url": intent.audio_url,
        "requested": dict(intent.requested),
        "created_at": intent.created_at,
        "outcome": intent.outcome,
        "transcript_id": intent.transcript_id,
        "tags": list(intent.tags),
        "end_user": intent.end_user,
    }
    await connection.execute(sa.insert(intents), values)


async def get(connection: AsyncConnection, intent_id: str) -> Intent | None:
    """The intent with this id."""
    found = await _all(connection, sa.select(intents).where(_c.id == intent_id))
    return found[0] if found else None


async def accept(connection: AsyncConnection, intent_id: str, transcript_id: str) -> bool:
    """AssemblyAI took the submission. False when it was known already; a late answer mends an unknown one."""
    values = {"of_id": intent_id, "outcome": "accepted", "transcript_id": transcript_id}
    return (await connection.execute(_ACCEPT, values)).rowcount == 1


async def close(connection: AsyncConnection, intent_id: str, outcome: Literal["refused", "unknown"]) -> bool:
    """The submission came to nothing. False when it was closed or accepted already."""
    query = sa.update(intents).where(_c.id == intent_id, _may_become(outcome))
    result = await connection.execute(query.values(outcome=outcome))
    return result.rowcount == 1


async def unresolved(
    connection: AsyncConnection,
    region: Region,
    before: datetime,
    *,
    after: Intent | None = None,
    limit: int | None = None,
) -> list[Intent]:
    """Open intents of a region from before a moment, oldest first; those that follow `after`."""
    query = _open(region).where(_c.created_at < before).order_by(_c.created_at, _c.id).limit(limit)
    if after is not None:
        last = (sa.literal(after.created_at, _c.created_at.type), sa.literal(after.id))
        query = query.where(sa.tuple_(_c.created_at, _c.id) > sa.tuple_(*last))
    return await _all(connection, query)


async def under_way(connection: AsyncConnection, region: Region, since: datetime) -> list[Intent]:
    """Open intents of a region from a moment on: their requests may still be answered."""
    return await _all(connection, _open(region).where(_c.created_at >= since))


async def without_job(
    connection: AsyncConnection, region: Region, since: datetime, until: datetime
) -> list[Intent]:
    """Intents of a region and time that a job may still be found for: open or unknown, oldest first."""
    of_time = (_c.region == region.value, _c.created_at >= since, _c.created_at < until)
    query = sa.select(intents).where(*of_time, _may_become("running"))
    return await _all(connection, query.order_by(_c.created_at, _c.id))


async def lock_without_job(connection: AsyncConnection, intent_id: str) -> bool:
    """Whether an intent still has no job; if so it gets none from others in this transaction's time."""
    query = sa.select(_c.id).where(_c.id == intent_id, _may_become("running")).with_for_update()
    return await connection.scalar(query) is not None


def _open(region: Region) -> sa.Select[Any]:
    return sa.select(intents).where(_c.outcome == sa.literal_column("'open'"), _c.region == region.value)


async def _all(connection: AsyncConnection, query: sa.Select[Any]) -> list[Intent]:
    return [_intent_of(row) for row in (await connection.execute(query)).mappings()]


def _may_become(state: State) -> sa.ColumnElement[bool]:
    return _c.outcome.in_([_OUTCOMES.get(source, source) for source in sources("speech", state)])


# Built once: every submission asks this.
_ACCEPT = sa.update(intents).where(_c.id == sa.bindparam("of_id"), _may_become("running"))


def _intent_of(row: sa.RowMapping) -> Intent:
    return Intent(**{**row, "region": Region(row["region"]), "tags": tuple(row["tags"])})

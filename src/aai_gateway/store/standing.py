"""What is under way at this moment, of one owner or key or of everybody: each figure from an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.owners import team_id_of
from aai_gateway.core.usage_rows import Service
from aai_gateway.store.schema import IS_UNSETTLED, UtcDateTime, holds, intents, transcripts

_t, _h, _i = transcripts.c, holds.c, intents.c
_HAS_ENDED = _t.status.in_(["completed", "error"])
_IS_OPEN = _i.outcome == sa.literal_column("'open'")


@dataclass(frozen=True, slots=True)
class Standing:
    """Jobs that run, jobs that have ended and are not booked yet, and submissions without an answer so far.

    `oldest_unsettled_at` is when the oldest of the jobs was submitted. `holds` are those of jobs,
    completions and requests; `held_micros` is their sum in micro-dollars. What failed in a time is among the
    sums of `usage_sums`.
    """

    running: int
    ended: int
    oldest_unsettled_at: datetime | None
    open_intents: int
    holds: int
    held_micros: int


async def read(
    connection: AsyncConnection, owner: str | None = None, *, key_hash: str | None = None
) -> Standing:
    """How it stands with what is an owner's, with what a key made for it, or with everything."""
    jobs = (
        sa.select(
            sa.func.count(sa.case((~_HAS_ENDED, 1))),
            sa.func.count(sa.case((_HAS_ENDED, 1))),
            sa.func.min(_t.created_at, type_=UtcDateTime()),
        )
        .where(IS_UNSETTLED, *_of(transcripts, owner, key_hash))
        .with_hint(transcripts, "INDEXED BY ix_transcripts_unsettled_latest", "sqlite")
    )
    running, ended, oldest = (await connection.execute(jobs)).one()
    sent = sa.select(sa.func.count()).where(_IS_OPEN, *_of(intents, owner, key_hash))
    held = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_h.micros), 0))
    count, micros = (await connection.execute(held.where(*_of_holds(owner, key_hash)))).one()
    return Standing(
        running=int(running),
        ended=int(ended),
        oldest_unsettled_at=oldest,
        open_intents=int(await connection.scalar(sent) or 0),
        holds=int(count),
        held_micros=int(micros),
    )


def _of(table: sa.Table, owner: str | None, key_hash: str | None) -> list[sa.ColumnElement[bool]]:
    equal: tuple[tuple[Any, str | None], ...] = ((table.c.owner, owner), (table.c.key_hash, key_hash))
    return [column == value for column, value in equal if value is not None]


def _of_holds(owner: str | None, key_hash: str | None) -> list[sa.ColumnElement[bool]]:
    """The holds of an owner. Their indexes begin with the service, and have the team and the key."""
    found = _of(holds, owner, key_hash)
    if owner is None and key_hash is None:
        return found
    found.append(_h.service.in_(get_args(Service)))
    if key_hash is None and owner is not None and (team_id := team_id_of(owner)) is not None:
        found.append(_h.team_id == team_id)
    return found

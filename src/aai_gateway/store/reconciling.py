"""The store's side of a comparison with AssemblyAI: jobs with their ledger rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.reconciling import Booked
from aai_gateway.core.regions import Region
from aai_gateway.store.schema import transcripts, usage
from aai_gateway.store.store import Store

_PAGE = 500

_t, _u = transcripts.c, usage.c
_is_its_row = sa.and_(_u.service == "speech", _u.region == _t.region, _u.source_id == _t.id)
# A booked job is its payer's, whoever has the transcript by now.
_team = sa.func.coalesce(_u.team_id, _t.team_id).label("team_id")
_job = (_t.id, _t.created_at, _team, _t.requested, _t.adopted_at)
_row = (_u.status, _u.micros, _u.audio_seconds, _u.channels, _u["items"])


async def jobs(connection: AsyncConnection, region: Region, ids: Iterable[str]) -> dict[str, Booked]:
    """Those of a page of jobs that the store has, by id, booked or not."""
    query = sa.select(*_job, *_row).select_from(transcripts.outerjoin(usage, _is_its_row))
    rows = await connection.execute(query.where(_t.region == region.value, _t.id.in_(list(ids))))
    return {row["id"]: _booked_of(row) for row in rows.mappings()}


async def booked(store: Store, region: Region, since: datetime, until: datetime) -> AsyncIterator[Booked]:
    """Booked jobs of a region that were submitted from `since` up to `until`, oldest first."""
    place = sa.tuple_(_t.created_at, _t.seq)
    query = (
        sa.select(*_job, *_row, _t.seq)
        .select_from(transcripts.join(usage, _is_its_row))
        .where(_t.region == region.value, _t.created_at >= since, _t.created_at < until)
        .order_by(_t.created_at, _t.seq)
        .limit(_PAGE)
    )
    page = query
    while True:
        async with store.read() as connection:
            rows = (await connection.execute(page)).mappings().all()
        for row in rows:
            yield _booked_of(row)
        if len(rows) < _PAGE:
            return
        last = (sa.literal(rows[-1]["created_at"], _t.created_at.type), sa.literal(rows[-1]["seq"]))
        page = query.where(place > sa.tuple_(*last))


def _booked_of(row: sa.RowMapping) -> Booked:
    known: dict[str, Any] = {
        name: row[name] for name in ("id", "created_at", "team_id", "requested", "status")
    }
    known["adopted"] = row["adopted_at"] is not None
    if row["status"] is not None:
        known |= {name: row[name] for name in ("micros", "audio_seconds", "channels", "items")}
    return Booked(**known)

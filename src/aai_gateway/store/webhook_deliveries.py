"""Deliveries: what is to be told to teams' webhooks, and the log of how each attempt went.

Each is made once and delivered at least once: an attempt whose outcome could not be noted is made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.core.webhooks import Kind, Verdict
from aai_gateway.store.schema import transcripts as jobs
from aai_gateway.store.schema import webhook_attempts, webhook_deliveries, webhooks

_d, _w, _a = webhook_deliveries.c, webhooks.c, webhook_attempts.c
_TO_TRY = _d.next_attempt_at.is_not(None)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery and where it goes. `header_value` is encrypted; `attempts` counts those begun.

    `job_owner` is whose the transcript is now, `job_deleted` whether it was deleted.
    """

    id: int
    webhook_id: str
    region: Region
    owner: str
    transcript_id: str
    event: Kind
    body: Mapping[str, Any]
    url: str
    header_name: str | None
    header_value: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    attempts: int
    delivered_at: datetime | None
    gave_up_at: datetime | None
    job_owner: str | None
    job_deleted: bool

    @property
    def state(self) -> str:
        """How it stands: `delivered`, `given_up`, `pending`, or `waiting` for the event before it."""
        if self.delivered_at is not None:
            return "delivered"
        if self.gave_up_at is not None:
            return "given_up"
        return "waiting" if self.next_attempt_at is None else "pending"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: the HTTP status, or without an answer what went wrong, and how long it took."""

    at: datetime
    status: int | None
    error: str | None
    milliseconds: int


async def owners_due(connection: AsyncConnection, now: datetime) -> list[str]:
    """Owners who have something due, the longest overdue first.

    Costs two looks into an index for each owner with something to try, however much each has.
    """
    owners = sa.select(sa.func.min(_d.owner).label("owner")).where(_TO_TRY).cte("owners", recursive=True)
    following = sa.select(sa.func.min(_d.owner)).where(_TO_TRY, _d.owner > owners.c.owner).scalar_subquery()
    owners = owners.union_all(sa.select(following).where(owners.c.owner.is_not(None)))
    first = (
        sa.select(sa.func.min(_d.next_attempt_at))
        .where(_TO_TRY, _d.owner == owners.c.owner)
        .scalar_subquery()
        .label("first")
    )
    firsts = sa.select(owners.c.owner, first).where(owners.c.owner.is_not(None)).subquery()
    query = sa.select(firsts.c.owner).where(firsts.c.first <= now).order_by(firsts.c.first, firsts.c.owner)
    return list(await connection.scalars(query))


async def claim_due(
    connection: AsyncConnection, shares: Mapping[str, int], now: datetime, lease_until: datetime
) -> list[Delivery]:
    """Take due deliveries, of each owner so many at most; nobody else gets them before `lease_until`.

    Needs `Store.write`. Each counts as one attempt more.
    """
    taken: list[int] = []
    for owner, count in shares.items():
        due = (
            sa.select(_d.id)
            .where(_TO_TRY, _d.owner == owner, _d.next_attempt_at <= now)
            .order_by(_d.next_attempt_at, _d.id)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        taken += await connection.scalars(due)
    if not taken:
        return []
    leased = {"next_attempt_at": lease_until, "attempts": _d.attempts + 1}
    await connection.execute(sa.update(webhook_deliveries).where(_d.id.in_(taken)).values(leased))
    return await _all(connection, _query().where(_d.id.in_(taken)).order_by(_d.id))


async def record_attempt(
    connection: AsyncConnection, delivery: Delivery, attempt: Attempt, outcome: Verdict
) -> None:
    """Note how an attempt went; the event that waits for a finished one is due. Needs `Store.write`."""
    # Held until the commit, so that an event that comes at this moment sees how it ended.
    await connection.execute(sa.select(_w.id).where(_w.id == delivery.webhook_id).with_for_update())
    values = {
        "delivery_id": delivery.id,
        "at": attempt.at,
        "status": attempt.status,
        "error": attempt.error,
        "milliseconds": attempt.milliseconds,
    }
    await connection.execute(sa.insert(webhook_attempts), values)
    again = None if outcome.again_after is None else attempt.at + outcome.again_after
    over = None if again is not None else attempt.at
    ended: dict[str, Any] = {"next_attempt_at": again}
    if outcome.delivered:
        ended["delivered_at"] = over
    else:
        ended["gave_up_at"] = over
    # What another process has finished meanwhile stays so.
    unfinished = (_d.delivered_at.is_(None), _d.gave_up_at.is_(None))
    query = sa.update(webhook_deliveries).where(_d.id == delivery.id, *unfinished)
    await connection.execute(query.values(ended))
    if again is None:
        waiting = (_d.webhook_id == delivery.webhook_id, _d.next_attempt_at.is_(None), *unfinished)
        await connection.execute(
            sa.update(webhook_deliveries).where(*waiting).values(next_attempt_at=attempt.at)
        )


async def log(
    connection: AsyncConnection,
    *,
    owner: str | None = None,
    key_hash: str | None = None,
    transcript_id: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[tuple[Delivery, list[Attempt]]]:
    """Deliveries, newest first, with their attempts, oldest first: an owner's, a key's, a transcript's."""
    query = _query().order_by(_d.id.desc()).limit(limit)
    for column, wanted in ((_d.owner, owner), (_d.key_hash, key_hash), (_d.transcript_id, transcript_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    if before is not None:
        query = query.where(_d.id < before)
    found = await _all(connection, query)
    attempts = await _attempts(connection, [delivery.id for delivery in found])
    return [(delivery, attempts.get(delivery.id, [])) for delivery in found]


async def resend(connection: AsyncConnection, delivery_id: int, now: datetime) -> Delivery | None:
    """Make a delivery due anew, with all its attempts before it; None when there is none of this id."""
    if not 0 < delivery_id < 2**63:
        return None  # no number that a database has
    afresh = {"next_attempt_at": now, "attempts": 0, "delivered_at": None, "gave_up_at": None}
    await connection.execute(sa.update(webhook_deliveries).where(_d.id == delivery_id).values(afresh))
    return next(iter(await _all(connection, _query().where(_d.id == delivery_id))), None)


async def _attempts(connection: AsyncConnection, ids: Iterable[int]) -> dict[int, list[Attempt]]:
    query = sa.select(webhook_attempts).where(_a.delivery_id.in_(list(ids))).order_by(_a.id)
    found: dict[int, list[Attempt]] = {}
    for row in (await connection.execute(query)).mappings():
        attempt = Attempt(row["at"], row["status"], row["error"], row["milliseconds"])
        found.setdefault(row["delivery_id"], []).append(attempt)
    return found


def _query() -> sa.Select[Any]:
    own = (_d.id, _d.webhook_id, _d.owner, _d.transcript_id, _d.event, _d.body, _d.created_at)
    how = (_d.next_attempt_at, _d.attempts, _d.delivered_at, _d.gave_up_at)
    where = (_w.region, _w.url, _w.header_name, _w.header_value)
    now = (jobs.c.owner.label("job_owner"), jobs.c.deleted_at.is_not(None).label("job_deleted"))
    return (
        sa.select(*own, *how, *where, *now)
        .join(webhooks, _w.id == _d.webhook_id)
        .outerjoin(jobs, sa.and_(jobs.c.region == _w.region, jobs.c.id == _d.transcript_id))
    )


async def _all(connection: AsyncConnection, query: sa.Select[Any]) -> list[Delivery]:
    return [
        Delivery(**{**row, "region": Region(row["region"]), "event": Kind(row["event"])})
        for row in (await connection.execute(query)).mappings()
    ]

"""Notices: what is to be told by webhook, written in the transaction that caused it.

Each is made once and delivered at least once: a delivery that is not confirmed is tried again. One that
has a `next_attempt_at` is still to be told; without it, and without `delivered_at`, it was given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import Budget
from aai_gateway.store.schema import notices

SOFT_BUDGET = "soft_budget_crossed"
"""LiteLLM's name of the event."""

_c = notices.c


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell. `scope` is `gateway`, `team:<id>` or `key:<hash>`; amounts are micro-dollars."""

    id: int
    event: str
    scope: str
    body: Mapping[str, Any]
    created_at: datetime
    delivered_at: datetime | None
    next_attempt_at: datetime | None
    attempts: int


async def any_due(connection: AsyncConnection, now: datetime) -> bool:
    """Whether there is something to tell: a look that needs no transaction."""
    return await connection.scalar(sa.select(_c.id).where(_c.next_attempt_at <= now).limit(1)) is not None


async def claim_due(
    connection: AsyncConnection, now: datetime, lease_until: datetime, limit: int
) -> list[Notice]:
    """Take up to `limit` due notices, oldest first; nobody else gets them before `lease_until`.

    Needs `Store.write`. Each counts as one attempt more.
    """
    due = (
        sa.select(notices)
        .where(_c.next_attempt_at <= now)
        .order_by(_c.next_attempt_at, _c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [Notice(**row) for row in (await connection.execute(due)).mappings()]
    leased = {"next_attempt_at": lease_until, "attempts": _c.attempts + 1}
    await connection.execute(
        sa.update(notices).where(_c.id.in_([notice.id for notice in found])).values(leased)
    )
    return [replace(notice, attempts=notice.attempts + 1, next_attempt_at=lease_until) for notice in found]


async def mark_delivered(connection: AsyncConnection, notice_id: int, now: datetime) -> None:
    """The notice has been told."""
    told = {"delivered_at": now, "next_attempt_at": None}
    await connection.execute(sa.update(notices).where(_c.id == notice_id).values(told))


async def postpone(connection: AsyncConnection, notice_id: int, until: datetime | None) -> None:
    """Try again at `until`, or never: unless another process has told it meanwhile."""
    query = sa.update(notices).where(_c.id == notice_id, _c.delivered_at.is_(None))
    await connection.execute(query.values(next_attempt_at=until))


async def add_soft_budget(
    connection: AsyncConnection, scope: str, name: str, budget: Budget, now: datetime
) -> None:
    """Note that a soft budget has been spent. Needs `Store.write`."""
    body = {
        "name": name,
        "spent_micros": budget.spent_micros,
        "soft_micros": budget.soft_micros,
        "max_micros": budget.max_micros,
        "duration": budget.duration,
        "resets_at": budget.resets_at.isoformat().replace("+00:00", "Z") if budget.resets_at else None,
    }
    values = {"event": SOFT_BUDGET, "scope": scope, "body": body, "created_at": now, "next_attempt_at": now}
    await connection.execute(sa.insert(notices).values(values))

"""Notices: what is to be told by webhook, written in the transaction that caused it.

Each is made once and delivered at least once: a delivery that is not confirmed is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
        "resets_at": None if budget.resets_at is None else budget.resets_at.isoformat(),
    }
    values = {"event": SOFT_BUDGET, "scope": scope, "body": body, "created_at": now, "next_attempt_at": now}
    await connection.execute(sa.insert(notices).values(values))

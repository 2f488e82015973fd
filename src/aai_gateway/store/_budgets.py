"""Budget columns: read, set and charged the same way for teams and keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import Budget, next_reset


def budget_of(row: sa.RowMapping, table: sa.Table) -> Budget:
    """The budget in a row of teams or keys, as it was last written."""
    return Budget(
        max_micros=row[table.c.max_micros],
        duration=row[table.c.budget_duration],
        spent_micros=row[table.c.spent_micros],
        resets_at=row[table.c.budget_resets_at],
    )


def limit_values(budget: Budget, start: datetime) -> dict[str, Any]:
    """The columns that set a budget's limit and period; what is spent of it stays.

    A period without an end begins at `start`, so that no budget with a duration forgets to reset.
    """
    ends = budget.resets_at if budget.duration is not None else None
    if budget.duration is not None and ends is None:
        ends = next_reset(budget.duration, start, start)
    return {
        "max_micros": budget.max_micros,
        "budget_duration": budget.duration,
        "budget_resets_at": ends,
    }


async def charge(
    connection: AsyncConnection, table: sa.Table, row_is: sa.ColumnElement[bool], micros: int, now: datetime
) -> None:
    """Add micro-dollars to the budget and the lifetime sum of one team or key, where it still exists."""
    found = await connection.execute(sa.select(table).where(row_is).with_for_update())
    if (row := found.mappings().first()) is None:
        return
    budget = budget_of(row, table).at(now)
    values = {
        "spent_micros": budget.spent_micros + micros,
        "budget_resets_at": budget.resets_at,
        "lifetime_micros": row[table.c.lifetime_micros] + micros,
    }
    await connection.execute(sa.update(table).where(row_is).values(values))

"""The gateway's own budget: what all teams together may spend. One row, which the migration made."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.audit_details import budget_facts, differences
from aai_gateway.core.budgets import Budget
from aai_gateway.store import audit_log
from aai_gateway.store._budgets import IS_GATEWAY, budget_of, changed_values, locked
from aai_gateway.store.schema import gateway_budget


async def get(connection: AsyncConnection) -> tuple[Budget, int]:
    """The budget as it was last written, and what was ever spent; micro-dollars."""
    row = (await connection.execute(sa.select(gateway_budget).where(IS_GATEWAY))).mappings().one()
    return budget_of(row, gateway_budget), row["lifetime_micros"]


async def set_limits(connection: AsyncConnection, limits: Budget, now: datetime) -> bool:
    """Take the limits and duration of `limits`; whether they differ from those in force.

    Needs `Store.write`. Every process of the gateway says at its start what it was configured with: the
    same again changes nothing, and what is spent goes on over restarts.
    """
    row = await locked(connection, gateway_budget, IS_GATEWAY)
    assert row is not None
    budget = budget_of(row, gateway_budget)
    changes = differences(budget_facts(budget), budget_facts(limits))
    if not changes:
        return False
    values = await changed_values(connection, gateway_budget, IS_GATEWAY, now, limits=limits)
    await connection.execute(sa.update(gateway_budget).where(IS_GATEWAY).values(values))
    audit_log.record(connection, "budget.update", "gateway", changes)
    return True

"""Budget columns: read, set, held and charged the same way for keys, teams and the whole gateway.

Whoever writes to several of them in one transaction goes through `accounts`: always the key, then the team,
then the gateway. On Postgres two jobs that took them in opposite order would wait for each other for ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import Budget, next_reset
from aai_gateway.core.limits import NO_LIMITS, Limits
from aai_gateway.store._limits import limits_of
from aai_gateway.store.schema import gateway_budget, holds, teams, virtual_keys


def budget_of(row: sa.RowMapping, table: sa.Table) -> Budget:
    """The budget in a row of teams or keys, as it was last written."""
    return Budget(
        max_micros=row[table.c.max_micros],
        duration=row[table.c.budget_duration],
        spent_micros=row[table.c.spent_micros],
        resets_at=row[table.c.budget_resets_at],
        soft_micros=row[table.c.soft_micros],
        held_micros=row[table.c.held_micros],
        warned=row[table.c.warned],
    )


def new_values(budget: Budget, created_at: datetime, is_its_hold: sa.ColumnElement[bool]) -> dict[str, Any]:
    """The columns of a new row's budget. A period without an end begins at `created_at`.

    What is held already belongs to an earlier key or team of the same name, and is given back to this one.
    """
    ends = budget.resets_at if budget.duration is not None else None
    if budget.duration is not None and ends is None:
        ends = next_reset(budget.duration, created_at, created_at)
    return {
        "max_micros": budget.max_micros,
        "soft_micros": budget.soft_micros,
        "budget_duration": budget.duration,
        "budget_resets_at": ends,
        "spent_micros": budget.spent_micros,
        "held_micros": sa.select(sa.func.coalesce(sa.func.sum(holds.c.micros), 0))
        .where(is_its_hold)
        .scalar_subquery(),
    }


async def changed_values(
    connection: AsyncConnection,
    table: sa.Table,
    row_is: sa.ColumnElement[bool],
    now: datetime,
    *,
    limits: Budget | None = None,
    spent_micros: int | None = None,
) -> dict[str, Any]:
    """The columns of a row's budget under other limits, or with another sum spent; {} when there is no row.

    The row is locked first, so that no charge between reading and writing is forgotten.
    """
    row = await locked(connection, table, row_is)
    if row is None:
        return {}
    budget = budget_of(row, table).at(now)
    if limits is not None:
        budget = budget.with_limits(limits, now)
    if spent_micros is not None:
        budget = replace(budget, spent_micros=spent_micros).rearmed()
    return {
        "max_micros": budget.max_micros,
        "soft_micros": budget.soft_micros,
        "budget_duration": budget.duration,
        "budget_resets_at": budget.resets_at,
        "spent_micros": budget.spent_micros,
        "warned": budget.warned,
    }


@dataclass(frozen=True, slots=True)
class Account:
    """The budget and the limits of one key, team or gateway, locked until the transaction ends.

    `scope` is `key:<hash>`, `team:<id>` or `gateway`; `name` is what people call it.
    """

    scope: str
    name: str
    budget: Budget
    lifetime_micros: int
    table: sa.Table
    id: str
    limits: Limits


async def accounts(
    connection: AsyncConnection, key_hash: str | None, team_id: str | None, now: datetime
) -> AsyncIterator[Account]:
    """The accounts that a job of this key and team is charged to, as they stand at `now`.

    Needs `Store.write`. A key or team that is gone has none.
    """
    if key_hash is not None:
        row = await _locked_by_id(connection, virtual_keys, key_hash)
        if row is not None:
            name = f"Key {row[virtual_keys.c.alias] or row[virtual_keys.c.masked]}"
            yield _account(f"key:{key_hash}", name, row, virtual_keys, key_hash, now)
    if team_id is not None:
        row = await _locked_by_id(connection, teams, team_id)
        if row is not None:
            name = f"Team {row[teams.c.alias]}"
            yield _account(f"team:{team_id}", name, row, teams, team_id, now)
    row = await _locked_by_id(connection, gateway_budget, "gateway")
    if row is not None:
        yield _account("gateway", "The gateway", row, gateway_budget, "gateway", now)


async def save(
    connection: AsyncConnection, account: Account, budget: Budget, charged_micros: int = 0
) -> None:
    """Write what is spent, held and warned of a locked account, and add a charge to its lifetime sum."""
    values = {
        "spent_micros": budget.spent_micros,
        "held_micros": budget.held_micros,
        "warned": budget.warned,
        "budget_resets_at": budget.resets_at,
        "lifetime_micros": account.lifetime_micros + charged_micros,
    }
    await connection.execute(_SAVE[account.table], {**values, "account": account.id})


IS_GATEWAY = gateway_budget.c.id == "gateway"

_IS_ACCOUNT = {
    table: key == sa.bindparam("account")
    for table, key in (
        (virtual_keys, virtual_keys.c.hash),
        (teams, teams.c.id),
        (gateway_budget, gateway_budget.c.id),
    )
}
# Built once: every job asks these several times, and building a statement costs more than running it.
_LOCK = {table: sa.select(table).where(is_it).with_for_update() for table, is_it in _IS_ACCOUNT.items()}
_SAVE = {table: sa.update(table).where(is_it) for table, is_it in _IS_ACCOUNT.items()}


async def locked(
    connection: AsyncConnection, table: sa.Table, row_is: sa.ColumnElement[bool]
) -> sa.RowMapping | None:
    """A row of a table with budget columns, which nobody else changes until the transaction ends."""
    return (await connection.execute(sa.select(table).where(row_is).with_for_update())).mappings().first()


async def _locked_by_id(connection: AsyncConnection, table: sa.Table, account: str) -> sa.RowMapping | None:
    return (await connection.execute(_LOCK[table], {"account": account})).mappings().first()


def _account(
    scope: str,
    name: str,
    row: sa.RowMapping,
    table: sa.Table,
    account: str,
    now: datetime,
) -> Account:
    limits = NO_LIMITS if table is gateway_budget else limits_of(row, table)
    budget = budget_of(row, table).at(now)
    return Account(scope, name, budget, row[table.c.lifetime_micros], table, account, limits)

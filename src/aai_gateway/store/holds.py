"""Holds: money set aside for a job before it is forwarded, so that nothing slips through at once.

A hold's id is its intent's, its completion's or its request's. It ends with the job's charge, with its
refusal, or when it expires: `expires_at` is for jobs whose process died, and lies beyond any job's usual
life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import dollars, require_left, utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.usage_rows import Service
from aai_gateway.errors import AccountBusy, TooManyRequests
from aai_gateway.store._budgets import Account, accounts, save
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import holds, teams, virtual_keys

_c = holds.c
JOB_SECONDS = 10.0
"""When to try again while all jobs that one may run are running: about as long as a short one takes (measured
at AssemblyAI: 7 to 12 s for a minute of audio)."""

_RUNNING = sa.select(sa.func.count()).where(_c.service == "speech")
_RUNNING_OF = {
    virtual_keys: _RUNNING.where(_c.key_hash == sa.bindparam("account")),
    teams: _RUNNING.where(_c.team_id == sa.bindparam("account")),
}
_TAKE = sa.delete(holds).where(_c.id == sa.bindparam("of_id")).returning(holds)


@dataclass(frozen=True, slots=True)
class Hold:
    """Micro-dollars set aside for one job or completion, and for whom."""

    id: str
    service: Service
    region: Region
    owner: str
    micros: int
    expires_at: datetime
    team_id: str | None = None
    key_hash: str | None = None
    model: str | None = None
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class Room:
    """What a budgeted caller still has after a hold: micro-dollars of the tightest budget (None: no limit).

    `warnings` has a sentence for each soft budget that is spent.
    """

    left_micros: int | None
    warnings: tuple[str, ...] = ()

    def after(self, held: Hold, micros: int) -> Room:
        """What is left when a charge has taken the hold's place."""
        if self.left_micros is None:
            return self
        return replace(self, left_micros=max(0, self.left_micros + held.micros - micros))


async def place(connection: AsyncConnection, hold: Hold, *, account_jobs: int | None = None) -> Room:
    """Set money aside in every budget of the job, or in none. Needs `Store.write`.

    Raises BudgetExceeded when one has less left than the hold, TooManyRequests when the key or the team runs
    as many speech jobs as it may, and AccountBusy when all teams together run `account_jobs`. A second hold
    with the same id replaces the first.
    """
    values = _values(hold)
    if not await insert_new(connection, holds, values):
        await release(connection, hold.id, hold.created_at)
        await connection.execute(sa.insert(holds), values)
    left: list[int] = []
    warnings: list[str] = []
    async for account in accounts(connection, hold.key_hash, hold.team_id, hold.created_at):
        if hold.service == "speech":
            await _require_a_free_job(connection, account, account_jobs)
        require_left(account.name, account.budget, hold.created_at, hold.micros)
        budget = account.budget.holding(hold.micros)
        await save(connection, account, budget)
        if budget.left_micros is not None:
            left.append(budget.left_micros)
        if budget.is_past_soft and budget.soft_micros is not None:
            spent, soft = dollars(budget.spent_micros), dollars(budget.soft_micros)
            warnings.append(f"{account.name} has spent {spent}, past its soft budget of {soft}.")
    return Room(min(left, default=None), tuple(warnings))


async def _require_a_free_job(
    connection: AsyncConnection, account: Account, account_jobs: int | None
) -> None:
    """Raise unless the running jobs, the new one among them, are within the account's limit.

    The locked row keeps others from counting at the same time, so no two take the last place.
    """
    if account.scope == "gateway":
        if account_jobs is not None and await running_jobs(connection) > account_jobs:
            text = f"the account runs as many jobs at once as it may, {account_jobs}."
            raise AccountBusy(text, retry_after=JOB_SECONDS)
        return
    most = account.limits.concurrent_jobs
    if most is not None and await _running(connection, account.table, account.id) > most:
        raise TooManyRequests(f"{account.name} may run {most} jobs at once.", retry_after=JOB_SECONDS)


async def running_jobs(connection: AsyncConnection) -> int:
    """How many speech jobs hold money: those under way, and those that have ended and are not settled yet."""
    return int((await connection.execute(_RUNNING)).scalar_one())


async def _running(connection: AsyncConnection, table: sa.Table, account: str) -> int:
    return int((await connection.execute(_RUNNING_OF[table], {"account": account})).scalar_one())


async def release(connection: AsyncConnection, hold_id: str, now: datetime) -> Hold | None:
    """Give back what is held under an id, and return it; None when nothing is. Needs `Store.write`."""
    found = await take(connection, hold_id)
    if found is not None:
        await give_back(connection, found, now)
    return found


async def take(connection: AsyncConnection, hold_id: str) -> Hold | None:
    """End a hold and return it, its money still set aside: for who gives it back in the same transaction.

    None when there is none; of two who end the same hold at once only one gets it. Needs `Store.write`.
    """
    row = (await connection.execute(_TAKE, {"of_id": hold_id})).mappings().first()
    return None if row is None else _hold_of(row)


async def give_back(connection: AsyncConnection, hold: Hold, now: datetime) -> None:
    """Give back the money of a hold that was taken."""
    async for account in accounts(connection, hold.key_hash, hold.team_id, now):
        await save(connection, account, account.budget.holding(-hold.micros))


async def get(connection: AsyncConnection, hold_id: str) -> Hold | None:
    """The hold with this id."""
    row = (await connection.execute(sa.select(holds).where(_c.id == hold_id))).mappings().first()
    return None if row is None else _hold_of(row)


async def expired(connection: AsyncConnection, now: datetime, limit: int) -> list[Hold]:
    """Holds whose time is over, oldest first."""
    query = sa.select(holds).where(_c.expires_at <= now).order_by(_c.expires_at, _c.id).limit(limit)
    return [_hold_of(row) for row in (await connection.execute(query)).mappings()]


async def list_all(connection: AsyncConnection, team_id: str | None = None) -> Sequence[Hold]:
    """Every hold, or a team's, oldest first."""
    query = sa.select(holds).order_by(_c.created_at, _c.id)
    if team_id is not None:
        query = query.where(_c.team_id == team_id)
    return [_hold_of(row) for row in (await connection.execute(query)).mappings()]


def _values(hold: Hold) -> dict[str, Any]:
    return {
        "id": hold.id,
        "service": hold.service,
        "region": hold.region.value,
        "owner": hold.owner,
        "team_id": hold.team_id,
        "key_hash": hold.key_hash,
        "model": hold.model,
        "micros": hold.micros,
        "created_at": hold.created_at,
        "expires_at": hold.expires_at,
        "tags": list(hold.tags),
        "end_user": hold.end_user,
    }


def _hold_of(row: sa.RowMapping) -> Hold:
    return Hold(**{**row, "region": Region(row["region"]), "tags": tuple(row["tags"])})

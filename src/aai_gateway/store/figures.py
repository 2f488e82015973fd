"""Figures for `/metrics`: sums over all workers and restarts, each from an index; exact at that moment.

What was used comes from `usage_sums`, never from the ledger's rows: ten millions of them cost nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.rollups import ALL_TEAMS
from aai_gateway.core.tenancy import Team
from aai_gateway.core.traffic import Asked, Counts, Place
from aai_gateway.store import gateway_budget, traffic, usage_sums
from aai_gateway.store.schema import (
    IS_MODELS_MONTH,
    holds,
    intents,
    notices,
    reconciliations,
    teams,
    transcripts,
    webhook_deliveries,
)
from aai_gateway.store.schema import usage_sums as sums_table
from aai_gateway.store.usage_sums import Group, SumRow

_c, _t = sums_table.c, teams.c


@dataclass(frozen=True, slots=True)
class Used:
    """What was used in one service and region: micro-dollars, whole seconds, tokens."""

    micros: int = 0
    audio_seconds: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs of a region that are not settled, by AssemblyAI's status as it was last seen.

    Of those whose next look is due, how many, and since when the first of them waits.
    """

    by_status: Mapping[str, int] = field(default_factory=dict)
    oldest_at: datetime | None = None
    due: int = 0
    due_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastReconciliation:
    """What a region's last one found: jobs that remain to be explained, and what they cost more than is
    booked, in micro-dollars."""

    at: datetime
    findings: int
    difference_micros: int
    without_a_sum: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Micro-dollars, counts and moments. Teams go by their ids, empty for what belongs to none."""

    used: Mapping[tuple[str, str, str], Used] = field(default_factory=dict)
    """By team, service and region, since the beginning."""
    month_micros: Mapping[str, int] = field(default_factory=dict)
    """By team, in the running UTC month."""
    models: tuple[SumRow, ...] = ()
    """All teams' sums by month, service, region and model."""
    items: tuple[SumRow, ...] = ()
    """All teams' sums by month, service, region and line item."""
    soft_budgets_crossed: Mapping[str, int] = field(default_factory=dict)
    """By scope: `key`, `team` or `gateway`."""
    queues: Mapping[Region, Queue] = field(default_factory=dict)
    open_intents: int = 0
    holds: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many there are, by service and region."""
    undelivered_notices: int = 0
    webhooks_to_deliver: int = 0
    webhooks_given_up: int = 0
    teams: tuple[Team, ...] = ()
    """With their regions and budgets, and nothing else."""
    gateway_budget: Budget = field(default_factory=Budget)
    reconciliations: Mapping[str, LastReconciliation] = field(default_factory=dict)
    """By region; none where there never was one."""
    served: Mapping[Place, Counts] = field(default_factory=dict)
    asked: Mapping[Asked, int] = field(default_factory=dict)


async def read(connection: AsyncConnection, now: datetime) -> Figures:
    """Every figure, in a handful of queries."""
    months = await _months(connection)
    count = sa.select(sa.func.count())
    # Written out, not bound: only so is the partial index taken.
    is_open = intents.c.outcome == sa.literal_column("'open'")
    waiting = count.where(notices.c.next_attempt_at.is_not(None))
    to_deliver = count.where(webhook_deliveries.c.next_attempt_at.is_not(None))
    given_up = count.where(webhook_deliveries.c.gave_up_at.is_not(None))
    budget, _ = await gateway_budget.get(connection)
    month = await usage_sums.read(connection, "total", [f"{now:%Y-%m}"], by=("team_id",), team_id=None)
    kind: tuple[Group, ...] = ("period", "service", "region")
    return Figures(
        used=await _used(connection),
        month_micros={row.keys["team_id"]: row.sums.micros for row in month},
        models=tuple(await usage_sums.read(connection, "model", months, by=(*kind, "model"))),
        items=tuple(await usage_sums.read(connection, "item", months, by=(*kind, "name"))),
        soft_budgets_crossed=await _soft_budgets_crossed(connection),
        queues=await _queues(connection, now),
        open_intents=await connection.scalar(count.where(is_open)) or 0,
        holds=await _holds(connection),
        undelivered_notices=await connection.scalar(waiting) or 0,
        webhooks_to_deliver=await connection.scalar(to_deliver) or 0,
        webhooks_given_up=await connection.scalar(given_up) or 0,
        teams=tuple(await _teams(connection)),
        gateway_budget=budget,
        reconciliations=await _reconciliations(connection),
        served=await traffic.totals(connection),
        asked=await traffic.upstream_totals(connection),
    )


async def _months(connection: AsyncConnection) -> list[str]:
    """Every month in which anything was booked."""
    of_all = (_c.team_id == ALL_TEAMS, _c.part == "total", sa.func.length(_c.period) == 7)
    return list(await connection.scalars(sa.select(_c.period).where(*of_all)))


async def _used(connection: AsyncConnection) -> dict[tuple[str, str, str], Used]:
    place = (_c.team_id, _c.service, _c.region)
    sums = (_c.micros, _c.audio_seconds, _c.prompt_tokens, _c.completion_tokens)
    query = sa.select(*place, *map(sa.func.sum, sums)).where(IS_MODELS_MONTH).group_by(*place)
    rows = await connection.execute(query)
    return {
        (team, service, region): Used(*map(int, used))
        for team, service, region, *used in rows
        if team != ALL_TEAMS
    }


async def _teams(connection: AsyncConnection) -> list[Team]:
    # Row by row as `teams.list_all` reads them, five hundred take longer than all the sums.
    query = sa.select(
        *(_t.id, _t.alias, _t.regions, _t.max_micros, _t.budget_duration),
        *(_t.spent_micros, _t.budget_resets_at, _t.held_micros),
    )
    return [
        Team(
            id=team_id,
            alias=alias,
            regions=tuple(map(Region, regions)),
            budget=Budget(most, duration, spent, resets_at, held_micros=held),
        )
        for team_id, alias, regions, most, duration, spent, resets_at, held in await connection.execute(query)
    ]


async def _soft_budgets_crossed(connection: AsyncConnection) -> dict[str, int]:
    scope = sa.case(
        (notices.c.scope.startswith("key:"), "key"),
        (notices.c.scope.startswith("team:"), "team"),
        else_="gateway",
    ).label("kind")
    rows = await connection.execute(sa.select(scope, sa.func.count()).group_by(scope))
    return {row.kind: row[1] for row in rows}


async def _queues(connection: AsyncConnection, now: datetime) -> dict[Region, Queue]:
    t = transcripts.c
    is_due = t.next_check_at <= now
    query = (
        sa.select(
            *(t.region, t.status, sa.func.count(), sa.func.min(t.created_at)),
            sa.func.sum(sa.case((is_due, 1), else_=0)),
            sa.func.min(sa.case((is_due, t.next_check_at)), type_=t.next_check_at.type),
        )
        .where(t.settled_at.is_(None))
        .group_by(t.region, t.status)
    )
    rows = (await connection.execute(query)).all()
    return {
        region: Queue(
            by_status={row.status: row[2] for row in mine},
            oldest_at=min((row[3] for row in mine), default=None),
            due=sum(int(row[4]) for row in mine),
            due_since=min((row[5] for row in mine if row[5] is not None), default=None),
        )
        for region in Region
        if (mine := [row for row in rows if row.region == region.value])
    }


async def _holds(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    place = (holds.c.service, holds.c.region)
    rows = await connection.execute(sa.select(*place, sa.func.count()).group_by(*place))
    return {(service, region): count for service, region, count in rows}


async def _reconciliations(connection: AsyncConnection) -> dict[str, LastReconciliation]:
    r = reconciliations.c
    last = sa.select(sa.func.max(r.id)).group_by(r.region)
    rows = await connection.execute(sa.select(reconciliations).where(r.id.in_(last)))
    return {
        row.region: LastReconciliation(row.at, row.findings, row.difference_micros, row.without_a_sum)
        for row in rows
    }

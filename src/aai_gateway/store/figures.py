"""Figures for `/metrics`: sums over all workers and restarts, each from an index; exact at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.store import teams
from aai_gateway.store.schema import intents, notices, transcripts, usage, webhook_deliveries


@dataclass(frozen=True, slots=True)
class Figures:
    """Micro-dollars, counts and moments. Spend is by team id, service and region."""

    spend: Mapping[tuple[str | None, str, Region], int]
    flagged: Mapping[tuple[str, str | None], tuple[int, int]]
    """Rows that a fallback priced, by service and model: how many, and their sum."""
    unknown_completions: int
    soft_budgets_crossed: Mapping[str, int]
    """By scope: `key`, `team` or `gateway`."""
    pending: Mapping[Region, int]
    """Jobs that are not settled."""
    oldest_pending_at: datetime | None
    open_intents: int
    undelivered_notices: int
    teams: tuple[Team, ...]
    webhooks_to_deliver: int = 0
    webhooks_given_up: int = 0


async def read(connection: AsyncConnection) -> Figures:
    """Every figure, in a handful of queries."""
    u, t = usage.c, transcripts.c
    by_team = (u.team_id, u.service, u.region)
    spend = await connection.execute(sa.select(*by_team, sa.func.sum(u.micros)).group_by(*by_team))
    flagged = await connection.execute(
        sa.select(u.service, u.model, sa.func.count(), sa.func.sum(u.micros))
        .where(u.priced_as.is_not(None))
        .group_by(u.service, u.model)
    )
    # Written out, not bound: only so is the partial index taken.
    unknown = sa.select(sa.func.count()).where(u.status == sa.literal_column("'unknown'"))
    kind = sa.case(
        (notices.c.scope.startswith("key:"), "key"),
        (notices.c.scope.startswith("team:"), "team"),
        else_="gateway",
    ).label("kind")
    crossed = await connection.execute(sa.select(kind, sa.func.count().label("count")).group_by(kind))
    pending = (
        await connection.execute(
            sa.select(t.region, sa.func.count(), sa.func.min(t.created_at))
            .where(t.settled_at.is_(None))
            .group_by(t.region)
        )
    ).all()
    is_open = intents.c.outcome == sa.literal_column("'open'")
    waiting = sa.select(sa.func.count()).where(notices.c.next_attempt_at.is_not(None))
    to_deliver = sa.select(sa.func.count()).where(webhook_deliveries.c.next_attempt_at.is_not(None))
    given_up = sa.select(sa.func.count()).where(webhook_deliveries.c.gave_up_at.is_not(None))
    return Figures(
        spend={(team, service, Region(region)): int(micros) for team, service, region, micros in spend},
        flagged={(service, model): (count, int(micros)) for service, model, count, micros in flagged},
        unknown_completions=await connection.scalar(unknown) or 0,
        soft_budgets_crossed={row.kind: row._mapping["count"] for row in crossed},
        pending={Region(region): count for region, count, _ in pending},
        oldest_pending_at=min((oldest for _, _, oldest in pending), default=None),
        open_intents=await connection.scalar(sa.select(sa.func.count()).where(is_open)) or 0,
        undelivered_notices=await connection.scalar(waiting) or 0,
        webhooks_to_deliver=await connection.scalar(to_deliver) or 0,
        webhooks_given_up=await connection.scalar(given_up) or 0,
        teams=tuple(await teams.list_all(connection)),
    )

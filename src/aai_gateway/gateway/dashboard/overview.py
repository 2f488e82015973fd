"""The first page: what all teams spend and have left, for the holder of the master key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import Budget
from aai_gateway.core.charts import Chart
from aai_gateway.core.projections import Projection, project, rate_days
from aai_gateway.core.rollups import Sums
from aai_gateway.gateway.dashboard import spending
from aai_gateway.gateway.dashboard.periods import Period
from aai_gateway.gateway.dashboard.spending import Services, Shares
from aai_gateway.store import reconciliations, standing, teams, usage_sums
from aai_gateway.store.reconciliations import Reconciliation
from aai_gateway.store.standing import Standing
from aai_gateway.store.teams import TeamBudget

TEAMS_SHOWN = 25
"""Teams on one page."""
KEPT = ("q", "page")
"""Of the page's address, what belongs to it besides the period."""


@dataclass(frozen=True, slots=True)
class TeamRow:
    """A team's line. A team that is gone has no budget and goes by its id; `id` is empty for no team."""

    id: str
    name: str
    micros: int
    budget: Budget | None = None
    projection: Projection | None = None
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class Teams:
    """A page of teams, those first that will run out first."""

    rows: tuple[TeamRow, ...]
    of: int
    number: int
    search: str
    period: Period

    @property
    def first(self) -> int:
        """The place of the first one shown, from 1."""
        return (self.number - 1) * TEAMS_SHOWN + 1

    @property
    def last(self) -> int:
        """The place of the last one shown."""
        return self.first + len(self.rows) - 1

    @property
    def more(self) -> bool:
        """Whether there is a next page."""
        return self.last < self.of

    def link(self, number: int) -> str:
        """The address of another page."""
        return f"{self.period.link(('page', str(number) if number > 1 else ''))}#teams"


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the page. `before` is what the period before cost, None where there is nothing of it."""

    period: Period
    total: Sums
    before: int | None
    chart: Chart
    services: Services
    keys: Shares
    tags: Shares
    teams: Teams
    work: Standing
    reconciled: Sequence[Reconciliation] = field(default=())


async def overview(
    connection: AsyncConnection, period: Period, query: Mapping[str, str], now: datetime
) -> Overview:
    """The page of a period; `query` is the rest of its address."""
    spent = await spending.of_team(connection, period)
    before = await usage_sums.total(connection, period.before.covering)
    return Overview(
        period=period,
        total=spent.total,
        before=before.micros if before.jobs else None,
        chart=spending.chart_of(spent, period),
        services=spending.services_of(spent),
        keys=await spending.key_shares(connection, period, spent.total.micros),
        tags=await spending.tag_shares(connection, period),
        teams=await _teams(connection, period, query, now),
        work=await standing.read(connection),
        reconciled=tuple((await reconciliations.latest(connection)).values()),
    )


async def _teams(
    connection: AsyncConnection, period: Period, query: Mapping[str, str], now: datetime
) -> Teams:
    search = query.get("q", "").strip()
    number = int(query["page"]) if query.get("page", "").isdecimal() else 1
    rows = [row for row in await _rows(connection, period, now) if search.casefold() in row.name.casefold()]
    number = max(1, min(number, -(-len(rows) // TEAMS_SHOWN)))
    shown = rows[(number - 1) * TEAMS_SHOWN : number * TEAMS_SHOWN]
    return Teams(tuple(shown), len(rows), number, search, period)


async def _rows(connection: AsyncConnection, period: Period, now: datetime) -> list[TeamRow]:
    spent = await usage_sums.micros_of_teams(connection, period.covering)
    recent = await recent_micros(connection, now)
    rows = []
    for team in await teams.list_budgets(connection):
        rows.append(team_row(team, spent.pop(team.id, 0), recent.get(team.id, 0), now))
    rows.sort(key=_order)
    gone = [TeamRow(id_, f"{id_} (gone)" if id_ else "no team", micros) for id_, micros in spent.items()]
    return [*rows, *sorted(gone, key=lambda row: -row.micros)]


def team_row(team: TeamBudget, micros: int, recent: int, now: datetime) -> TeamRow:
    """A team's line: what it spent, and how long its budget will last."""
    budget = team.budget.at(now)
    return TeamRow(team.id, team.alias, micros, budget, project(budget, recent, now), team.blocked)


async def recent_micros(
    connection: AsyncConnection, now: datetime, team_id: str | None = None
) -> dict[str, int]:
    """What each team, or one, spent on the days by which its budget is projected."""
    days = [day.isoformat() for day in rate_days(now)]
    return await usage_sums.micros_of_teams(connection, days, team_id)


def _order(row: TeamRow) -> tuple[tuple[int, int], int, str]:
    """Teams whose budget is spent, then those that will run out, soonest first, then the dearest."""
    assert row.projection is not None
    return row.projection.urgency, -row.micros, row.name

"""A team's pages: what it spends and has left, its keys, its transcripts and its chats.

A key that is narrowed to its own things, or has no team, has the same pages about itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import Budget
from aai_gateway.core.charts import Chart
from aai_gateway.core.projections import Projection, project, rate_days
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.rollups import Sums
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway.dashboard import spending
from aai_gateway.gateway.dashboard.overview import recent_micros
from aai_gateway.gateway.dashboard.periods import Period
from aai_gateway.gateway.dashboard.scope import Scope
from aai_gateway.gateway.dashboard.spending import Services, Shares
from aai_gateway.gateway.management_rows import key_status
from aai_gateway.store import completion_lines, keys, standing, transcript_lines, usage, usage_sums
from aai_gateway.store.paging import Page, Place
from aai_gateway.store.standing import Standing

LATEST = 8
"""Transcripts and chats on a team's first page."""
LISTED = 50
"""Transcripts or chats on a page of their own."""
STATES: tuple[tuple[transcript_lines.State, str], ...] = (
    ("queued", "Queued"),
    ("processing", "Processing"),
    ("completed", "Completed"),
    ("error", "Failed"),
    ("unsettled", "Not settled"),
    ("deleted", "Deleted"),
)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as its team sees it: what it spent in the period, and whether it can be used."""

    key: VirtualKey
    budget: Budget
    micros: int
    jobs: int
    status: str


@dataclass(frozen=True, slots=True)
class TeamPage:
    """Everything on a team's first page; `keys` and `tags` are a team's, not a key's."""

    scope: Scope
    period: Period
    total: Sums
    before: int | None
    budget: Budget
    projection: Projection
    chart: Chart
    services: Services
    work: Standing
    keys: Sequence[KeyRow]
    tags: Shares | None
    transcripts: Page[transcript_lines.Line]
    chats: Page[completion_lines.Line]

    @property
    def now(self) -> date:
        """The current UTC day."""
        return self.period.today


async def team_page(connection: AsyncConnection, scope: Scope, period: Period, now: datetime) -> TeamPage:
    """A team's first page, or a key's."""
    before: Sums
    if scope.key is None:
        assert scope.team is not None
        spent = await spending.of_team(connection, period, scope.team.id)
        before = await usage_sums.total(connection, period.before.covering, team_id=scope.team.id)
        budget = scope.team.budget.at(now)
        recent = (await recent_micros(connection, now, scope.team.id)).get(scope.team.id, 0)
    else:
        spent = await spending.of_key(connection, period, scope.key.hash, scope.team_id)
        before = (await spending.of_key(connection, period.before, scope.key.hash, scope.team_id)).total
        budget = scope.key.budget.at(now)
        recent = await _recent_of_key(connection, scope, now)
    return TeamPage(
        scope=scope,
        period=period,
        total=spent.total,
        before=before.micros if before.jobs else None,
        budget=budget,
        projection=project(budget, recent, now),
        chart=spending.chart_of(spent, period),
        services=spending.services_of(spent),
        work=await standing.read(connection, scope.owner, key_hash=scope.key_hash),
        keys=await _keys(connection, scope, period, now),
        tags=None
        if scope.team_id is None or scope.key
        else await spending.tag_shares(connection, period, scope.team_id),
        transcripts=await transcript_lines.page(connection, _transcripts_of(scope), LATEST),
        chats=await completion_lines.page(connection, _chats_of(scope), LATEST),
    )


async def _recent_of_key(connection: AsyncConnection, scope: Scope, now: datetime) -> int:
    """What a key spent on the days by which its budget is projected."""
    assert scope.key is not None
    days = rate_days(now)
    week = Period(days[0], days[-1] + timedelta(days=1))
    where = spending.key_filter(week, scope.key.hash, scope.team_id)
    return (await usage.total(connection, where)).micros


async def _keys(connection: AsyncConnection, scope: Scope, period: Period, now: datetime) -> list[KeyRow]:
    """A team's keys, those that are in use first, dearest first; none for a key's own page."""
    if scope.key is not None or scope.team_id is None:
        return []
    spent = {
        row.keys["name"]: row.sums
        for row in await usage_sums.read(
            connection, "key", period.covering, by=["name"], team_id=scope.team_id
        )
    }
    rows = [
        KeyRow(
            key,
            key.budget.at(now),
            spent.get(key.hash, Sums()).micros,
            spent.get(key.hash, Sums()).jobs,
            key_status(key, now),
        )
        for key in await keys.list_all(connection, scope.team_id)
    ]
    return sorted(rows, key=lambda row: (row.status != "active", -row.micros, row.key.alias or ""))


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list's address narrows it to, as it was given."""

    state: str = ""
    region: str = ""
    model: str = ""
    since: str = ""
    until: str = ""

    @property
    def query(self) -> list[tuple[str, str]]:
        """Its part of the address."""
        named = (
            ("state", self.state),
            ("region", self.region),
            ("model", self.model),
            ("from", self.since),
            ("to", self.until),
        )
        return [(name, value) for name, value in named if value]


def filters_of(query: Mapping[str, str]) -> Filters:
    """The filters in an address."""
    names = (("state", "state"), ("region", "region"), ("model", "model"), ("since", "from"), ("until", "to"))
    return Filters(**{field: query.get(name, "").strip() for field, name in names})


async def transcripts_page(
    connection: AsyncConnection, scope: Scope, filters: Filters, query: Mapping[str, str]
) -> Page[transcript_lines.Line]:
    """A page of transcripts. Raises InvalidRequest for filters that make no sense."""
    wanted = _transcripts_of(scope, filters)
    return await transcript_lines.page(connection, wanted, LISTED, **_place(query))


async def chats_page(
    connection: AsyncConnection, scope: Scope, filters: Filters, query: Mapping[str, str]
) -> Page[completion_lines.Line]:
    """A page of chats and understanding requests. Raises InvalidRequest."""
    wanted = _chats_of(scope, filters)
    return await completion_lines.page(connection, wanted, LISTED, **_place(query))


async def chat_models(connection: AsyncConnection, scope: Scope) -> list[str]:
    """The chat models that a team has used, for the filter to propose."""
    if scope.team_id is None:
        return []
    months = await usage_sums.read(connection, "model", None, by=["service", "model"], team_id=scope.team_id)
    return sorted(
        {row.keys["model"] for row in months if row.keys["service"] == "chat" and row.keys["model"]}
    )


def _transcripts_of(scope: Scope, filters: Filters | None = None) -> transcript_lines.Wanted:
    filters = filters or Filters()
    states = {state for state, _ in STATES}
    if filters.state and filters.state not in states:
        raise InvalidRequest(f"{filters.state!r} is no state; there are {', '.join(sorted(states))}.")
    since, until = _days(filters)
    return transcript_lines.Wanted(
        owner=scope.owner,
        key_hash=scope.key_hash,
        region=_region(filters),
        state=filters.state or None,
        since=since,
        until=until,
    )


def _chats_of(scope: Scope, filters: Filters | None = None) -> completion_lines.Wanted:
    filters = filters or Filters()
    since, until = _days(filters)
    return completion_lines.Wanted(
        team_id=scope.team_id or "",
        key_hash=scope.key_hash,
        region=_region(filters),
        model=filters.model or None,
        since=since,
        until=until,
    )


def _days(filters: Filters) -> tuple[date | None, date | None]:
    """The first day that is meant, and the first that is meant no more."""
    try:
        since = date.fromisoformat(filters.since) if filters.since else None
        until = date.fromisoformat(filters.until) if filters.until else None
        return since, None if until is None else date.fromordinal(until.toordinal() + 1)
    except (ValueError, OverflowError):
        raise InvalidRequest("That is no day; write it like 2026-11-26.") from None


def _region(filters: Filters) -> Region | None:
    try:
        return Region(filters.region) if filters.region else None
    except ValueError:
        raise InvalidRequest(f"{filters.region!r} is no region; there are us and eu.") from None


def _place(query: Mapping[str, str]) -> dict[str, Place]:
    try:
        return {name: Place.parse(query[name]) for name in ("before", "after") if query.get(name)}
    except ValueError as error:
        raise InvalidRequest(str(error)) from None


def regions_of(regions: Sequence[Region] | None, team: Team | None) -> str:
    """Regions for people; None stands for the team's."""
    allowed = regions if regions is not None else (team.regions if team is not None else ALL_REGIONS)
    return " and ".join(region.value.upper() for region in allowed) or "none"


def model_of(line: transcript_lines.Line) -> str:
    """The speech model that a job ran on or, before it has ended, was asked to."""
    if line.booked is not None and line.booked.model:
        return line.booked.model
    asked = line.transcript.requested
    models = asked.get("speech_models") or asked.get("speech_model")
    return str(models[0] if isinstance(models, list) and models else models or "default model")


def addons_of(line: transcript_lines.Line) -> list[str]:
    """What was charged besides the model."""
    if line.booked is None:
        return []
    names = dict.fromkeys(str(item["name"]) for item in line.booked.items)
    return [name.replace("_", " ") for name in names if name != line.booked.model]

"""What was spent in a period, taken apart: for the whole gateway, for one team, or for one key.

A team's and the gateway's sums are those that the store keeps; a key's are added up from its rows, of which
there are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.charts import Chart, Series, stacked_columns
from aai_gateway.core.rollups import ALL_TEAMS, Sums
from aai_gateway.gateway.dashboard.periods import Period
from aai_gateway.store import keys, usage, usage_lines, usage_sums
from aai_gateway.store.usage import SummaryRow, UsageFilter

MOST_LINES = 12
"""Lines of one service that are shown; the rest is one line."""
MOST_SHARES = 10
"""Keys and tags that are shown; the rest is one line."""

_NAMES = {"speech": "Speech", "chat": "Chat", "understanding": "Understanding"}
_COLOURS = {
    ("speech", "us"): 1,
    ("speech", "eu"): 2,
    ("chat", "us"): 3,
    ("chat", "eu"): 4,
    ("understanding", "us"): 5,
    ("understanding", "eu"): 6,
}
_OTHER_COLOUR = 8


@dataclass(frozen=True, slots=True)
class Spent:
    """Sums of one service, region, model and day or line item; texts that do not apply are empty."""

    sums: Sums
    service: str
    region: str
    model: str = ""
    name: str = ""
    period: str = ""

    @property
    def kind(self) -> tuple[str, str]:
        """Its service and region."""
        return self.service, self.region


@dataclass(frozen=True, slots=True)
class Share:
    """A key's or a tag's part of the amount."""

    name: str
    jobs: int
    micros: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """The dearest of one kind. `others` is what all further ones cost together; `id` is the section's."""

    id: str
    title: str
    column: str
    rows: tuple[Share, ...]
    empty: str
    others: int = 0
    others_name: str = "all others"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A model or an add-on of a service. `unit` is `s` for seconds of audio, else a word."""

    name: str
    quantity: int
    unit: str
    micros: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A service in a region, and what it is made of, dearest first."""

    name: str
    colour: int
    micros: int
    jobs: int
    audio_seconds: int
    tokens: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Services:
    """All services, and what they cost together."""

    groups: tuple[Group, ...]
    micros: int


@dataclass(frozen=True, slots=True)
class Spending:
    """A period's sums: all together, by day, by model and by line item."""

    total: Sums
    by_day: tuple[Spent, ...]
    models: tuple[Spent, ...]
    items: tuple[Spent, ...]


async def of_team(connection: AsyncConnection, period: Period, team_id: str = ALL_TEAMS) -> Spending:
    """A team's spending, that of what belongs to none (`NO_TEAM`), or everybody's."""
    whole = period.covering
    columns = whole if period.step == "month" else period.columns
    by_day = await usage_sums.read(
        connection, "model", columns, by=["service", "region", "period"], team_id=team_id
    )
    models = await usage_sums.read(
        connection, "model", whole, by=["service", "region", "model"], team_id=team_id
    )
    items = await usage_sums.read(
        connection, "item", whole, by=["service", "region", "model", "name"], team_id=team_id
    )
    return Spending(
        await usage_sums.total(connection, whole, team_id=team_id),
        tuple(_spent(by_day)),
        tuple(_spent(models)),
        tuple(_spent(items)),
    )


def _spent(rows: Iterable[usage_sums.SumRow]) -> Iterable[Spent]:
    return (Spent(row.sums, **row.keys) for row in rows)


async def of_key(connection: AsyncConnection, period: Period, key_hash: str, team_id: str | None) -> Spending:
    """What a key spent for its team, or for itself where it has none."""
    where = key_filter(period, key_hash, team_id)
    by_day = await usage.summary(connection, ["service", "region", "day"], where)
    models = await usage.summary(connection, ["service", "region", "model"], where)
    lines = await usage_lines.line_sums(connection, where)
    return Spending(
        _sums_of(await usage.total(connection, where)),
        tuple(
            Spent(
                _sums_of(row),
                row.keys["service"] or "",
                row.keys["region"] or "",
                period=row.keys["day"] or "",
            )
            for row in by_day
        ),
        tuple(
            Spent(_sums_of(row), row.keys["service"] or "", row.keys["region"] or "", row.keys["model"] or "")
            for row in models
        ),
        tuple(
            Spent(
                Sums(micros=line.micros, jobs=line.count, quantity=line.quantity),
                line.service,
                line.region.value,
                line.model or "",
                line.name,
            )
            for line in lines
        ),
    )


def key_filter(period: Period, key_hash: str, team_id: str | None) -> UsageFilter:
    """The rows of the ledger that are a key's own in a period."""
    since, until = period.moments
    return UsageFilter(key_hash=key_hash, team_id=team_id, no_team=team_id is None, since=since, until=until)


def _sums_of(row: SummaryRow) -> Sums:
    return Sums(
        micros=row.micros,
        jobs=row.jobs,
        failed=row.failed,
        flagged=row.flagged,
        unknown=row.unknown,
        audio_seconds=row.audio_seconds,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
    )


def chart_of(spending: Spending, period: Period) -> Chart:
    """The spending by day or month, a colour for each service and region."""
    columns = period.columns
    places = {column: number for number, column in enumerate(columns)}
    values: dict[tuple[str, str], list[int]] = {}
    for one in spending.by_day:
        row = values.setdefault(one.kind, [0] * len(columns))
        row[places[period.column_of(one.period)]] += one.sums.micros
    series = [
        Series(service_name(*kind), tuple(row), colour_of(*kind))
        for kind, row in sorted(values.items(), key=lambda pair: _order(pair[0]))
    ]
    return stacked_columns(columns, series)


def services_of(spending: Spending) -> Services:
    """The spending by service, each with its models and add-ons."""
    kinds = sorted({one.kind for one in spending.models}, key=_order)
    return Services(tuple(_group(spending, kind) for kind in kinds), spending.total.micros)


def service_name(service: str, region: str) -> str:
    """`Speech, US`."""
    return f"{_NAMES.get(service, service)}, {region.upper()}"


def colour_of(service: str, region: str) -> int:
    """The colour that stands for a service in a region."""
    return _COLOURS.get((service, region), _OTHER_COLOUR)


def _order(kind: tuple[str, str]) -> tuple[int, tuple[str, str]]:
    return colour_of(*kind), kind


def _group(spending: Spending, kind: tuple[str, str]) -> Group:
    whole = sum((one.sums for one in spending.models if one.kind == kind), Sums())
    lines = _chat_lines(spending.models, kind) if kind[0] == "chat" else _item_lines(spending.items, kind)
    lines.sort(key=lambda line: (-line.micros, line.name))
    shown, rest = lines[:MOST_LINES], lines[MOST_LINES:]
    if rest:
        micros = sum(line.micros for line in rest)
        shown.append(Line(f"{len(rest):,} others", sum(line.quantity for line in rest), rest[0].unit, micros))
    return Group(
        name=service_name(*kind),
        colour=colour_of(*kind),
        micros=whole.micros,
        jobs=whole.jobs,
        audio_seconds=whole.audio_seconds if kind[0] == "speech" else 0,
        tokens=whole.prompt_tokens + whole.completion_tokens,
        lines=tuple(shown),
    )


def _chat_lines(models: Sequence[Spent], kind: tuple[str, str]) -> list[Line]:
    return [
        Line(
            one.model or "no model",
            one.sums.prompt_tokens + one.sums.completion_tokens,
            "tokens",
            one.sums.micros,
        )
        for one in models
        if one.kind == kind
    ]


def _item_lines(items: Sequence[Spent], kind: tuple[str, str]) -> list[Line]:
    """The line items under their names, those of all models together; what was never charged is left out."""
    found: dict[str, Line] = {}
    for one in items:
        if one.kind != kind or not (one.sums.micros or one.sums.quantity) or one.name == "unknown_outcome":
            continue
        name = one.name.replace("_", " ") if one.name != one.model else one.name
        line = found.get(name) or Line(name, 0, "s", 0)
        found[name] = replace(
            line, quantity=line.quantity + one.sums.quantity, micros=line.micros + one.sums.micros
        )
    return list(found.values())


async def key_shares(
    connection: AsyncConnection, period: Period, total: int, team_id: str = ALL_TEAMS
) -> Shares:
    """The dearest keys."""
    rows = await usage_sums.read(
        connection, "key", period.covering, by=["name"], team_id=team_id, limit=MOST_SHARES
    )
    names = await keys.names_of(connection, [row.keys["name"] for row in rows])
    shares = []
    for row in rows:
        key_hash = row.keys["name"]
        name, masked = names.get(key_hash, (None, ""))
        fallback = masked or (f"a key that is gone, {key_hash[:8]}…" if key_hash else "the master key")
        shares.append(Share(name or fallback, row.sums.jobs, row.sums.micros, masked if name else ""))
    return Shares(
        "keys",
        "Keys",
        "Key",
        tuple(shares),
        "No key was used in this period.",
        others=total - sum(share.micros for share in shares),
    )


async def tag_shares(connection: AsyncConnection, period: Period, team_id: str = ALL_TEAMS) -> Shares:
    """The dearest tags. A job with several counts under each, so they have no sum."""
    rows = await usage_sums.read(
        connection, "tag", period.covering, by=["name"], team_id=team_id, limit=MOST_SHARES
    )
    return Shares(
        "tags",
        "Tags",
        "Tag",
        tuple(Share(row.keys["name"], row.sums.jobs, row.sums.micros) for row in rows),
        "Nothing was tagged in this period.",
        note="What has several tags counts under each of them.",
    )

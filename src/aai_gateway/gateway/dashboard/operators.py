"""The operators' page: what the gateway carries, how long it takes for it, and what is still to be done."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.charts import Chart, Series, stacked_columns
from aai_gateway.core.traffic import MINUTE, OK, Counts, minute_of, quantile
from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway.dashboard.rendering import when
from aai_gateway.store import reconciliations, standing, traffic
from aai_gateway.store.reconciliations import Reconciliation
from aai_gateway.store.schema import REVISION
from aai_gateway.store.size import size_bytes
from aai_gateway.store.standing import Standing

WINDOWS = {
    "15m": (timedelta(minutes=15), "15 minutes"),
    "1h": (timedelta(hours=1), "hour"),
    "24h": (timedelta(hours=24), "24 hours"),
}
MOST_COLUMNS = 60
"""Columns of the chart; longer times have several minutes in one."""

_KINDS = (("Answered", 1), ("Refused (4xx)", 5), ("Failed (5xx)", 7))


@dataclass(frozen=True, slots=True)
class Added:
    """Seconds that the gateway itself took: by the half, all but 5 %, all but 1 % of its requests at most."""

    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, counts: Counts) -> Added:
        """Found in the buckets."""
        return cls(*(quantile(counts.buckets, q) for q in (0.5, 0.95, 0.99)))


@dataclass(frozen=True, slots=True)
class OperationRow:
    """An operation's requests, how many failed or were refused, and what the gateway added."""

    name: str
    counts: Counts
    refused: int
    failed: int
    added: Added


@dataclass(frozen=True, slots=True)
class HostRow:
    """Requests to another host, and how those ended that brought no success, most frequent first."""

    host: str
    requests: int
    errors: tuple[tuple[str, int], ...]

    @property
    def failed(self) -> int:
        """Those that the host failed on, or was not there for; a 4xx is the asker's, but for a 429."""
        return sum(n for outcome, n in self.errors if outcome == "429" or not outcome.startswith("4"))


@dataclass(frozen=True, slots=True)
class Operators:
    """Everything on the page. `seconds` is how long the window is."""

    window: str
    seconds: int
    whole: Counts
    failed: int
    added: Added
    chart: Chart
    operations: Sequence[OperationRow]
    hosts: Sequence[HostRow]
    work: Standing
    lag_seconds: int
    store_bytes: int
    reconciled: Sequence[Reconciliation]
    versions: Sequence[tuple[str, str]]

    @property
    def title(self) -> str:
        """How the window is called."""
        return WINDOWS[self.window][1]

    def label_of(self, column: str) -> Markup:
        """A column's label: its first minute."""
        return when(_moment(column), "time")


async def operators(connection: AsyncConnection, window: str, now: datetime) -> Operators:
    """The page for the last `window`. Raises InvalidRequest for a window that there is not."""
    if window not in WINDOWS:
        raise InvalidRequest(f"{window!r} is no window; there are {', '.join(WINDOWS)}.")
    length = WINDOWS[window][0]
    # The running minute is the last one.
    since = now - length + timedelta(minutes=1)
    by_status = await traffic.minutes(connection, since, by=["operation", "status"])
    by_minute = await traffic.minutes(connection, since, by=["period", "status"])
    asked = await traffic.upstream_minutes(connection, since, by=["host", "outcome"])
    whole = sum((row.counts for row in by_status), Counts())
    work = await standing.read(connection)
    oldest = work.oldest_unsettled_at
    return Operators(
        window=window,
        seconds=int(length.total_seconds()),
        whole=whole,
        failed=sum(row.counts.requests for row in by_status if row.keys["status"] >= 500),
        added=Added.of(whole),
        chart=_chart(by_minute, since, now),
        operations=_operations(by_status),
        hosts=_hosts(asked),
        work=work,
        lag_seconds=0 if oldest is None else max(0, int((now - oldest).total_seconds())),
        store_bytes=await size_bytes(connection),
        reconciled=tuple((await reconciliations.latest(connection)).values()),
        versions=[*versions(), ("Store", f"{_store_name(connection)}, schema {REVISION}")],
    )


def _chart(rows: Sequence[traffic.TrafficRow], since: datetime, now: datetime) -> Chart:
    minutes = [
        minute_of(since + timedelta(minutes=number))
        for number in range(int((now - since).total_seconds()) // 60 + 1)
    ]
    each = -(-len(minutes) // MOST_COLUMNS)
    columns = minutes[::each]
    values = [[0] * len(columns) for _ in _KINDS]
    first = _moment(minutes[0])
    for row in rows:
        moment = _moment(row.keys["period"])
        place = int((moment - first).total_seconds()) // 60 // each
        if 0 <= place < len(columns):
            values[_kind(row.keys["status"])][place] += row.counts.requests
    series = [
        Series(name, tuple(numbers), colour) for (name, colour), numbers in zip(_KINDS, values, strict=True)
    ]
    return stacked_columns(columns, series)


def _moment(minute: str) -> datetime:
    return datetime.strptime(minute, MINUTE).replace(tzinfo=timezone.utc)


def _kind(status: int) -> int:
    return 0 if status < 400 else 1 if status < 500 else 2


def _operations(rows: Sequence[traffic.TrafficRow]) -> list[OperationRow]:
    names = dict.fromkeys(row.keys["operation"] for row in rows)
    found = []
    for name in names:
        mine = [row for row in rows if row.keys["operation"] == name]
        counts = sum((row.counts for row in mine), Counts())
        refused, failed = (
            sum(row.counts.requests for row in mine if _kind(row.keys["status"]) == kind) for kind in (1, 2)
        )
        found.append(OperationRow(name, counts, refused, failed, Added.of(counts)))
    return sorted(found, key=lambda row: (-row.counts.requests, row.name))


def _hosts(rows: Sequence[traffic.AskedRow]) -> list[HostRow]:
    asked: dict[str, Counter[str]] = {}
    for row in rows:
        asked.setdefault(row.keys["host"], Counter())[row.keys["outcome"]] += row.requests
    return [
        HostRow(
            host,
            outcomes.total(),
            tuple((outcome, number) for outcome, number in outcomes.most_common() if outcome != OK),
        )
        for host, outcomes in sorted(asked.items())
    ]


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """What runs here: the gateway, LiteLLM, Python."""
    found = []
    for name, package in (("aai-gateway", "aai-gateway"), ("LiteLLM", "litellm")):
        try:
            found.append((name, version(package)))
        except PackageNotFoundError:
            continue
    return (*found, ("Python", platform.python_version()))


def _store_name(connection: AsyncConnection) -> str:
    return "SQLite" if connection.dialect.name == "sqlite" else "Postgres"

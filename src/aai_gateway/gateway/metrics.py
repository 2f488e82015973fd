"""`/metrics` for Prometheus: what the store says, so that every worker tells the same, over restarts too.

Labels are bounded: teams, services, regions and models; never keys, end users or URLs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.gateway.management_rows import to_dollars
from aai_gateway.store import Store, figures
from aai_gateway.store.figures import Figures

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KEPT_SECONDS = 10.0
"""For how long a process gives the same answer: scrapes that come more often cost nothing."""


class Metrics:
    """Renders the figures, at most once in KEPT_SECONDS however many ask."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._page = b""
        self._until = 0.0

    async def page(self, store: Store) -> bytes:
        """The metrics in Prometheus's text format. Raises StoreError."""
        async with self._lock:
            if time.monotonic() >= self._until:
                async with store.read() as connection:
                    found = await figures.read(connection)
                self._page = render(found, utc_now())
                self._until = time.monotonic() + KEPT_SECONDS
        return self._page


def render(found: Figures, now: datetime) -> bytes:
    """The figures in Prometheus's text format; amounts in USD, exact."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> Iterable[Metric]:
            return [*_ledger(found), *_budgets(found, now), *_work(found, now)]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def _ledger(found: Figures) -> Iterable[Metric]:
    names = {team.id: team.alias for team in found.teams}
    spend: Counter[tuple[str, ...]] = Counter()
    for (team_id, service, region), micros in found.spend.items():
        # A deleted team goes by its id, the master key by nothing.
        spend[names.get(team_id or "", team_id or ""), service, region.value] += micros
    flagged = {(service, model or ""): sums for (service, model), sums in found.flagged.items()}
    yield _counter(
        "spend_usd",
        "What was charged, in USD.",
        ("team", "service", "region"),
        {labels: to_dollars(micros) for labels, micros in spend.items()},
    )
    yield _counter(
        "fallback_priced",
        "Jobs and completions whose model or add-on has no price, charged at the fallback.",
        ("service", "model"),
        {labels: count for labels, (count, _) in flagged.items()},
    )
    yield _counter(
        "fallback_priced_usd",
        "What was charged at the fallback, in USD.",
        ("service", "model"),
        {labels: to_dollars(micros) for labels, (_, micros) in flagged.items()},
    )
    yield _counter(
        "unknown_completions",
        "Completions whose answer never came, on record at nothing.",
        (),
        {(): found.unknown_completions},
    )


def _budgets(found: Figures, now: datetime) -> Iterable[Metric]:
    yield _counter(
        "soft_budget_crossed",
        "Soft budgets that were spent.",
        ("scope",),
        {(scope,): found.soft_budgets_crossed.get(scope, 0) for scope in ("key", "team", "gateway")},
    )
    budgets = {(team.alias,): team.budget.at(now) for team in found.teams}
    limited = {labels: budget for labels, budget in budgets.items() if budget.max_micros is not None}
    for name, text, values in (
        ("held_usd", "Held for jobs under way, in USD.", {n: b.held_micros for n, b in budgets.items()}),
        ("budget_max_usd", "The budget, in USD.", {n: b.max_micros for n, b in limited.items()}),
        (
            "budget_remaining_usd",
            "What may still be spent or held in this period, in USD.",
            {n: b.left_micros for n, b in limited.items()},
        ),
    ):
        yield _gauge(name, text, ("team",), {labels: to_dollars(micros) for labels, micros in values.items()})


def _work(found: Figures, now: datetime) -> Iterable[Metric]:
    oldest = found.oldest_pending_at
    yield _gauge(
        "pending_jobs",
        "Jobs that are not settled.",
        ("region",),
        {(region.value,): found.pending.get(region, 0) for region in Region},
    )
    yield _gauge(
        "oldest_pending_seconds",
        "Age of the oldest job that is not settled.",
        (),
        {(): 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())},
    )
    yield _gauge("open_intents", "Submissions whose outcome is not known yet.", (), {(): found.open_intents})
    yield _gauge(
        "notices_undelivered", "Notices that the webhook has not taken.", (), {(): found.undelivered_notices}
    )
    yield _gauge(
        "webhooks_undelivered",
        "Events that teams' webhooks have not taken yet.",
        (),
        {(): found.webhooks_to_deliver},
    )
    yield _counter(
        "webhooks_given_up",
        "Events that teams' webhooks never took.",
        (),
        {(): found.webhooks_given_up},
    )


_Values = Mapping[tuple[str, ...], float | int | None]


def _counter(name: str, text: str, labels: tuple[str, ...], values: _Values) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(f"aai_gateway_{name}", text, labels=labels), values)


def _gauge(name: str, text: str, labels: tuple[str, ...], values: _Values) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(f"aai_gateway_{name}", text, labels=labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: _Values) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value or 0)
    return family

"""The families of `/metrics`, from the store's figures. `docs/metrics.md` lists them; a test compares.

Labels are bounded: teams, services, regions, statuses, operations and hosts are few, models and line items
are the first NAMED that anything was charged for. Never a key, a transcript, an end user, a tag or a URL.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from aai_gateway import __version__
from aai_gateway.core.budgets import MICROS_PER_DOLLAR, Budget
from aai_gateway.core.named import OTHER, first_named
from aai_gateway.core.regions import Region
from aai_gateway.core.rollups import Sums
from aai_gateway.core.traffic import BOUNDS
from aai_gateway.store.figures import Figures, Queue
from aai_gateway.store.schema import REVISION
from aai_gateway.store.usage_sums import SumRow

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

NAMED = 100
"""How many models, and how many line items, have a label of their own; the others share one."""

_CHARGED_SERVICES = ("speech", "chat")
"""Services whose spend begins at zero for every team, so that its first charge is seen to be one."""
_JOB_STATUSES = ("queued", "processing", "completed", "error")
"""AssemblyAI's (API reference, "Get transcript": `status`)."""

Labels = tuple[str, ...]
_Values = Mapping[Labels, float | int]


def families(found: Figures, now: datetime) -> Iterator[Metric]:
    """Every metric; amounts in USD, exact."""
    yield _gauge("build_info", "Versions.", ("version", "litellm", "schema"), {_versions(): 1})
    yield from _teams_use(found)
    yield from _all_teams_use(found)
    yield from _budgets(found, now)
    yield from _work(found, now)
    yield from _reconciled(found)
    yield from _traffic(found)


def _teams_use(found: Figures) -> Iterator[Metric]:
    # A deleted team goes by its id, the master key by nothing.
    names = {team.id: team.alias for team in found.teams}
    place = ("team", "service", "region")
    spend: Counter[Labels] = Counter(
        {
            (team.alias, service, region.value): 0
            for team in found.teams
            for service in _CHARGED_SERVICES
            for region in team.regions
        }
    )
    seconds: Counter[Labels] = Counter()
    tokens: Counter[Labels] = Counter()
    for (team_id, service, region), used in found.used.items():
        labels = (names.get(team_id, team_id), service, region)
        spend[labels] += used.micros
        if used.audio_seconds:
            seconds[labels] += used.audio_seconds
        if used.prompt_tokens or used.completion_tokens:
            kinds = {"prompt": used.prompt_tokens, "completion": used.completion_tokens}
            tokens.update({(*labels, kind): count for kind, count in kinds.items()})
    month: Counter[Labels] = Counter({(team.alias,): 0 for team in found.teams})
    for team_id, micros in found.month_micros.items():
        month[(names.get(team_id, team_id),)] += micros
    yield _counter("spend_usd", "What was charged, in USD.", place, _usd(spend))
    yield _gauge("month_spend_usd", "What was charged this UTC month, in USD.", ("team",), _usd(month))
    yield _counter("audio_seconds", "Audio that was transcribed or understood.", place, seconds)
    yield _counter("tokens", "Tokens of completions.", (*place, "type"), tokens)


def _all_teams_use(found: Figures) -> Iterator[Metric]:
    jobs: Counter[Labels] = Counter()
    unknown: Counter[Labels] = Counter()
    for row in found.models:
        place = (row.keys["service"], row.keys["region"])
        completed = row.sums.jobs - row.sums.failed - row.sums.unknown
        jobs.update({(*place, "completed"): completed, (*place, "failed"): row.sums.failed})
        unknown[place] += row.sums.unknown
    place = ("service", "region")
    yield _counter("jobs", "Jobs and completions that have ended.", (*place, "outcome"), jobs)
    yield _gauge("unknown_jobs", "Jobs and completions on record as unknown, at nothing.", place, unknown)

    by_model = _named(found.models, "model", ("service", "region"), lambda sums: sums.micros)
    by_item = _named(found.items, "name", ("service", "region"), lambda sums: sums.micros)
    yield _counter("model_spend_usd", "What was charged by model.", (*place, "model"), _usd(by_model))
    yield _counter("item_spend_usd", "What was charged by line item.", (*place, "item"), _usd(by_item))

    flagged = _named(found.models, "model", ("service",), lambda sums: sums.flagged)
    flagged_micros = _named(found.models, "model", ("service",), lambda sums: sums.flagged_micros)
    yield _counter(
        "fallback_priced",
        "Jobs and completions whose model or add-on has no price, charged at the fallback.",
        ("service", "model"),
        flagged,
    )
    yield _counter(
        "fallback_priced_usd",
        "What was charged at the fallback, in USD.",
        ("service", "model"),
        _usd(flagged_micros),
    )


def _named(
    rows: Iterable[SumRow], name: str, place: tuple[str, ...], value: Callable[[Sums], int]
) -> Counter[Labels]:
    """A sum of rows by place and name, where there is one; the first NAMED names, the others under OTHER."""
    counted = [(row.keys, sum_) for row in rows if (sum_ := value(row.sums))]
    names = first_named(((keys["period"], keys[name]) for keys, _ in counted), NAMED)
    found: Counter[Labels] = Counter()
    for keys, sum_ in counted:
        label = keys[name] if keys[name] in names else OTHER
        found.update({(*(keys[one] for one in place), label): sum_})
    return found


def _budgets(found: Figures, now: datetime) -> Iterator[Metric]:
    yield _counter(
        "soft_budget_crossed",
        "Soft budgets that were spent.",
        ("scope",),
        {(scope,): found.soft_budgets_crossed.get(scope, 0) for scope in ("key", "team", "gateway")},
    )
    of_teams = {(team.alias,): team.budget.at(now) for team in found.teams}
    of_gateway: dict[Labels, Budget] = {(): found.gateway_budget.at(now)}
    for scope, labels, budgets in (("", ("team",), of_teams), ("all_teams_", (), of_gateway)):
        held = {name: budget.held_micros for name, budget in budgets.items()}
        most = {name: b.max_micros for name, b in budgets.items() if b.max_micros is not None}
        left = {name: b.left_micros for name, b in budgets.items() if b.left_micros is not None}
        yield _gauge(f"{scope}held_usd", "Held for jobs under way, in USD.", labels, _usd(held))
        yield _gauge(f"{scope}budget_max_usd", "The budget, in USD.", labels, _usd(most))
        yield _gauge(
            f"{scope}budget_remaining_usd",
            "What may still be spent or held in this period, in USD.",
            labels,
            _usd(left),
        )


def _work(found: Figures, now: datetime) -> Iterator[Metric]:
    queues = {region: found.queues.get(region, Queue()) for region in Region}
    pending: Counter[Labels] = Counter()
    for region, queue in queues.items():
        pending.update({(region.value, "queued"): 0, (region.value, "processing"): 0})
        for status, count in queue.by_status.items():
            pending[region.value, status if status in _JOB_STATUSES else OTHER] += count
    oldest = min((queue.oldest_at for queue in queues.values() if queue.oldest_at), default=None)
    yield _gauge("pending_jobs", "Jobs that are not settled.", ("region", "status"), pending)
    yield _gauge(
        "oldest_pending_seconds",
        "Age of the oldest job that is not settled.",
        (),
        {(): _age(oldest, now)},
    )
    yield _gauge(
        "settle_due_jobs",
        "Jobs that are to be looked at now.",
        ("region",),
        {(region.value,): queue.due for region, queue in queues.items()},
    )
    yield _gauge(
        "settle_lag_seconds",
        "How long the first of the jobs that are to be looked at now has been waiting for it.",
        ("region",),
        {(region.value,): _age(queue.due_since, now) for region, queue in queues.items()},
    )
    yield _gauge(
        "holds",
        "Sums held for jobs under way.",
        ("service", "region"),
        {(service, region): count for (service, region), count in found.holds.items()},
    )
    for name, text, count in (
        ("open_intents", "Submissions whose outcome is not known yet.", found.open_intents),
        ("notices_undelivered", "Notices that the webhook has not taken.", found.undelivered_notices),
        ("webhooks_undelivered", "Events that no webhook has taken yet.", found.webhooks_to_deliver),
        ("webhooks_given_up", "Events that teams' webhooks never took.", found.webhooks_given_up),
    ):
        yield _gauge(name, text, (), {(): count})


def _reconciled(found: Figures) -> Iterator[Metric]:
    last = {(region,): one for region, one in found.reconciliations.items()}
    yield _gauge(
        "reconciliation_difference_usd",
        "What unexplained jobs cost more than is booked, in USD, at the last reconciliation.",
        ("region",),
        _usd({labels: one.difference_micros for labels, one in last.items()}),
    )
    yield _gauge(
        "reconciliation_findings",
        "Jobs that the last reconciliation left unexplained.",
        ("region",),
        {labels: one.findings for labels, one in last.items()},
    )
    yield _gauge(
        "reconciliation_timestamp_seconds",
        "When the last reconciliation was, since 1970.",
        ("region",),
        {labels: one.at.timestamp() for labels, one in last.items()},
    )


def _traffic(found: Figures) -> Iterator[Metric]:
    from prometheus_client.core import HistogramMetricFamily

    labels = ("operation", "region", "status")
    served = {(place.operation, place.region, str(place.status)): c for place, c in found.served.items()}
    received: Counter[Labels] = Counter()
    sent: Counter[Labels] = Counter()
    for (operation, region, _), counts in served.items():
        received[operation, region] += counts.bytes_in
        sent[operation, region] += counts.bytes_out
    yield _counter(
        "requests", "Requests that were answered.", labels, {p: c.requests for p, c in served.items()}
    )
    yield _counter("received_bytes", "Bytes of requests' bodies.", labels[:2], received)
    yield _counter("sent_bytes", "Bytes of answers' bodies.", labels[:2], sent)
    added = HistogramMetricFamily(
        "aai_gateway_added_seconds", "What the gateway itself took of requests.", labels=labels
    )
    bounds = [*map(str, BOUNDS), "+Inf"]
    for place, counts in sorted(served.items()):
        if counts.added_count:
            buckets = list(zip(bounds, accumulate(counts.buckets), strict=True))
            added.add_metric(place, buckets, sum_value=counts.added_microseconds / 1_000_000)
    yield added
    yield _counter(
        "upstream_requests",
        "Requests to other hosts, by how they ended.",
        ("host", "outcome"),
        {(host, outcome): count for (host, outcome), count in found.asked.items()},
    )


@cache
def _versions() -> Labels:
    return (__version__, importlib.metadata.version("litellm"), REVISION)


def _age(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())


def _usd(micros: Mapping[Labels, int]) -> dict[Labels, float]:
    # The nearest double to the quotient, which prints as the decimal that it stands for.
    return {labels: sum_ / MICROS_PER_DOLLAR for labels, sum_ in micros.items()}


def _counter(name: str, text: str, labels: Labels, values: _Values) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(f"aai_gateway_{name}", text, labels=labels), values)


def _gauge(name: str, text: str, labels: Labels, values: _Values) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(f"aai_gateway_{name}", text, labels=labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: _Values) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family

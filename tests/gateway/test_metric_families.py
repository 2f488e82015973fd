"""The store's figures as metrics: exact, and bounded in their labels."""

from __future__ import annotations

import importlib.metadata
import re
from datetime import datetime, timedelta, timezone

import yaml
from gateway_process import REPOSITORY
from scrapes import chosen, samples

from aai_gateway import __version__
from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.rollups import Sums
from aai_gateway.core.tenancy import Team
from aai_gateway.core.traffic import Counts, Place
from aai_gateway.gateway.metric_families import NAMED, families
from aai_gateway.gateway.metrics import render
from aai_gateway.store.figures import Figures, LastReconciliation, Queue, Used
from aai_gateway.store.schema import REVISION
from aai_gateway.store.usage_sums import SumRow

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def sums(period: str, model: str, micros: int = 0, jobs: int = 1, **more: int) -> SumRow:
    keys = {"period": period, "service": "chat", "region": "us", "model": model, "name": model}
    return SumRow(keys, Sums(micros=micros, jobs=jobs, **more))


def test_what_was_used_becomes_samples():
    used = {
        ("t", "speech", "us"): Used(12_345_678_901, audio_seconds=60),
        ("gone", "chat", "eu"): Used(1, prompt_tokens=7, completion_tokens=3),
        ("", "chat", "us"): Used(5),
    }
    free = Team("f", 'the "free"\\team')
    team = Team("t", "research", (Region.US,))
    page = samples(render(Figures(used, {"t": 6, "gone": 1}, teams=(team, free)), NOW))

    zeros = {("spend_usd_total", free.alias, s, r): 0 for s in ("speech", "chat") for r in ("us", "eu")}
    assert {
        ("spend_usd_total", "research", "speech", "us"): 12345.678901,
        # Whatever it may spend on begins at nothing.
        ("spend_usd_total", "research", "chat", "us"): 0,
        **zeros,
        ("spend_usd_total", "gone", "chat", "eu"): 0.000001,
        ("spend_usd_total", "", "chat", "us"): 0.000005,
        ("month_spend_usd", "research"): 0.000006,
        ("month_spend_usd", free.alias): 0,
        ("month_spend_usd", "gone"): 0.000001,
        ("audio_seconds_total", "research", "speech", "us"): 60,
        ("tokens_total", "gone", "chat", "eu", "prompt"): 7,
        ("tokens_total", "gone", "chat", "eu", "completion"): 3,
    } == chosen(page, "spend_usd_total", "month_spend_usd", "audio_seconds_total", "tokens_total")


def test_what_all_teams_used_becomes_samples():
    models = (
        sums("2026-10", "claude", 5, jobs=3, failed=1, unknown=1),
        sums("2026-11", "claude", 2),
        sums("2026-11", "nova-1", 9, flagged=1, flagged_micros=9),
        # Nothing was charged for it.
        sums("2026-11", "made-up", 0, unknown=1),
    )
    page = samples(render(Figures(models=models, items=models[:2]), NOW))

    assert {
        ("jobs_total", "chat", "us", "completed"): 3,
        ("jobs_total", "chat", "us", "failed"): 1,
        ("unknown_jobs", "chat", "us"): 2,
        ("model_spend_usd_total", "chat", "us", "claude"): 0.000007,
        ("model_spend_usd_total", "chat", "us", "nova-1"): 0.000009,
        ("item_spend_usd_total", "chat", "us", "claude"): 0.000007,
        ("fallback_priced_total", "chat", "nova-1"): 1,
        ("fallback_priced_usd_total", "chat", "nova-1"): 0.000009,
    } == chosen(page, "jobs_total", "unknown_jobs", "model_spend", "item_spend", "fallback")


def test_names_from_outside_share_a_label_beyond_the_first_hundred():
    old = tuple(sums("2026-10", f"model-{number:03}", 1) for number in range(NAMED - 1))
    new = tuple(sums("2026-11", name, 1) for name in ("aaa", "bbb", "ccc"))
    page = samples(render(Figures(models=(*new, *old), items=(*new, *old)), NOW))

    for name in ("model_spend_usd_total", "item_spend_usd_total"):
        told = {labels[-1]: value for labels, value in chosen(page, name).items()}
        assert (NAMED + 1, 0.000001, 0.000002) == (len(told), told["aaa"], told["other"])


def test_what_is_under_way_becomes_samples():
    team = Team("t", "research", budget=Budget(1_000_000, "1d", 900_000, NOW, held_micros=250_000))
    free = Team("f", "free", budget=Budget(held_micros=1))
    found = Figures(
        soft_budgets_crossed={"team": 3},
        queues={
            Region.EU: Queue(
                {"queued": 7, "transcending": 2},
                oldest_at=NOW - timedelta(minutes=2),
                due=3,
                due_since=NOW - timedelta(seconds=30),
            )
        },
        open_intents=2,
        holds={("speech", "eu"): 9},
        undelivered_notices=1,
        webhooks_to_deliver=4,
        webhooks_given_up=5,
        teams=(team, free),
        gateway_budget=Budget(9_000_000, spent_micros=1, held_micros=250_001),
        reconciliations={"us": LastReconciliation(NOW, 3, -1_500_000, 1)},
    )
    page = samples(render(found, NOW))

    spent = ("build_info", "spend_usd_total", "month_spend_usd")
    assert {
        ("soft_budget_crossed_total", "key"): 0,
        ("soft_budget_crossed_total", "team"): 3,
        ("soft_budget_crossed_total", "gateway"): 0,
        ("held_usd", "research"): 0.25,
        ("held_usd", "free"): 0.000001,
        # Its period has ended.
        ("budget_max_usd", "research"): 1,
        ("budget_remaining_usd", "research"): 0.75,
        ("all_teams_held_usd",): 0.250001,
        ("all_teams_budget_max_usd",): 9,
        ("all_teams_budget_remaining_usd",): 8.749998,
        ("pending_jobs", "us", "queued"): 0,
        ("pending_jobs", "us", "processing"): 0,
        ("pending_jobs", "eu", "queued"): 7,
        ("pending_jobs", "eu", "processing"): 0,
        ("pending_jobs", "eu", "other"): 2,
        ("oldest_pending_seconds",): 120,
        ("settle_due_jobs", "us"): 0,
        ("settle_due_jobs", "eu"): 3,
        ("settle_lag_seconds", "us"): 0,
        ("settle_lag_seconds", "eu"): 30,
        ("holds", "speech", "eu"): 9,
        ("open_intents",): 2,
        ("notices_undelivered",): 1,
        ("webhooks_undelivered",): 4,
        ("webhooks_given_up",): 5,
        ("reconciliation_difference_usd", "us"): -1.5,
        ("reconciliation_findings", "us"): 3,
        ("reconciliation_timestamp_seconds", "us"): NOW.timestamp(),
    } == {labels: value for labels, value in page.items() if labels[0] not in spent}


def test_traffic_becomes_samples():
    buckets = (1, 2, *(0,) * 12, 1)
    served = {
        Place("transcript.submit", "us", 200): Counts(5, 100, 50, 4, 2_000_500, (*buckets, 0)),
        Place("transcript.submit", "us", 429): Counts(1, 10, 5),
    }
    page = samples(render(Figures(served=served, asked={("api.assemblyai.com", "ok"): 4}), NOW))

    place = ("transcript.submit", "us", "200")
    assert {
        ("requests_total", *place): 5,
        ("requests_total", "transcript.submit", "us", "429"): 1,
        ("received_bytes_total", "transcript.submit", "us"): 110,
        ("sent_bytes_total", "transcript.submit", "us"): 55,
        ("upstream_requests_total", "api.assemblyai.com", "ok"): 4,
        ("added_seconds_count", *place): 4,
        ("added_seconds_sum", *place): 2.0005,
    } == chosen(page, "requests", "received", "sent", "upstream", "added_seconds_c", "added_seconds_s")
    upto = {labels[-1]: value for labels, value in chosen(page, "added_seconds_bucket").items()}
    assert (16, 1, 3, 3, 4, 4) == (
        len(upto),
        *(upto[bound] for bound in ("0.00025", "0.0005", "1.0", "10.0", "+Inf")),
    )


def test_versions_are_told():
    [labels] = chosen(samples(render(Figures(), NOW)), "build_info")

    assert ("build_info", __version__, importlib.metadata.version("litellm"), REVISION) == labels


def test_a_team_named_like_a_deleted_ones_id_makes_no_second_sample():
    used = {("lab", "chat", "us"): Used(1), ("t", "chat", "us"): Used(2)}
    found = Figures(used, {"lab": 1, "t": 2}, teams=(Team("t", "lab"),))

    page = samples(render(found, NOW))
    assert 0.000003 == page["spend_usd_total", "lab", "chat", "us"] == page["month_spend_usd", "lab"]


def test_an_empty_gateway_tells_of_what_is_not_there():
    assert 0 == samples(render(Figures(), NOW))["oldest_pending_seconds",]


def test_every_metric_and_label_is_documented():
    table = (REPOSITORY / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `(aai_gateway_\w+)` \|([\w, ]*)\|", table, re.M)

    told = {}
    for family in families(Figures(), NOW):
        name = family.name if family.type != "counter" else f"{family.name}_total"
        told[name] = family._labelnames

    assert told == {name: tuple(re.findall(r"\w+", labels)) for name, labels in rows}


def test_every_alert_is_documented():
    documented = set(
        re.findall(r"`([A-Z]\w+)`", (REPOSITORY / "docs/metrics.md").read_text().split("## Alerts")[1])
    )
    rules = yaml.safe_load((REPOSITORY / "proxy/alerts.yml").read_text())["groups"][0]["rules"]

    assert documented == {rule["alert"] for rule in rules}

"""`/metrics`: exact, the same from every worker, bounded in its labels, for the master key alone."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest
import yaml
from gateway_process import CONFIG, REPOSITORY, GatewayProcess, running_gateway
from prometheus_client.parser import text_string_to_metric_families

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.emulator import Emulator
from aai_gateway.gateway import metrics
from aai_gateway.gateway.metrics import Metrics, render
from aai_gateway.store import Store, usage
from aai_gateway.store.figures import Figures
from aai_gateway.store.usage import UsageRow

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
LABELS = ("team", "service", "model", "region", "scope")
NONE = Figures({}, {}, 0, {}, {}, None, 0, 0, ())


def samples(page: bytes | str) -> dict[tuple[str, ...], float]:
    """Values by name and label values."""
    text = page if isinstance(page, str) else page.decode()
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values = (sample.labels[name] for name in LABELS if name in sample.labels)
            labels = (sample.name.removeprefix("aai_gateway_"), *values)
            assert labels not in found
            found[labels] = sample.value
    return found


def test_figures_become_samples():
    team = Team("t", "research", budget=Budget(1_000_000, "1d", 900_000, NOW, held_micros=250_000))
    free = Team("f", 'the "free"\\team', budget=Budget(held_micros=1))
    found = Figures(
        spend={
            ("t", "speech", Region.US): 12_345_678_901,
            ("gone", "chat", Region.EU): 1,
            (None, "chat", Region.US): 5,
        },
        flagged={("speech", "u9"): (2, 3), ("chat", None): (1, 5)},
        unknown_completions=4,
        soft_budgets_crossed={"team": 3},
        pending={Region.EU: 7},
        oldest_pending_at=NOW - timedelta(minutes=2),
        open_intents=2,
        undelivered_notices=1,
        webhooks_to_deliver=4,
        webhooks_given_up=5,
        teams=(team, free),
    )

    assert {
        ("spend_usd_total", "research", "speech", "us"): 12345.678901,
        ("spend_usd_total", "gone", "chat", "eu"): 0.000001,
        ("spend_usd_total", "", "chat", "us"): 0.000005,
        ("fallback_priced_total", "speech", "u9"): 2,
        ("fallback_priced_total", "chat", ""): 1,
        ("fallback_priced_usd_total", "speech", "u9"): 0.000003,
        ("fallback_priced_usd_total", "chat", ""): 0.000005,
        ("unknown_completions_total",): 4,
        ("soft_budget_crossed_total", "key"): 0,
        ("soft_budget_crossed_total", "team"): 3,
        ("soft_budget_crossed_total", "gateway"): 0,
        ("held_usd", "research"): 0.25,
        ("held_usd", 'the "free"\\team'): 0.000001,
        # Its period has ended.
        ("budget_max_usd", "research"): 1,
        ("budget_remaining_usd", "research"): 0.75,
        ("pending_jobs", "us"): 0,
        ("pending_jobs", "eu"): 7,
        ("oldest_pending_seconds",): 120,
        ("open_intents",): 2,
        ("notices_undelivered",): 1,
        ("webhooks_undelivered",): 4,
        ("webhooks_given_up_total",): 5,
    } == samples(render(found, NOW))


def test_a_team_named_like_a_deleted_ones_id_makes_no_second_sample():
    spend = {("lab", "chat", Region.US): 1, ("t", "chat", Region.US): 2}
    found = Figures(spend, {}, 0, {}, {}, None, 0, 0, (Team("t", "lab"),))

    assert 0.000003 == samples(render(found, NOW))["spend_usd_total", "lab", "chat", "us"]


def test_an_empty_gateway_tells_of_what_is_not_there():
    assert 0 == samples(render(NONE, NOW))["oldest_pending_seconds",]


async def test_the_store_is_asked_once_in_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    pages = Metrics()
    first = await asyncio.gather(*(pages.page(store) for _ in range(5)))
    async with store.write() as connection:
        await usage.record(connection, UsageRow("chat", "c", Region.US, "master", 5))
    assert {*first} == {await pages.page(store)}
    monkeypatch.setattr(pages, "_until", 0.0)
    later = await pages.page(store)
    await store.close()

    assert 0.000005 == samples(later)["spend_usd_total", "", "chat", "us"]


def test_it_is_for_the_master_key(gateway: GatewayProcess):
    team = gateway.team()
    url = f"{gateway.url}{metrics.PATH}"
    for headers, status in (({}, 401), ({"Authorization": "Bearer sk-wrong"}, 401), (team.bearer, 403)):
        refused = httpx.get(url, headers=headers)
        assert (status, "auth_error") == (refused.status_code, refused.json()["error"]["type"])
    with gateway.admin() as admin:
        answer = admin.get(metrics.PATH)
        assert (200, metrics.CONTENT_TYPE) == (answer.status_code, answer.headers["content-type"])
        assert 405 == admin.post(metrics.PATH).status_code
    assert ("held_usd", team.alias) in samples(answer.text)
    assert team.key not in answer.text and team.id not in answer.text


def test_what_is_held_crossed_and_pending_is_told_by_every_worker(emulator: Emulator, tmp_path: Path):
    later = {"AAI_GATEWAY_SETTLE_AFTER": "3600", "AAI_GATEWAY_SETTLE_INTERVAL": "0.3"}
    workers = ("--num_workers", "2", "--timeout_worker_healthcheck", "60")
    with running_gateway(emulator, tmp_path, *workers, **later) as gateway:
        team = gateway.team(max_budget=1, soft_budget=0)
        url = f"{gateway.url}/eu.assemblyai/v2/transcript"
        body = {"audio_url": "https://example.org/audio.wav"}
        made = httpx.post(url, headers=team.bearer, json=body)
        assert (200, "0.947500") == (made.status_code, made.headers["x-aai-gateway-budget-remaining"])
        assert "past its soft budget of $0.000000" in made.headers["x-aai-gateway-budget-warning"]
        with gateway.admin() as admin:
            # Each takes a new connection, and so either worker.
            told = [
                samples(httpx.get(gateway.url + metrics.PATH, headers=dict(admin.headers)).text)
                for _ in range(12)
            ]
        for found in told:
            assert (1, 0.947500, 0.0525) == tuple(
                found[f"{name}_usd", team.alias] for name in ("budget_max", "budget_remaining", "held")
            )
            assert (0, 1, 0) == (
                found["pending_jobs", "us"],
                found["pending_jobs", "eu"],
                found["open_intents",],
            )


def test_every_metric_is_documented():
    named = {family.name for family in text_string_to_metric_families(render(NONE, NOW).decode())}
    table = (REPOSITORY / "docs/metrics.md").read_text()

    documented = {name.removesuffix("_total") for name in re.findall(r"^\| `(aai_gateway_\w+)`", table, re.M)}

    assert named == documented


def test_litellms_own_metrics_stay_beside_it(emulator: Emulator, tmp_path: Path):
    config = yaml.safe_load(CONFIG.read_text())
    config["litellm_settings"]["callbacks"].append("prometheus")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with running_gateway(emulator, tmp_path, "--config", str(tmp_path / "config.yaml")) as gateway:
        with gateway.admin() as admin:
            ours, theirs = admin.get("/metrics").text, admin.get("/metrics/").text
        assert ("aai_gateway_" in ours, "litellm_" in ours) == (True, False)
        assert ("aai_gateway_" in theirs, "litellm_" in theirs) == (False, True)
        assert 401 == httpx.get(f"{gateway.url}/metrics/").status_code

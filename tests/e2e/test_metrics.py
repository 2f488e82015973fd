"""`/metrics` of two workers after real work: the invoice's sums, and what dashboards and alerts ask of it.

Every query of every dashboard and every alert is put to a real Prometheus that scraped the real gateway.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from gateway_process import REPOSITORY, GatewayProcess, TeamAccess, free_port, running_gateway
from invoiced import charged
from mixed_work import HELLO, STEREO
from scrapes import Samples, chosen, samples
from system_packages import require
from waiting import until

from aai_gateway.emulator import Emulator, Fault
from aai_gateway.gateway.metrics import PATH

PROXY = REPOSITORY / "proxy"
DASHBOARDS = sorted((PROXY / "grafana").glob("*.json"))
ROUTES = {"us": "assemblyai", "eu": "eu.assemblyai"}
CLAUDE = "claude-sonnet-4-6"
SETTINGS = {
    "AAI_GATEWAY_MAX_BUDGET": "1000",
    # What nobody polls is not settled: it stays held.
    "AAI_GATEWAY_SETTLE_AFTER": "3600",
}
WINDOWS = {"$__rate_interval": "1m", "$__interval": "1m", "$__range": "5m", "$team": ".*"}


@pytest.fixture(scope="module")
def gateway(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Two workers on one store."""
    workers = ("--num_workers", "2", "--timeout_worker_healthcheck", "60")
    with running_gateway(emulator, tmp_path_factory.mktemp("metrics"), *workers, **SETTINGS) as gateway:
        yield gateway


@dataclass
class Work:
    """A team's jobs and completions, as it sends them."""

    gateway: GatewayProcess
    emulator: Emulator
    team: TeamAccess
    ids: list[str] = field(default_factory=list)
    """What AssemblyAI charges for."""

    def job(self, region: str, **options: Any) -> None:
        """One job, polled to its end."""
        url = f"{self.gateway.url}/{ROUTES[region]}/v2/transcript"
        made = httpx.post(url, headers=self.team.bearer, json={"audio_url": HELLO, **options}, timeout=60)
        job = made.raise_for_status().json()["id"]
        self.ids.append(job)

        def is_over() -> bool:
            polled = httpx.get(f"{url}/{job}", headers=self.team.bearer, timeout=60).raise_for_status()
            return polled.json()["status"] in ("completed", "error")

        until(is_over)

    def chat(self, model: str) -> None:
        """One completion."""
        answer = httpx.post(
            f"{self.gateway.url}/v1/chat/completions",
            headers=self.team.bearer,
            json={
                "model": model,
                "messages": [{"role": "user", "content": "Repeat: fox."}],
                "max_tokens": 20,
            },
            timeout=60,
        )
        self.ids.append(answer.raise_for_status().json()["request_id"])

    def upstream_error(self) -> None:
        """A submission that AssemblyAI does not take."""
        fault = Fault(method="POST", path="/v2/transcript", status=500, count=1)
        self.emulator.faults.add(fault)
        url = f"{self.gateway.url}/assemblyai/v2/transcript"
        refused = httpx.post(url, headers=self.team.bearer, json={"audio_url": HELLO}, timeout=60)
        assert 500 == refused.status_code


@pytest.fixture(scope="module")
def work(gateway: GatewayProcess, emulator: Emulator) -> Work:
    """Speech of both regions with add-ons, one of them without a price, chat of both, and an error."""
    work = Work(gateway, emulator, gateway.team(max_budget=5, soft_budget=0))
    work.job("us", speaker_labels=True, sentiment_analysis=True)
    work.job("us", domain="legal-v9")
    work.job("eu", audio_url=STEREO, entity_detection=True)
    work.chat(f"assemblyai/{CLAUDE}")
    work.chat(f"eu.assemblyai/{CLAUDE}")
    work.upstream_error()
    return work


@pytest.fixture(scope="module")
def held(gateway: GatewayProcess) -> TeamAccess:
    """A team with a job that stays under way."""
    team = gateway.team(max_budget=1, soft_budget=0)
    url = f"{gateway.url}/eu.assemblyai/v2/transcript"
    made = httpx.post(url, headers=team.bearer, json={"audio_url": "https://example.org/audio.wav"})
    assert (200, "0.947500") == (made.status_code, made.headers["x-aai-gateway-budget-remaining"])
    assert "past its soft budget of $0.000000" in made.headers["x-aai-gateway-budget-warning"]
    return team


def scrape(gateway: GatewayProcess) -> str:
    token = gateway.environment["AAI_GATEWAY_METRICS_TOKEN"]
    # A new connection each time, and so either worker.
    answer = httpx.get(f"{gateway.url}{PATH}", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    return answer.raise_for_status().text


def told_by_all(gateway: GatewayProcess, *wanted: tuple[str, ...]) -> list[Samples]:
    """A dozen pages in a row that have what is wanted: workers give the same page for some seconds."""

    def pages() -> list[Samples] | None:
        found = [samples(scrape(gateway)) for _ in range(12)]
        return found if all(name in page for page in found for name in wanted) else None

    return until(pages, 60)


def test_what_is_held_crossed_and_pending_is_told_by_every_worker(gateway: GatewayProcess, held: TeamAccess):
    for found in told_by_all(gateway, ("held_usd", held.alias)):
        assert (1, 0.947500, 0.0525) == tuple(
            found[f"{name}_usd", held.alias] for name in ("budget_max", "budget_remaining", "held")
        )
        assert (0, 1, 0, 1) == (
            found["pending_jobs", "us", "queued"],
            found["pending_jobs", "eu", "queued"],
            found["open_intents",],
            found["holds", "speech", "eu"],
        )


def test_the_figures_are_the_invoices(gateway: GatewayProcess, emulator: Emulator, work: Work):
    invoice = charged(emulator, work.ids)
    micros: Counter[tuple[str, ...]] = Counter()
    for row in invoice.values():
        micros["spend_usd_total", work.team.alias, row.service, row.region] += row.micros
    seconds = chosen(told_by_all(gateway, *micros)[0], "audio_seconds_total")

    assert 5 == len(invoice) and 4 == len(micros)
    for page in told_by_all(gateway, *micros):
        mine = {
            name: value for name, value in chosen(page, "spend_usd_total").items() if work.team.alias in name
        }
        assert {name: sum_ / 1_000_000 for name, sum_ in micros.items()} == mine
        assert sum(micros.values()) / 1_000_000 == page["month_spend_usd", work.team.alias]
        of_items = sum(round(v * 1_000_000) for v in chosen(page, "item_spend_usd_total").values())
        of_models = sum(round(v * 1_000_000) for v in chosen(page, "model_spend_usd_total").values())
        assert (sum(micros.values()),) * 2 == (of_items, of_models)
        assert (2, 1, 1, 1) == tuple(
            page[("jobs_total", *place, "completed")]
            for place in (("speech", "us"), ("speech", "eu"), ("chat", "us"), ("chat", "eu"))
        )
    assert {work.team.alias} == {team for _, team, *_ in seconds} and all(seconds.values())


def test_nothing_secret_or_without_bounds_is_told(gateway: GatewayProcess, work: Work):
    page = scrape(gateway)
    for secret in (gateway.master_key, work.team.key, work.team.id, HELLO, *work.ids):
        assert secret not in page


def test_what_dashboards_and_alerts_name_is_there(gateway: GatewayProcess, work: Work, held: TeamAccess):
    traffic = until(lambda: "aai_gateway_added_seconds_bucket" in scrape(gateway), 60)
    note_a_reconciliation(gateway)
    page = until(lambda: p if "reconciliation_findings{" in (p := scrape(gateway)) else None, 60)
    labels: dict[str, set[str]] = {}
    for name, given in re.findall(r"^(aai_gateway_\w+)(?:\{(.*)\})? ", page, re.M):
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', given))

    assert traffic
    for expression in (*dashboard_queries(), *alert_queries()):
        named = re.findall(r"(aai_gateway_\w+)(?:\{([^}]*)\})?", expression)
        assert named or "up{" in expression
        groups = {one for by in re.findall(r"by \(([^)]*)\)", expression) for one in by.split(", ")}
        for metric, selected in named:
            assert {*re.findall(r"(\w+)=", selected)} <= labels[metric], expression
        assert groups <= {one for metric, _ in named for one in labels[metric]} | {"job"}, expression


@pytest.fixture(scope="module")
def prometheus(
    gateway: GatewayProcess, work: Work, held: TeamAccess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """The shipped configuration on this machine, once a second, when it has seen work go on."""
    folder = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(require("prometheus"), gateway, folder) as client:
        note_a_reconciliation(gateway)
        asked = 'aai_gateway_upstream_requests_total{outcome="500"}'
        until(lambda: ask(client, asked), 60)
        work.job("us", speaker_labels=True)
        work.chat(f"assemblyai/{CLAUDE}")
        work.upstream_error()
        until(lambda: ask(client, f"rate({asked}[1m]) > 0"), 60)
        until(lambda: ask(client, 'rate(aai_gateway_jobs_total{service="chat"}[1m]) > 0'), 60)
        yield client


@contextmanager
def running_prometheus(program: str, gateway: GatewayProcess, folder: Path) -> Iterator[httpx.Client]:
    config = yaml.safe_load((PROXY / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [scraping] = config["scrape_configs"]
    [static] = scraping["static_configs"]
    static["targets"] = [gateway.url.removeprefix("http://")]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "alerts.yml").write_text((PROXY / "alerts.yml").read_text())
    (folder / "metrics.token").write_text(gateway.environment["AAI_GATEWAY_METRICS_TOKEN"])
    port = free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            until(lambda: process.poll() is not None or is_ready(client), 60)
            assert process.poll() is None, (folder / "log").read_text()
            yield client
    finally:
        process.terminate()
        process.wait(30)


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def ask(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers to an instant query."""
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert "success" == answer["status"], (query, answer)
    return list(answer["data"]["result"])


def note_a_reconciliation(gateway: GatewayProcess) -> None:
    """One that has found a job, as `aai-gateway reconcile` writes it."""
    with closing(sqlite3.connect(gateway.store_path, timeout=30)) as store, store:
        now = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime())
        row = ("us", now, now, now, 0, 4, 1, 150_000, 0, 0)
        store.execute(
            "INSERT INTO reconciliations (region, at, since, until, quick, compared, findings, "
            f"difference_micros, without_a_sum, fixed) VALUES ({', '.join('?' * len(row))})",
            row,
        )


def dashboard_queries() -> list[str]:
    """The queries of all panels of all dashboards, their variables filled in."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            found += [filled_in(target["expr"]) for target in panel.get("targets", ())]
    return found


def filled_in(expression: str) -> str:
    for variable, value in WINDOWS.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def alert_queries() -> list[str]:
    groups = yaml.safe_load((PROXY / "alerts.yml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def test_every_query_of_every_dashboard_gets_an_answer(prometheus: httpx.Client):
    queries = dashboard_queries()
    assert 2 == len(DASHBOARDS) and 40 < len(queries)
    for query in queries:
        values = [float(one["value"][1]) for one in ask(prometheus, query)]
        print(f"{len(values):3} {min(values, default=math.nan):12.6g}  {query}")
        assert any(map(math.isfinite, values)), query


def test_every_alert_is_evaluated_and_those_with_a_reason_fire(prometheus: httpx.Client):
    [group] = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert {"ok"} == {rule["health"] for rule in group["rules"]}, group
    firing = {rule["name"] for rule in group["rules"] if rule["state"] == "firing"}
    assert {"UnpricedModelSeen", "ReconciliationDiffers"} == firing


def test_promtool_finds_nothing_to_say_of_the_page(gateway: GatewayProcess, work: Work):
    promtool = require("promtool", "prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scrape(gateway), capture_output=True, text=True
    )
    assert (0, "", "") == (checked.returncode, checked.stdout, checked.stderr)

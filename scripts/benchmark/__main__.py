"""`python -m benchmark [--quick]`: run everything and print one table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, TypeVar

import typer
import uvloop
from rich import box
from rich.console import Console
from rich.table import Table

from aai_gateway.demo.processes import (
    Service,
    Services,
    emulator_urls,
    ended_by_signals,
    explained,
    start_emulator,
)
from aai_gateway.errors import GatewayError
from benchmark.load import Polls, Upload, poll, upload
from benchmark.servers import (
    ACCOUNT_KEY,
    JOB_SECONDS,
    LiteLLM,
    peak_rss,
    rss,
    stock_litellm,
    this_gateway,
    unfinished_transcript,
    virtual_key,
)

T = TypeVar("T")

MB = 1_000_000
MIB = 1024 * 1024
CONCURRENCIES = (1, 16)
SPEED_UPLOAD, MEMORY_UPLOAD = 100 * MIB, 500 * MIB
WARM_UP_SECONDS = 0.5
SETTLE_SECONDS = 2.0

DIRECT, OURS, STOCK = "direct", "gateway", "stock"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure: starts of each proxy, rounds, seconds of polling in each."""

    starts: int
    rounds: int
    seconds: float


QUICK, FULL = Plan(starts=1, rounds=2, seconds=1.0), Plan(starts=3, rounds=5, seconds=3.0)


@dataclass
class Results:
    """Everything that was measured, by server."""

    start_up: dict[str, list[float]] = field(default_factory=lambda: {OURS: [], STOCK: []})
    idle_rss: dict[str, int] = field(default_factory=dict)
    polls: dict[tuple[str, int], list[Polls]] = field(default_factory=dict)
    uploads: dict[str, list[Upload]] = field(default_factory=dict)
    upload_growth: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """A server to ask: where its AssemblyAI begins, and what it wants as Authorization."""

    base: str
    authorization: str


def main(quick: Annotated[bool, typer.Option("--quick", help="A short, rough run.")] = False) -> None:
    """Compare this gateway with stock LiteLLM in front of the same emulator, on this machine."""
    with (
        ended_by_signals(),
        TemporaryDirectory(prefix="aai-gateway-bench-") as folder,
        Services(Path(folder)) as services,
        explained(services),
    ):
        results = uvloop.run(_measure(services, QUICK if quick else FULL))
    _print(results)


async def _measure(services: Services, plan: Plan) -> Results:
    results = Results()
    urls = emulator_urls(start_emulator(services, account_key=ACCOUNT_KEY, job_seconds=JOB_SECONDS))
    proxies = {OURS: this_gateway(services, urls), STOCK: stock_litellm(services, urls)}
    running = _start(services, proxies, plan, results)
    key = virtual_key(proxies[OURS])
    transcript_id = unfinished_transcript(proxies[OURS], key)
    targets = {
        DIRECT: Target(urls.us, ACCOUNT_KEY),
        OURS: Target(f"{proxies[OURS].url}/assemblyai", key),
        # Without a database, stock LiteLLM knows no other key.
        STOCK: Target(f"{proxies[STOCK].url}/assemblyai", f"Bearer {proxies[STOCK].master_key}"),
    }
    await _poll(targets, transcript_id, plan, results)
    await _upload(targets, running, plan, results)
    return results


def _start(
    services: Services, proxies: dict[str, LiteLLM], plan: Plan, results: Results
) -> dict[str, Service]:
    """Start each proxy in turn, several times; the last ones stay."""
    running: dict[str, Service] = {}
    for attempt in range(plan.starts + 1):
        if running:
            services.stop(*running.values())
        for name, proxy in proxies.items():
            _tell(f"start-up {attempt} of {plan.starts}: {name}" + ("" if attempt else " (warm-up)"))
            running[name], seconds = proxy.start()
            if attempt:
                results.start_up[name].append(seconds)
    time.sleep(SETTLE_SECONDS)
    results.idle_rss = {name: rss(service) for name, service in running.items()}
    return running


async def _poll(targets: dict[str, Target], transcript_id: str, plan: Plan, results: Results) -> None:
    for connections in CONCURRENCIES:
        for number in range(plan.rounds + 1):
            _tell(f"polls with {connections} connections: round {number} of {plan.rounds}")
            for name, target in targets.items():
                seconds = plan.seconds if number else WARM_UP_SECONDS
                found = await poll(
                    f"{target.base}/v2/transcript/{transcript_id}",
                    target.authorization,
                    connections=connections,
                    seconds=seconds,
                )
                if number:
                    results.polls.setdefault((name, connections), []).append(found)


async def _upload(
    targets: dict[str, Target], running: dict[str, Service], plan: Plan, results: Results
) -> None:
    for name in (OURS, STOCK):
        _tell(f"upload of {MEMORY_UPLOAD // MIB} MiB, watching memory: {name}")
        before = rss(running[name])
        async with peak_rss(running[name]) as peak:
            await upload(f"{targets[name].base}/v2/upload", targets[name].authorization, MEMORY_UPLOAD)
        results.upload_growth[name] = peak[0] - before
    for number in range(plan.rounds):
        _tell(f"uploads of {SPEED_UPLOAD // MIB} MiB: round {number + 1} of {plan.rounds}")
        for name, target in targets.items():
            found = await upload(f"{target.base}/v2/upload", target.authorization, SPEED_UPLOAD)
            results.uploads.setdefault(name, []).append(found)


def _tell(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _print(results: Results) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(("", "emulator itself", "this gateway", "stock LiteLLM", "ratio")):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for connections in CONCURRENCIES:
        polls = {name: Polls.median_of(results.polls[name, connections]) for name in (DIRECT, OURS, STOCK)}
        _row(
            table,
            f"polls/s, {connections} at once",
            polls,
            lambda p: p.per_second,
            "{:,.0f}",
            more_is_better=True,
        )
        _row(table, "  p50, ms", polls, lambda p: p.p50, "{:.2f}")
        _row(table, "  p99, ms", polls, lambda p: p.p99, "{:.2f}")
    table.add_row(
        f"upload {SPEED_UPLOAD // MIB} MiB, MB/s",
        *(_speed(results.uploads[n]) for n in (DIRECT, OURS, STOCK)),
        "",
    )
    growth = {name: f"{grown / MB:+.1f}" for name, grown in results.upload_growth.items()}
    table.add_row(f"RSS while {MEMORY_UPLOAD // MIB} MiB go up, MB", "", growth[OURS], growth[STOCK], "")
    _row(table, "start-up, s", {n: median(s) for n, s in results.start_up.items()}, float, "{:.1f}")
    _row(table, "idle RSS, MB", {n: r / MB for n, r in results.idle_rss.items()}, float, "{:.0f}")
    console = Console(highlight=False, emoji=False, markup=False)
    console.width = max(console.width, 100)
    console.print(table)
    failed = next((u for u in results.uploads[STOCK] if u.status != 200), None)
    if failed is not None:
        console.print(
            f"Stock LiteLLM answers an upload with {failed.status}: {_text(failed.body)}", soft_wrap=True
        )
    console.print(NOTES, soft_wrap=True)


def _row(
    table: Table,
    name: str,
    values: dict[str, T],
    figure: Callable[[T], float],
    form: str,
    *,
    more_is_better: bool = False,
) -> None:
    ours, stock = figure(values[OURS]), figure(values[STOCK])
    ratio = ours / stock if more_is_better else stock / ours
    direct = form.format(figure(values[DIRECT])) if DIRECT in values else ""
    table.add_row(name, direct, form.format(ours), form.format(stock), f"{ratio:.1f}x")


def _speed(uploads: list[Upload]) -> str:
    if any(one.status != 200 for one in uploads):
        return f"fails ({uploads[0].status or 'cut off'})"
    return f"{median(SPEED_UPLOAD / one.seconds for one in uploads) / MB:,.0f}"


def _text(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace")


NOTES = (
    "Medians of alternating rounds; ratios above 1 are in this gateway's favour. Client, proxy and "
    "emulator share this machine's cores. A poll is GET /v2/transcript/{id} of a job under way. The "
    "gateway checks a virtual key and whose transcript it is; stock LiteLLM is asked with its master key, "
    "the only one that it knows without a database. Stock is the same LiteLLM with the same uvloop and "
    "httptools, without our plugin; its AssemblyAI host, which has no setting, is replaced by the "
    "emulator's in scripts/benchmark/stock_litellm.py, and nothing else is."
)

if __name__ == "__main__":
    try:
        typer.run(main)
    except GatewayError as error:
        sys.exit(f"bench: {error}")

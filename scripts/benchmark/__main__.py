"""`python -m benchmark [--quick]`: run everything and print one table; `dashboard` is a run of its own."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
import uvloop

from aai_gateway.demo.processes import (
    Service,
    Services,
    emulator_urls,
    ended_by_signals,
    explained,
    start_emulator,
)
from aai_gateway.emulator.config import EmulatorUrls
from aai_gateway.errors import GatewayError
from benchmark.dashboard import dashboard
from benchmark.load import Target, Work, do, upload
from benchmark.pending import ledger_rows, measure_pending
from benchmark.quotes import quotes
from benchmark.results import (
    CHATS,
    CONCURRENCIES,
    DIRECT,
    FULL,
    LIVES,
    MEMORY_UPLOAD,
    MIB,
    OURS,
    POLLS,
    QUICK,
    SPEED_UPLOAD,
    STOCK,
    SUBMITS,
    UNMETERED,
    Plan,
    Results,
)
from benchmark.servers import (
    ACCOUNT_KEY,
    AUDIO_URL,
    JOB_SECONDS,
    LiteLLM,
    direct_target,
    gateway_target,
    peak_rss,
    rss,
    set_job_seconds,
    stock_litellm,
    stock_target,
    this_gateway,
    unfinished_job,
    unmetered_gateway,
)
from benchmark.table import show
from benchmark.workplace import tell

WARM_UP_SECONDS = 0.4
SETTLE_SECONDS = 2.0


app = typer.Typer(add_completion=False)
app.command("dashboard")(dashboard)
app.command("quotes")(quotes)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="A short, rough run.")] = False,
) -> None:
    """Compare this gateway with stock LiteLLM in front of the same emulator, on this machine."""
    if context.invoked_subcommand is not None:
        return
    with (
        ended_by_signals(),
        TemporaryDirectory(prefix="aai-gateway-bench-") as folder,
        Services(Path(folder)) as services,
        explained(services),
    ):
        results = uvloop.run(_measure(services, QUICK if quick else FULL))
    show(results)


async def _measure(services: Services, plan: Plan) -> Results:
    results = Results()
    urls = emulator_urls(start_emulator(services, account_key=ACCOUNT_KEY, job_seconds=JOB_SECONDS))
    tell("50,000 pending jobs")
    results.pending = await measure_pending(services, urls, plan.watch_seconds)
    proxies = {OURS: this_gateway(services, urls), STOCK: stock_litellm(services, urls)}
    running = _start(services, proxies, plan, results)
    unmetered = unmetered_gateway(services, urls)
    tell(f"start-up: {UNMETERED}")
    unmetered.start()
    targets = {
        DIRECT: direct_target(urls),
        OURS: gateway_target(proxies[OURS]),
        UNMETERED: gateway_target(unmetered),
        STOCK: stock_target(proxies[STOCK]),
    }
    await _rates(targets, urls, plan, results)
    await _upload(targets, running, plan, results)
    _check_ledgers(services.folder, results)
    return results


def _start(
    services: Services, proxies: dict[str, LiteLLM], plan: Plan, results: Results
) -> dict[str, Service]:
    """Start each proxy in turn, several times; the last ones stay. The page cache is warm already."""
    running: dict[str, Service] = {}
    for attempt in range(plan.starts):
        if running:
            services.stop(*running.values())
        for name, proxy in proxies.items():
            tell(f"start-up {attempt + 1} of {plan.starts}: {name}")
            running[name], seconds = proxy.start()
            results.start_up[name].append(seconds)
    time.sleep(SETTLE_SECONDS)
    results.idle_rss = {name: rss(service) for name, service in running.items()}
    return running


async def _rates(targets: dict[str, Target], urls: EmulatorUrls, plan: Plan, results: Results) -> None:
    """Submissions come last: stock LiteLLM keeps a thread busy for each job that has not ended."""
    set_job_seconds(urls, JOB_SECONDS)
    polls = {name: target.poll(await unfinished_job(target)) for name, target in targets.items()}
    for connections in CONCURRENCIES:
        await _rate(POLLS, connections, targets, polls, plan, results)
    chats = {name: target.chat() for name, target in targets.items() if name != DIRECT}
    await _rate(CHATS, CONCURRENCIES[-1], targets, chats, plan, results)
    set_job_seconds(urls, 0)
    for connections in CONCURRENCIES:
        lives = {name: target.life(AUDIO_URL) for name, target in targets.items()}
        await _rate(LIVES, connections, targets, lives, plan, results)
    set_job_seconds(urls, JOB_SECONDS)
    for connections in CONCURRENCIES:
        submits = {name: target.submission(AUDIO_URL) for name, target in targets.items()}
        await _rate(SUBMITS, connections, targets, submits, plan, results)


async def _rate(
    what: str,
    connections: int,
    targets: dict[str, Target],
    work: dict[str, Work],
    plan: Plan,
    results: Results,
) -> None:
    """Alternate between the servers, a warm-up first."""
    for number in range(plan.rounds + 1):
        tell(f"{what} with {connections} connections: round {number} of {plan.rounds}")
        for name in work:
            seconds = plan.seconds if number else WARM_UP_SECONDS
            found = await do(targets[name].base, work[name], connections=connections, seconds=seconds)
            results.counts[what, name] += found.count
            if number:
                results.rates.setdefault((what, name, connections), []).append(found)


async def _upload(
    targets: dict[str, Target], running: dict[str, Service], plan: Plan, results: Results
) -> None:
    for name in (OURS, STOCK):
        tell(f"upload of {MEMORY_UPLOAD // MIB} MiB, watching memory: {name}")
        before = rss(running[name])
        async with peak_rss(running[name]) as peak:
            await upload(f"{targets[name].base}/v2/upload", targets[name].authorization, MEMORY_UPLOAD)
        results.upload_growth[name] = peak[0] - before
    for number in range(plan.rounds):
        tell(f"uploads of {SPEED_UPLOAD // MIB} MiB: round {number + 1} of {plan.rounds}")
        for name in (DIRECT, OURS, STOCK):
            target = targets[name]
            found = await upload(f"{target.base}/v2/upload", target.authorization, SPEED_UPLOAD)
            results.uploads.setdefault(name, []).append(found)


def _check_ledgers(folder: Path, results: Results) -> None:
    """Every job that was answered is in this gateway's ledger, and none in the other's, or there was nothing
    to compare. Raises GatewayError.
    """
    lives = results.counts[LIVES, OURS]
    # One job more: the one that is polled.
    expected = {OURS: (results.counts[SUBMITS, OURS] + lives + 1, lives), UNMETERED: (0, 0)}
    found = {name: ledger_rows(folder / name) for name in expected}
    if found != expected:
        raise GatewayError(f"Transcript and usage rows are {found}, not {expected}.")
    results.ledger = found[OURS]


if __name__ == "__main__":
    try:
        app()
    except GatewayError as error:
        sys.exit(f"bench: {error}")

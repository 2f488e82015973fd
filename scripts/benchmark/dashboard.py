"""`scripts/bench dashboard`: pages and metrics over a large ledger, asked of the real gateway."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import httpx
import psutil  # type: ignore[import-untyped]  # has no types
import typer

from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.demo.processes import (
    Service,
    Services,
    emulator_urls,
    ended_by_signals,
    explained,
    start_emulator,
)
from aai_gateway.errors import GatewayError
from aai_gateway.store import Store, usage, usage_sums
from benchmark.dashboard_store import Filled, fill, team_id, team_key
from benchmark.dashboard_table import show
from benchmark.servers import ACCOUNT_KEY, JOB_SECONDS, LiteLLM, this_gateway
from benchmark.workplace import tell, workplace

WARM = 200
"""Times that each page is asked for once everything is warm."""
COLD = 12
"""Times after the store was pushed out of memory."""
BOOKINGS = 60
"""Rows of a round; rounds with and without sums take turns."""
ROUNDS = 6
METRICS = "/metrics"
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Times:
    """How long a page took, in seconds, each time; and the most it may take in p95, where that is set.

    `cpu` is the processor time that the gateway took for one when warm, which other work delays less.
    """

    name: str
    cold: Sequence[float]
    warm: Sequence[float]
    cpu: float
    target: float | None
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page by its path, or in turn by several; `secret` is the virtual key that looks at it, else the
    master key does. It is asked for so many `times`, with a `pause` in seconds before each."""

    name: str
    paths: Sequence[str]
    target: float | None = None
    secret: str | None = None
    pause: float = 0.0
    times: int = WARM


@dataclass(frozen=True, slots=True)
class Result:
    """Everything that was measured. `bookings` are seconds of a transaction, with and without sums."""

    store: Filled
    pages: Sequence[Times]
    with_sums: Sequence[float]
    without_sums: Sequence[float]


def dashboard(
    rows: Annotated[int, typer.Option(min=10_000, metavar="N", help="Rows of usage.")] = 10_000_000,
    teams: Annotated[int, typer.Option(min=3, metavar="N", help="Teams that they belong to.")] = 500,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the filled store here, and use one that is here already."),
    ] = None,
) -> None:
    """Time the dashboard and the metrics over a year of a large ledger, cold and warm."""
    with ended_by_signals(), workplace(folder) as place, Services(place) as services, explained(services):
        result = _measure(services, rows, teams)
    show(result)


def _measure(services: Services, rows: int, teams: int) -> Result:
    name = "dashboard"
    (services.folder / name).mkdir(exist_ok=True)
    store = fill(services.folder / name / "gateway.db", rows, teams, tell)
    urls = emulator_urls(start_emulator(services, account_key=ACCOUNT_KEY, job_seconds=JOB_SECONDS))
    gateway = this_gateway(services, urls, name)
    service, _ = gateway.start()
    pages = [_times(gateway, service, store, page) for page in _pages(store)]
    services.stop(service)
    tell("bookings, with and without sums")
    with_sums, without = asyncio.run(_bookings(store))
    return Result(store, pages, with_sums, without)


def _pages(store: Filled) -> list[Page]:
    today = datetime.now(timezone.utc).date()
    year = f"?from={today.replace(year=today.year - 1, day=1)}&to={today}"
    largest, middle = f"/dashboard/teams/{store.largest}", f"/dashboard/teams/{store.middle}"
    every = [f"/dashboard/teams/{team_id(number)}" for number in range(store.teams)]
    secret = team_key(int(store.largest.rpartition("-")[2]), 0)
    return [
        Page("overview", ["/dashboard/"], 0.1),
        Page("overview, a month ago", [f"/dashboard/?month={_month_before(today.year, today.month)}"], 0.1),
        Page("overview, a year", [f"/dashboard/{year}"], 0.1),
        Page("a team, each in turn", every, 0.05),
        Page("the largest team", [largest], 0.05),
        Page("the largest team, a year", [f"{largest}{year}"], 0.05),
        Page("the largest team, by its key", [largest], 0.05, secret),
        Page("an average team", [middle], 0.05),
        Page("transcripts of the largest team", [f"{largest}/transcripts"]),
        Page("its failed transcripts", [f"{largest}/transcripts?state=error"]),
        Page("its chats with one model", [f"{largest}/chats?model=gpt-5"]),
        Page("operators", ["/dashboard/operators"]),
        Page("audit log", ["/dashboard/audit"]),
        # A process answers from what it read until that is five seconds old.
        Page("/metrics", [METRICS], pause=5.1, times=20),
    ]


def _month_before(year: int, month: int) -> str:
    return f"{year - (month == 1)}-{(month - 2) % 12 + 1:02}"


def _times(gateway: LiteLLM, service: Service, store: Filled, page: Page) -> Times:
    """Ask for a page after the store was pushed out of memory, each time, and then again and again."""
    tell(page.name)
    with _signed_in(gateway, page.secret or gateway.master_key) as client:
        size, headers = 0, {"Authorization": f"Bearer {gateway.master_key}"}

        def ask(number: int) -> float:
            nonlocal size
            path = page.paths[number % len(page.paths)]
            time.sleep(page.pause)
            began = time.perf_counter()
            answer = client.get(path, headers=headers if path == METRICS else None)
            seconds = time.perf_counter() - began
            if answer.status_code != 200:
                raise GatewayError(f"{path} answered {answer.status_code}.")
            size = len(answer.content)
            return seconds

        ask(0)
        cold = []
        for number in range(COLD):
            _forget(store.path)
            cold.append(ask(number))
        for number in range(page.times // 20):
            ask(number)
        before = _cpu(service)
        warm = [ask(number) for number in range(page.times)]
        cpu = (_cpu(service) - before) / page.times
    return Times(page.name, cold, warm, cpu, page.target, size)


def _cpu(service: Service) -> float:
    """Seconds of processor time that a process has had."""
    times = psutil.Process(service.process.pid).cpu_times()
    return float(times.user + times.system)


def _forget(path: Path) -> None:
    """Push the store out of the system's memory; what a process keeps of it itself stays."""
    for file in path.parent.glob(f"{path.name}*"):
        handle = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


@contextmanager
def _signed_in(gateway: LiteLLM, key: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=120, trust_env=False) as client:
        form = _CSRF.search(client.get("/dashboard/sign-in").raise_for_status().text)
        if form is None:
            raise GatewayError("The page to sign in has no form.")
        answer = client.post("/dashboard/sign-in", data={"csrf": form[1], "key": key})
        if answer.status_code != 303:
            raise GatewayError(f"Signing in was answered with {answer.status_code}.")
        yield client


async def _bookings(store: Filled) -> tuple[list[float], list[float]]:
    """Seconds of a booking on the large store, with its sums and without them, in turn.

    Afterwards the sums of the day are made anew, so that the store is whole.
    """
    opened = await Store.open(store.url)
    found: dict[bool, list[float]] = {True: [], False: []}
    try:
        async with opened.read() as connection:
            models = await usage.list_rows(
                connection, usage.UsageFilter(team_id=store.largest), limit=BOOKINGS
            )
        for number in range(2 * ROUNDS):
            with_sums = number % 2 == 0
            mark = f"{time.time_ns():x}"
            rows = [_row(row, f"bench-{mark}-{place}") for place, row in enumerate(models)]
            found[with_sums] += await _book(opened, rows, with_sums=with_sums)
        today = datetime.now(timezone.utc).date()
        async with opened.write() as connection:
            await usage_sums.rebuild_day(connection, today)
        async with opened.write() as connection:
            await usage_sums.rebuild_month(connection, today)
    finally:
        await opened.close()
    return found[True], found[False]


async def _book(store: Store, rows: Sequence[UsageRow], *, with_sums: bool) -> list[float]:
    async def nothing(*_: object) -> None:
        pass

    seconds = []
    with patch.object(usage_sums, "add", usage_sums.add if with_sums else nothing):
        for row in rows:
            began = time.perf_counter()
            async with store.write() as connection:
                await usage.record(connection, row)
            seconds.append(time.perf_counter() - began)
    return seconds


def _row(row: UsageRow, source_id: str) -> UsageRow:
    return replace(row, id=None, source_id=source_id, created_at=datetime.now(timezone.utc))

"""The table that `scripts/bench dashboard` prints."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from benchmark.dashboard import Result, Times

_COLUMNS = ("", "cold p50", "cold max", "warm p50", "p95", "p99", "p95 at most", "CPU", "kB")


def percentile(seconds: Sequence[float], part: float) -> float:
    """The value that this part of all does not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def show(result: Result) -> None:
    """Print everything: milliseconds, as a client on this machine sees them."""
    store = result.store
    console = Console(highlight=False, emoji=False, markup=False)
    console.width = max(console.width, 120)
    console.print(
        f"{store.rows:,} rows of usage over a year, {store.teams:,} teams, {store.transcripts:,} "
        f"transcripts, {store.sums:,} sums; {store.bytes / 1e9:.1f} GB in SQLite. The largest team has "
        f"{store.largest_rows:,} rows.",
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(_COLUMNS):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for times in result.pages:
        table.add_row(times.name, *_cells(times))
    console.print(table)
    with_sums, without = (1000 * median(some) for some in (result.with_sums, result.without_sums))
    console.print(
        f"A booking takes {with_sums:.1f} ms with its sums, {without:.1f} ms without them: "
        f"{with_sums / without:.2f} times as long.",
        soft_wrap=True,
    )
    console.print(
        "Milliseconds as a client on this machine sees them, one request at a time, signed in. Cold: the "
        "store was pushed out of memory before each request, but for what the gateway itself keeps. CPU: the "
        "gateway's processor time for one warm request.",
        soft_wrap=True,
    )


def _cells(times: Times) -> list[str]:
    figures = (
        median(times.cold),
        max(times.cold),
        *(percentile(times.warm, part) for part in (0.5, 0.95, 0.99)),
    )
    target = "" if times.target is None else f"{1000 * times.target:,.0f}"
    cpu = f"{1000 * times.cpu:,.1f}"
    return [*(f"{1000 * seconds:,.1f}" for seconds in figures), target, cpu, f"{times.size / 1000:,.0f}"]

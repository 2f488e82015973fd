"""The table that `scripts/bench` prints, and what its words mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from benchmark.load import Rate, Upload
from benchmark.pending import JOBS
from benchmark.results import (
    CHATS,
    CONCURRENCIES,
    DIRECT,
    LIVES,
    MB,
    MEMORY_UPLOAD,
    MIB,
    OURS,
    POLLS,
    SPEED_UPLOAD,
    STOCK,
    SUBMITS,
    UNMETERED,
    Results,
)

COLUMNS = {DIRECT: "emulator", OURS: "gateway", UNMETERED: "unmetered", STOCK: "stock"}

NOTES = (
    "Medians of alternating rounds, all servers in the same run; client, proxies and emulator share this "
    "machine's cores. Ratios above 1 are in the gateway's favour; the one to the unmetered gateway is what "
    "the ledger costs.",
    "Poll: GET /v2/transcript/{id} of a job under way. Submit: POST /v2/transcript; the gateway commits "
    "twice, the intent with its hold before it forwards, the transcript row before it answers. Whole job: a "
    "submit and the poll that finds it ended and books it, a third commit. Chat: a completion through "
    "LiteLLM, held before and booked after.",
    "Unmetered: the gateway as scripts/benchmark/unmetered_gateway.py starts it, without the store's "
    "transactions for jobs and chats and all that is in them: intents, holds and their release, transcript "
    "rows, usage rows and charges, the look for a newer price book. Whose a job is is kept in memory. Keys, "
    "owners, prices and forwarding are the same. It exists for this table; no setting does it.",
    "Stock: the same LiteLLM with the same uvloop and httptools, without our plugin, asked with its master "
    "key, the only one that it knows without a database. Its AssemblyAI host, which has no setting, is "
    "replaced by the emulator's in scripts/benchmark/stock_litellm.py, and nothing else is. It learns what "
    "jobs cost in threads, for which its whole jobs do not wait.",
    f"Pending: how far the memory of a gateway grows while {JOBS:,} jobs that nobody asks for wait in its "
    "store, with AssemblyAI answering, and then with AssemblyAI cutting every connection.",
)


def show(results: Results) -> None:
    """Print everything."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(("", *COLUMNS.values(), "÷ unmetered", "÷ stock")):
        table.add_column(name, justify="right" if index else "left", no_wrap=True)
    for what in (POLLS, SUBMITS, LIVES, CHATS):
        for connections in CONCURRENCIES:
            _rates(table, results, what, connections)
    _uploads(table, results)
    _row(table, "start-up, s", {n: median(s) for n, s in results.start_up.items()}, "{:.1f}")
    _row(table, "idle RSS, MB", {n: r / MB for n, r in results.idle_rss.items()}, "{:.0f}")
    assert results.pending is not None
    _cells(table, f"RSS, {JOBS:,} pending, MB", {OURS: f"{results.pending.growth_up / MB:+.1f}"})
    _cells(table, "  AssemblyAI down", {OURS: f"{results.pending.growth_down / MB:+.1f}"})
    console = Console(highlight=False, emoji=False, markup=False)
    console.width = max(console.width, 110)
    console.print(table)
    failed = next((u for u in results.uploads[STOCK] if u.status != 200), None)
    if failed is not None:
        text = failed.body[:200].decode("utf-8", "replace")
        console.print(f"Stock LiteLLM answers an upload with {failed.status}: {text}", soft_wrap=True)
    jobs, booked = results.ledger
    console.print(
        f"The gateway's ledger has all its {jobs:,} jobs, and the {booked:,} that ended are booked once."
    )
    settled = results.pending.settled_per_second
    console.print(f"Of {JOBS:,} pending jobs {settled:,.0f} a second were settled in the background.")
    for note in NOTES:
        console.print(note, soft_wrap=True)


def _rates(table: Table, results: Results, what: str, connections: int) -> None:
    rates = {
        name: Rate.median_of(results.rates[what, name, connections])
        for name in COLUMNS
        if (what, name, connections) in results.rates
    }
    if not rates:
        return
    per_second = {name: rate.per_second for name, rate in rates.items()}
    _row(table, f"{what}/s, {connections} at once", per_second, "{:,.0f}", more_is_better=True)
    _row(table, "  p50, ms", {name: rate.p50 for name, rate in rates.items()}, "{:.2f}")
    if what in (POLLS, SUBMITS):
        _row(table, "  p99, ms", {name: rate.p99 for name, rate in rates.items()}, "{:.2f}")


def _uploads(table: Table, results: Results) -> None:
    speeds = {name: _speed(uploads) for name, uploads in results.uploads.items()}
    _cells(table, f"upload {SPEED_UPLOAD // MIB} MiB, MB/s", speeds)
    growth = {name: f"{grown / MB:+.1f}" for name, grown in results.upload_growth.items()}
    _cells(table, f"RSS while {MEMORY_UPLOAD // MIB} MiB go up, MB", growth)


def _row(
    table: Table, name: str, values: Mapping[str, float], form: str, *, more_is_better: bool = False
) -> None:
    def ratio(other: str) -> str:
        if other not in values:
            return ""
        ours = values[OURS] / values[other]
        return f"{ours if more_is_better else 1 / ours:.2f}x"

    cells = {server: form.format(value) for server, value in values.items()}
    _cells(table, name, cells, ratio)


def _cells(
    table: Table, name: str, cells: Mapping[str, str], ratio: Callable[[str], str] = lambda other: ""
) -> None:
    table.add_row(name, *(cells.get(server, "") for server in COLUMNS), ratio(UNMETERED), ratio(STOCK))


def _speed(uploads: list[Upload]) -> str:
    if any(one.status != 200 for one in uploads):
        return f"fails ({uploads[0].status or 'cut off'})"
    return f"{median(SPEED_UPLOAD / one.seconds for one in uploads) / MB:,.0f}"

"""`aai-gateway usage rerate`: what rows would have cost at other prices. A report: no row is ever changed."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.moments import parse_moment
from aai_gateway.cli.output import note, print_json, print_table, usd
from aai_gateway.cli.store import on_store
from aai_gateway.cli.usage_options import Asked, takes_filter
from aai_gateway.core.budgets import dollars
from aai_gateway.core.names import Names
from aai_gateway.core.price_book import PriceBook
from aai_gateway.core.rerating import rerate as rerated
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.errors import PriceError

if TYPE_CHECKING:
    from aai_gateway.store import Store

Key = tuple[str | None, str, str | None]
"""A team's id, a service, a model."""

_COLUMNS = (
    *("team", "team_id", "service", "model", "jobs", "changed"),
    *("recorded_micros", "recorded_usd", "rerated_micros", "rerated_usd", "difference_micros"),
    "difference_usd",
)


@dataclass(slots=True)
class Difference:
    """Rows as they are booked and as they are priced now; micro-dollars. `changed` rows differ."""

    jobs: int = 0
    changed: int = 0
    recorded_micros: int = 0
    rerated_micros: int = 0

    def add(self, recorded: int, rerated: int) -> None:
        """Count a row."""
        self.jobs += 1
        self.changed += recorded != rerated
        self.recorded_micros += recorded
        self.rerated_micros += rerated


@dataclass(slots=True)
class Report:
    """Differences by team, service and model, and all together; `skipped` rows have nothing to price."""

    by: dict[Key, Difference] = field(default_factory=dict)
    total: Difference = field(default_factory=Difference)
    skipped: Difference = field(default_factory=Difference)

    def add(self, row: UsageRow, micros: int | None) -> None:
        """Count a row that costs `micros` now; None when it cannot be priced."""
        if micros is None:
            self.skipped.add(row.micros, row.micros)
            return
        for sums in (self.by.setdefault((row.team_id, row.service, row.model), Difference()), self.total):
            sums.add(row.micros, micros)


@takes_filter
def rerate(
    asked: Asked,
    prices_at: Annotated[
        datetime | None,
        typer.Option(
            metavar="DATE|7d",
            parser=parse_moment,
            help="Price all rows as of this moment; each as of its own unless given.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: micro-dollars, and USD as text.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """What rows cost by the price book in force now, beside what is booked; nothing is changed.

    A price that was learned late shows here. A job has the prices of its submission, a completion those of
    its request.
    """
    if as_json and as_csv:
        raise typer.BadParameter("Choose --json or --csv.")
    report, names = on_store(lambda store: _report(store, asked, prices_at))
    rows = [
        _row(names, key, sums)
        for key, sums in sorted(report.by.items(), key=lambda one: _order(names, one[0]))
    ]
    if as_json:
        total, skipped = _sums(report.total), _sums(report.skipped)
        period = {"since": asked.begins, "until": asked.ends, "prices_at": prices_at}
        print_json({**period, "rows": rows, "total": total, "skipped": skipped})
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    elif rows:
        _print(rows, _sums(report.total))
    else:
        note("There is nothing to price in this time.")
    if report.skipped.jobs:
        sums = report.skipped
        note(f"Left out, because they cannot be priced: {sums.jobs:,} rows, {dollars(sums.recorded_micros)}.")


async def _report(store: Store, asked: Asked, prices_at: datetime | None) -> tuple[Report, Names]:
    from aai_gateway.price_book import load_price_book
    from aai_gateway.store import price_books, usage
    from aai_gateway.store.names import load_names

    report = Report()
    async with store.snapshot() as connection:
        where, names = await asked.resolve(connection), await load_names(connection)
        book = await price_books.merged(connection, load_price_book())
        async for page in usage.pages(connection, where, oldest_first=True):
            for row in page:
                at = prices_at or row.priced_at or row.created_at
                report.add(row, _price(book, row, at))
    return report, names


def _price(book: PriceBook, row: UsageRow, at: datetime) -> int | None:
    """What a row costs, in micro-dollars; None for one whose outcome or length nobody knows."""
    unpriced = row.service == "speech" and row.status == "completed" and not row.items
    if row.status == "unknown" or row.model is None or unpriced:
        return None
    try:
        cost = rerated(
            book,
            service=row.service,
            region=row.region,
            model=row.model,
            items=row.items,
            global_region=row.global_region,
            at=at,
        )
    except PriceError:
        return None
    return cost.micros


def _order(names: Names, key: Key) -> tuple[Any, ...]:
    team_id, service, model = key
    return (team_id is None, names.team(team_id) or "", team_id or "", service, model or "")


def _row(names: Names, key: Key, sums: Difference) -> dict[str, Any]:
    team_id, service, model = key
    head = {"team": names.team(team_id), "team_id": team_id, "service": service, "model": model}
    return head | _sums(sums)


def _sums(sums: Difference) -> dict[str, Any]:
    difference = sums.rerated_micros - sums.recorded_micros
    return {
        "jobs": sums.jobs,
        "changed": sums.changed,
        "recorded_micros": sums.recorded_micros,
        "recorded_usd": usd(sums.recorded_micros),
        "rerated_micros": sums.rerated_micros,
        "rerated_usd": usd(sums.rerated_micros),
        "difference_micros": difference,
        "difference_usd": usd(difference),
    }


def _print(rows: list[dict[str, Any]], total: dict[str, Any]) -> None:
    headers = ("Team", "Service", "Model", "Jobs", "Changed", "Booked", "At these prices", "Difference")
    cells = [
        [*(str(row[name] or "-") for name in ("team", "service", "model")), *_numbers(row)] for row in rows
    ]
    cells.append(["Total", "", "", *_numbers(total)])
    print_table(headers, cells, right=range(3, len(headers)))


def _numbers(row: dict[str, Any]) -> list[str]:
    amounts = (row["recorded_micros"], row["rerated_micros"], row["difference_micros"])
    return [f"{row['jobs']:,}", f"{row['changed']:,}", *map(dollars, amounts)]

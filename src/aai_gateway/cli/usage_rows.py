"""`aai-gateway usage rows`: the ledger's rows themselves, with their line items."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.files import Output, output_to
from aai_gateway.cli.output import note, print_table, usd
from aai_gateway.cli.store import on_store
from aai_gateway.cli.usage_options import Asked, takes_filter
from aai_gateway.core.budgets import dollars
from aai_gateway.core.names import Names
from aai_gateway.core.price_book import amount_text
from aai_gateway.core.statements import no_formula
from aai_gateway.core.usage_rows import BookedItem, UsageRow, booked_items

if TYPE_CHECKING:
    from aai_gateway.store import Store

MOST_IN_A_TABLE = 10_000
"""A table is measured before it is printed; a file has no such limit."""

_COLUMNS = (
    *("id", "created_at", "service", "region", "source_id", "status", "team", "team_id", "key", "key_hash"),
    *("model", "priced_as", "audio_seconds", "channels", "prompt_tokens", "completion_tokens"),
    *("tags", "end_user", "global_region", "micros", "usd", "items"),
)
_LISTS = ("tags", "items")
_TEXTS = ("team", "team_id", "key", "model", "end_user")
"""Columns whose text somebody chose."""
_HEADERS = (
    "Time (UTC)",
    "Team",
    "Key",
    "Service",
    "Region",
    "Model, lines",
    "Quantity",
    "Unit price",
    "Cost",
)
Write = Callable[[UsageRow, Names], None]
_UNITS = {
    "second": ("s", "/h"),
    "token": ("tokens", "/1M"),
    **dict.fromkeys(("transcript", "completion", "request"), ("unanswered", "")),
}


@takes_filter
def rows(
    asked: Asked,
    limit: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many, the newest first; 0 for all.")
    ] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines: one row in each line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV; tags and line items as JSON.")] = False,
) -> None:
    """The rows that make the sums, each with its line items, newest first."""
    if as_json and as_csv:
        raise typer.BadParameter("Choose --json or --csv.")
    if not (as_json or as_csv or 0 < limit <= MOST_IN_A_TABLE):
        raise typer.BadParameter(f"For more than {MOST_IN_A_TABLE:,} rows choose --json or --csv.")
    table: list[tuple[str, ...]] = []
    if as_json or as_csv:
        with output_to(None) as output:
            begin = _json_lines if as_json else _csv_lines
            found, total = on_store(lambda store: _each(store, asked, limit, lambda: begin(output)))
    else:
        found, total = on_store(lambda store: _each(store, asked, limit, lambda: _table_rows(table)))
        if table:
            print_table(_HEADERS, table, right=(6, 7, 8))
    if found < total:
        note(f"The newest {found:,} of {total:,} rows; --limit 0 with --json or --csv gives all.")
    elif not total:
        note("There are no such rows.")


async def _each(store: Store, asked: Asked, limit: int, begin: Callable[[], Write]) -> tuple[int, int]:
    """Write the newest rows, one at a time; how many they are, and how many there are.

    `begin` is called once it is known that the question makes sense.
    """
    from aai_gateway.store import usage
    from aai_gateway.store.names import load_names

    found = 0
    async with store.snapshot() as connection:
        where, names = await asked.resolve(connection), await load_names(connection)
        total = await usage.total(connection, where)
        write = begin()
        async for page in usage.pages(connection, where, limit=limit or None):
            for row in page:
                write(row, names)
            found += len(page)
    return found, total.jobs


def _json_lines(output: Output) -> Write:
    def write(row: UsageRow, names: Names) -> None:
        output.write(json.dumps(_values(row, names), ensure_ascii=False) + "\n")

    return write


def _csv_lines(output: Output) -> Write:
    writer = csv.DictWriter(output, _COLUMNS, lineterminator="\n")
    writer.writeheader()

    def write(row: UsageRow, names: Names) -> None:
        values = _values(row, names)
        lists = {name: json.dumps(values[name], ensure_ascii=False) for name in _LISTS}
        texts = {name: no_formula(values[name] or "") for name in _TEXTS}
        writer.writerow(values | lists | texts)

    return write


def _table_rows(table: list[tuple[str, ...]]) -> Write:
    return lambda row, names: table.extend(_cells(row, names))


def _values(row: UsageRow, names: Names) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(row, name, None) for name in _COLUMNS}
    return found | {
        "created_at": row.created_at.isoformat(),
        "region": row.region.value,
        "team": names.team(row.team_id),
        "key": names.key(row.key_hash),
        "tags": list(row.tags),
        "usd": usd(row.micros),
        "items": [dict(item) for item in row.items],
    }


def _cells(row: UsageRow, names: Names) -> Iterator[tuple[str, ...]]:
    """A row in the table, and its line items below it."""
    status = "" if row.status == "completed" else f" ({row.status})"
    yield (
        f"{row.created_at:%Y-%m-%d %H:%M:%S}",
        names.team(row.team_id) or "-",
        names.key(row.key_hash) or "-",
        row.service,
        row.region.value,
        f"{row.model or '-'}{status}",
        "",
        "",
        dollars(row.micros),
    )
    for item in booked_items(row):
        yield ("", "", "", "", "", f"  {item.name}", *_item_cells(item))


def _item_cells(item: BookedItem) -> tuple[str, str, str]:
    unit, per = _UNITS[item.unit]
    price = f"${amount_text(item.unit_price)}{per}{' fallback' if item.fallback else ''}"
    if item.held_micros is not None:
        return f"{item.quantity:,} {unit}", "", f"at most {dollars(item.held_micros)}"
    return f"{item.quantity:,} {unit}", price, f"({dollars(item.micros)})"

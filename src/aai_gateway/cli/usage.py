"""`aai-gateway usage`: who spent what, exactly; rows, exports, statements and re-rating are its commands."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.output import note, print_json, print_table, usd
from aai_gateway.cli.store import on_store
from aai_gateway.cli.usage_export import export
from aai_gateway.cli.usage_options import Asked, takes_filter
from aai_gateway.cli.usage_rebuild import rebuild
from aai_gateway.cli.usage_rerate import rerate
from aai_gateway.cli.usage_rows import rows
from aai_gateway.cli.usage_statement import statement
from aai_gateway.core.budgets import dollars
from aai_gateway.core.statements import no_formula

if TYPE_CHECKING:
    from aai_gateway.store import Store
    from aai_gateway.store.usage import Group, SummaryRow

app = typer.Typer(add_completion=False)
app.command(epilog="Example: aai-gateway usage rows --team newsroom --limit 20")(rows)
app.command(epilog="Example: aai-gateway usage export --focus --month 2026-11 --output 2026-11.csv")(export)
app.command(epilog="Example: aai-gateway usage statement --team newsroom --month 2026-11")(statement)
app.command(epilog="Example: aai-gateway usage rerate --since 2026-11-01 --prices-at 2026-12-01")(rerate)
app.command(epilog="Example: aai-gateway usage rebuild --check")(rebuild)

GROUPS: dict[str, Group] = {
    "team": "team_id",
    "key": "key_hash",
    "service": "service",
    "region": "region",
    "model": "model",
    "day": "day",
    "month": "month",
    "tag": "tag",
    "end_user": "end_user",
    "status": "status",
}
_HEADERS = {"end_user": "End user"}
_SUMS = ("jobs", "audio_seconds", "prompt_tokens", "completion_tokens", "micros", "usd")
_COUNTS = ("failed", "flagged", "unknown")


def parse_groups(text: str) -> list[str]:
    """`team,service` as a list. Raises BadParameter."""
    groups = [part.strip() for part in text.split(",")]
    if unknown := [name for name in groups if name not in GROUPS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(GROUPS)}.")
    return list(dict.fromkeys(groups))


@app.callback(
    invoke_without_command=True,
    epilog="Example: aai-gateway usage --team newsroom --since 2026-11-01 --by day,model --csv",
)
@takes_filter
def usage(
    asked: Asked,
    context: typer.Context,
    by: Annotated[
        Any,
        typer.Option(metavar="LIST", parser=parse_groups, help=f"What to sum by, of {','.join(GROUPS)}."),
    ] = "team,service",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: micro-dollars, and USD as text.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """What was spent, by team and service; amounts are exact to the micro-dollar."""
    if context.invoked_subcommand is not None:
        _require_no_options(context)
        return
    if as_json and as_csv:
        raise typer.BadParameter("Choose --json or --csv.")
    rows, total = on_store(lambda store: _summary(store, by, asked))
    if as_json:
        period = {"since": asked.begins, "until": asked.ends}
        print_json({**period, "by": by, "rows": rows, "total": total})
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=[*_columns(by), *_SUMS], extrasaction="ignore")
        writer.writeheader()
        names = [name for name in by if GROUPS[name] not in ("day", "month")]
        for row in rows:
            writer.writerow(row | {name: no_formula(row[name] or "") for name in names})
    elif rows:
        _print(by, rows, total)
    else:
        note("Nothing has been spent in this time.")
    remark(total["flagged"], total["unknown"])


def remark(flagged: int, unknown: int) -> None:
    """Say on stderr what a sum does not show: rows at a stand-in price, and completions without an answer."""
    if flagged:
        rows = "1 row was" if flagged == 1 else f"{flagged:,} rows were"
        note(f"{rows} charged at the fallback price; see aai-gateway doctor.")
    if unknown:
        rows = "1 completion has" if unknown == 1 else f"{unknown:,} completions have"
        note(f"{rows} no known outcome, and cost nothing here; see aai-gateway doctor.")


def _require_no_options(context: typer.Context) -> None:
    for name in context.params:
        source = context.get_parameter_source(name)
        # By name: Typer has a click of its own in some releases.
        if source is not None and source.name != "DEFAULT":
            raise typer.BadParameter(f"Give options after `{context.invoked_subcommand}`.")


async def _summary(
    store: Store, by: Sequence[str], asked: Asked
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from aai_gateway.store import usage
    from aai_gateway.store.names import load_names

    async with store.snapshot() as connection:
        where = await asked.resolve(connection)
        names = await load_names(connection)
        rows = await usage.summary(connection, [GROUPS[name] for name in by], where)
        total = await usage.total(connection, where)

    def named(row: SummaryRow) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in by:
            value = row.keys[GROUPS[name]]
            lookup = {"team": names.team, "key": names.key}.get(name)
            values[name] = value if lookup is None else lookup(value)
            if lookup is not None:
                values[GROUPS[name]] = value
        return values | _sums(row)

    return sorted((named(row) for row in rows), key=_sort_key(by)), _sums(total)


def _sums(row: SummaryRow) -> dict[str, Any]:
    return {
        "jobs": row.jobs,
        **{name: getattr(row, name) for name in _COUNTS},
        "audio_seconds": row.audio_seconds,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "micros": row.micros,
        "usd": usd(row.micros),
    }


def _sort_key(by: Sequence[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    return lambda row: tuple((row[name] is None, row[name] or "") for name in by)


def _columns(by: Sequence[str]) -> list[str]:
    """Group columns of the CSV: a team's and key's ids beside their names."""
    return [column for name in by for column in ([name] if GROUPS[name] == name else [name, GROUPS[name]])]


def _print(by: Sequence[str], rows: Sequence[dict[str, Any]], total: dict[str, Any]) -> None:
    groups = [_HEADERS.get(name, name.capitalize()) for name in by]
    headers = [*groups, "Jobs", "Audio s", "Tokens in", "Tokens out", "Cost"]
    cells = [[*(str(row[name] or "-") for name in by), *_numbers(row)] for row in rows]
    cells.append(["Total", *[""] * (len(by) - 1), *_numbers(total)])
    print_table(headers, cells, right=range(len(by), len(headers)))
    if "tag" in by:
        note("A row with several tags counts under each of them; the total counts each row once.")


def _numbers(row: dict[str, Any]) -> list[str]:
    counts = (row["jobs"], row["audio_seconds"], row["prompt_tokens"], row["completion_tokens"])
    return [*(f"{count:,}" for count in counts), dollars(row["micros"])]

"""`aai-gateway usage`: who spent what, exactly."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.output import note, print_json, print_table, usd
from aai_gateway.cli.store import existing_team, on_store
from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.core.durations import before
from aai_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from aai_gateway.store import Store
    from aai_gateway.store.usage import Group, SummaryRow

app = typer.Typer(add_completion=False)

GROUPS: dict[str, Group] = {
    "team": "team_id",
    "service": "service",
    "model": "model",
    "region": "region",
    "key": "key_hash",
    "day": "day",
}
_SUMS = ("jobs", "audio_seconds", "prompt_tokens", "completion_tokens", "micros", "usd")


def parse_groups(text: str) -> list[str]:
    """`team,service` as a list. Raises BadParameter."""
    groups = [part.strip() for part in text.split(",")]
    if unknown := [name for name in groups if name not in GROUPS]:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(GROUPS)}.")
    return list(dict.fromkeys(groups))


def parse_moment(text: str) -> datetime:
    """A UTC moment: a date, a date with time, or how long ago (`7d`, `12h`). Raises BadParameter."""
    try:
        return before(utc_now(), text)
    except ConfigurationError:
        pass
    try:
        # Python 3.10 reads no Z.
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date like 2026-11-01 and no time span like 7d.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


@app.command(epilog="Example: aai-gateway usage --team newsroom --since 2026-11-01 --by day,model --csv")
def usage(
    team: Annotated[str | None, typer.Option(metavar="NAME", help="Only this team's usage.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(metavar="DATE|7d", parser=parse_moment, help="From this UTC moment on, or so long ago."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(metavar="DATE|1d", parser=parse_moment, help="Up to, not including.")
    ] = None,
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
    if as_json and as_csv:
        raise typer.BadParameter("Choose --json or --csv.")
    rows, total = on_store(lambda store: _summary(store, by, team, since, until))
    if as_json:
        print_json({"since": since, "until": until, "by": by, "rows": rows, "total": total})
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=[*_columns(by), *_SUMS], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    elif rows:
        _print(by, rows, total)
    else:
        note("Nothing has been spent in this time.")


async def _summary(
    store: Store, by: Sequence[str], team: str | None, since: datetime | None, until: datetime | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from aai_gateway.store import keys, teams, usage

    async with store.read() as connection:
        team_id = None if team is None else (await existing_team(connection, team)).id
        names = {one.id: one.alias for one in await teams.list_all(connection)}
        masked = {key.hash: key.alias or key.masked for key in await keys.list_all(connection)}
        groups = [GROUPS[name] for name in by]
        rows = await usage.summary(connection, groups, since=since, until=until, team_id=team_id)
        total = await usage.total(connection, since=since, until=until, team_id=team_id)

    def named(row: SummaryRow) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in by:
            value = row.keys[GROUPS[name]]
            # A deleted team or key is known by its id or hash alone.
            lookup = {"team": names, "key": masked}.get(name)
            values[name] = value if lookup is None or value is None else lookup.get(value, value)
            if lookup is not None:
                values[GROUPS[name]] = value
        return values | _sums(row)

    return sorted((named(row) for row in rows), key=_sort_key(by)), _sums(total)


def _sums(row: SummaryRow) -> dict[str, Any]:
    return {
        "jobs": row.jobs,
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
    headers = [*(name.capitalize() for name in by), "Jobs", "Audio s", "Tokens in", "Tokens out", "Cost"]
    cells = [[*(str(row[name] or "-") for name in by), *_numbers(row)] for row in rows]
    cells.append(["Total", *[""] * (len(by) - 1), *_numbers(total)])
    print_table(headers, cells, right=range(len(by), len(headers)))


def _numbers(row: dict[str, Any]) -> list[str]:
    counts = (row["jobs"], row["audio_seconds"], row["prompt_tokens"], row["completion_tokens"])
    return [*(f"{count:,}" for count in counts), dollars(row["micros"])]

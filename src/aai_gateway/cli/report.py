"""`aai-gateway report`: a team's month as a file to print or to send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.files import output_to, require_new
from aai_gateway.cli.moments import parse_month
from aai_gateway.cli.output import note
from aai_gateway.cli.store import on_store
from aai_gateway.cli.usage_export import Force
from aai_gateway.cli.usage_statement import drawn_up, files_of, require_folder
from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.core.price_sources import sources_of
from aai_gateway.core.statements import month_end, to_csv

if TYPE_CHECKING:
    from aai_gateway.reports.report import Report
    from aai_gateway.store import Store

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: aai-gateway report --month 2026-10 --team research --html 2026-10.html --csv 2026-10.csv"
)
def report(
    month: Annotated[
        datetime, typer.Option(metavar="YYYY-MM", parser=parse_month, help="The UTC month, like 2026-10.")
    ],
    team: Annotated[str | None, typer.Option(metavar="NAME", help="The team, by name or id.")] = None,
    all_teams: Annotated[
        bool, typer.Option("--all-teams", help="Every team, and what belongs to none; FILE is a folder then.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page to print or send: one file that needs no other."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the statement's lines and sums for a sheet.")
    ] = None,
    force: Force = False,
) -> None:
    """A report of a team's month, as HTML, as CSV or both; its figures are the statement's."""
    if (team is None) != all_teams:
        raise typer.BadParameter("Choose --team or --all-teams.")
    if html is None and csv is None:
        raise typer.BadParameter("Say where to write: --html, --csv or both.")
    made = on_store(lambda store: _made(store, team, month))
    files = [
        (path, one, write)
        for target, suffix, write in ((html, "html", _html), (csv, "csv", _csv))
        if target is not None
        for path, one in _files(made, target, suffix, one_each=all_teams)
    ]
    for path, _, _ in files:
        require_new(path, force=force)
    for path, one, write in files:
        with output_to(path, force=force) as target:
            target.write(write(one))
        typer.echo(path)
    if all_teams:
        note(f"{len(made):,} teams, {dollars(sum(one.statement.micros for one in made))} together.")


def _files(
    made: Sequence[Report], target: Path, suffix: str, *, one_each: bool
) -> Iterator[tuple[Path, Report]]:
    """Where each report goes: to `target`, or into it as a folder."""
    if not one_each:
        yield target, made[0]
        return
    require_folder(target)
    of_team = {one.statement.team_id: one for one in made}
    for path, statement in files_of((one.statement for one in made), target, suffix):
        yield path, of_team[statement.team_id]


def _html(report: Report) -> str:
    from aai_gateway.reports.report import to_html

    return to_html(report)


def _csv(report: Report) -> str:
    return to_csv(report.statement)


async def _made(store: Store, team: str | None, month: datetime) -> list[Report]:
    """What the reports are made of, all of one moment. Raises StoreError."""
    from aai_gateway.price_book import load_price_book
    from aai_gateway.reports.report import Report
    from aai_gateway.store import price_books, statements, teams

    async with store.snapshot() as connection:
        drawn = await drawn_up(connection, team, month)
        book = await price_books.merged(connection, load_price_book())
        budgets = {one.id: one.budget.at(utc_now()) for one in await teams.list_all(connection)}
        return [
            Report(
                statement,
                await statements.by_day(connection, statement, month),
                budgets.get(statement.team_id or ""),
                sources_of(book, statement.lines, month, month_end(month)),
            )
            for statement in drawn
        ]

"""`aai-gateway usage statement`: what a team is charged for a month, with line items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.files import output_to, require_new
from aai_gateway.cli.moments import parse_month
from aai_gateway.cli.output import note
from aai_gateway.cli.store import on_store
from aai_gateway.cli.usage_export import Force, OutputFile
from aai_gateway.cli.usage_options import team_id_of
from aai_gateway.core.budgets import dollars
from aai_gateway.core.statements import Statement, to_csv, to_markdown
from aai_gateway.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store import Store

_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Format(str, Enum):
    """How a statement is written."""

    md = "md"
    csv = "csv"


def statement(
    month: Annotated[
        datetime, typer.Option(metavar="YYYY-MM", parser=parse_month, help="The UTC month, like 2026-11.")
    ],
    team: Annotated[str | None, typer.Option(metavar="NAME", help="The team, by name or id.")] = None,
    all_teams: Annotated[
        bool, typer.Option("--all-teams", help="Every team, and what belongs to none; needs --output-dir.")
    ] = False,
    form: Annotated[
        Format, typer.Option("--format", help="Markdown for people, CSV for sheets.")
    ] = Format.md,
    output: OutputFile = None,
    output_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a file for each team into this folder.")
    ] = None,
    force: Force = False,
) -> None:
    """A chargeback statement of a team for a month: its total, and the line items that add up to it."""
    if (team is None) != all_teams:
        raise typer.BadParameter("Choose --team or --all-teams.")
    if all_teams != (output_dir is not None) or (output and output_dir):
        raise typer.BadParameter("--all-teams needs --output-dir; one team has --output, or stdout.")
    write = to_markdown if form is Format.md else to_csv
    made = on_store(lambda store: _statements(store, team, month))
    if output_dir is None:
        with output_to(output, force=force) as target:
            target.write(write(made[0]))
        return
    files = list(files_of(made, output_dir, form.value))
    require_folder(output_dir)
    for file, _ in files:
        require_new(file, force=force)
    for file, one in files:
        with output_to(file, force=force) as target:
            target.write(write(one))
        typer.echo(file)
    note(f"{len(made):,} statements, {dollars(sum(one.micros for one in made))} together.")


async def _statements(store: Store, team: str | None, month: datetime) -> list[Statement]:
    async with store.snapshot() as connection:
        return await drawn_up(connection, team, month)


async def drawn_up(connection: AsyncConnection, team: str | None, month: datetime) -> list[Statement]:
    """The statement of one team, by name or id, or of all. Needs `Store.snapshot`; raises StoreError."""
    from aai_gateway.store import statements

    if team is None:
        return await statements.of_all(connection, month)
    return [await statements.of_team(connection, await team_id_of(connection, team), month)]


def files_of(made: Iterable[Statement], folder: Path, suffix: str) -> Iterator[tuple[Path, Statement]]:
    """A file for each statement, named by its team, and by the team's id too where names would collide.

    Raises StoreError for ids that would collide as well.
    """
    taken: set[str] = set()
    for one in made:
        name = _NO_FILE_NAME.sub("-", one.team).strip("-").lower()
        if not name or name in taken:
            name = f"{name}-{_NO_FILE_NAME.sub('-', one.team_id or 'none')}".strip("-").lower()
        if name in taken:
            raise StoreError(f"Another team's statement has the name {name}; draw this one up with --team.")
        taken.add(name)
        yield folder / f"{name}-{one.month}.{suffix}", one


def require_folder(folder: Path) -> None:
    """Make a folder where there is none. Raises ConfigurationError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}.") from error

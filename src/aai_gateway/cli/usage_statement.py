"""`aai-gateway usage statement`: what a team is charged for a month, with line items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.files import output_to, require_new
from aai_gateway.cli.output import note
from aai_gateway.cli.store import on_store
from aai_gateway.cli.usage_export import Force, OutputFile
from aai_gateway.cli.usage_options import Names, month_end, parse_month, team_id_of
from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.core.statements import (
    PARTS,
    Share,
    Statement,
    StatementLine,
    require_whole,
    to_csv,
    to_markdown,
)
from aai_gateway.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store import Store
    from aai_gateway.store.usage import UsageFilter

NO_TEAM = "no team"
"""What is charged to the master key, and to keys without a team."""

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
    made = on_store(lambda store: _draw_up(store, team, month))
    if output_dir is None:
        with output_to(output, force=force) as target:
            target.write(write(made[0]))
        return
    files = list(_files(made, output_dir, form))
    _require_folder(output_dir)
    for file, _ in files:
        require_new(file, force=force)
    for file, one in files:
        with output_to(file, force=force) as target:
            target.write(write(one))
        typer.echo(file)
    note(f"{len(made):,} statements, {dollars(sum(one.micros for one in made))} together.")


async def _draw_up(store: Store, team: str | None, month: datetime) -> list[Statement]:
    """The statement of one team, or those of all; together they are the month's total."""
    from aai_gateway.store.usage import UsageFilter, summary, total

    whole = UsageFilter(since=month, until=month_end(month))
    async with store.snapshot() as connection:
        names = await Names.load(connection)
        if team is not None:
            where = replace(whole, team_id=await team_id_of(connection, team))
            return [await _statement(connection, where, names, month)]
        booked = [row.keys["team_id"] for row in await summary(connection, ("team_id",), whole)]
        ids = sorted({*names.teams, *(one for one in booked if one is not None)})
        wheres = [replace(whole, team_id=one) for one in ids]
        if None in booked:
            wheres.append(replace(whole, no_team=True))
        made = [await _statement(connection, where, names, month) for where in wheres]
        expected = (await total(connection, whole)).micros
    if (found := sum(one.micros for one in made)) != expected:
        raise StoreError(f"The teams add up to {dollars(found)}, the month to {dollars(expected)}.")
    return made


async def _statement(
    connection: AsyncConnection, where: UsageFilter, names: Names, month: datetime
) -> Statement:
    from aai_gateway.store import usage, usage_lines

    total = await usage.total(connection, where)
    unknown = await usage_lines.unknown_completions(connection, where)
    now = utc_now()
    made = Statement(
        team=names.team(where.team_id) or NO_TEAM,
        team_id=where.team_id,
        month=f"{month:%Y-%m}",
        has_ended=month_end(month) <= now,
        drawn_up=now,
        micros=total.micros,
        jobs=total.jobs,
        failed=total.failed,
        flagged=total.flagged,
        unknown=unknown.count,
        unknown_micros=unknown.held_micros,
        lines=[
            StatementLine(
                service=line.service,
                region=line.region,
                model=line.model,
                item=line.name,
                quantity=line.quantity,
                unit=line.unit,
                unit_price=line.unit_price,
                fallback=line.fallback,
                micros=line.micros,
            )
            for line in await usage_lines.line_sums(connection, where)
        ],
        parts={part: await _shares(connection, part, where, names) for part in PARTS},
    )
    require_whole(made)
    return made


async def _shares(connection: AsyncConnection, part: str, where: UsageFilter, names: Names) -> list[Share]:
    from aai_gateway.store import usage

    group: usage.Group = "key_hash" if part == "key" else part  # type: ignore[assignment]  # PARTS holds groups
    found = [(row.keys[group], row) for row in await usage.summary(connection, [group], where)]
    named = [(names.key(value) if part == "key" else value, row) for value, row in found]
    return [Share(name, row.jobs, row.micros) for name, row in named]


def _files(made: Iterable[Statement], folder: Path, form: Format) -> Iterator[tuple[Path, Statement]]:
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
        yield folder / f"{name}-{one.month}.{form.value}", one


def _require_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}.") from error

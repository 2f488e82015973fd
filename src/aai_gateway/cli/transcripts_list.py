"""`aai-gateway transcripts list`: every team's transcripts, from the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aai_gateway.cli.files import output_to
from aai_gateway.cli.output import note, print_table, usd
from aai_gateway.cli.store import existing_team, on_store
from aai_gateway.core.budgets import dollars
from aai_gateway.core.owners import team_owner
from aai_gateway.core.regions import Region
from aai_gateway.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store import Store
    from aai_gateway.store.transcript_lines import Line

MOST_IN_A_TABLE = 10_000
"""A table is measured before it is printed; JSON Lines have no such limit."""

_HEADERS = ("Transcript", "Region", "Team", "Key", "Status", "Created (UTC)", "Model", "Length", "Cost")

Status = Literal["queued", "processing", "completed", "error"]


def parse_day(text: str) -> date:
    """A UTC day. Raises BadParameter."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day like 2026-11-21.") from None


def list_transcripts(
    team: Annotated[str | None, typer.Option(metavar="NAME", help="Only this team's.")] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Only those this key made: its alias, hash or last characters."),
    ] = None,
    region: Annotated[Region | None, typer.Option(help="Only those in this region.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only those that stand so.")] = None,
    created_on: Annotated[
        date | None,
        typer.Option(metavar="2026-11-21", parser=parse_day, help="Only those made on this UTC day."),
    ] = None,
    deleting: Annotated[
        bool, typer.Option("--deleting", help="Only those still to be deleted at AssemblyAI.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=MOST_IN_A_TABLE, metavar="N", help="How many.")] = 50,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="Those next older than this transcript.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them; with --json.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines: one in each line.")] = False,
) -> None:
    """List transcripts, newest first, deleted ones too, as AssemblyAI does."""
    if everything and not as_json:
        raise typer.BadParameter("--all needs --json.")
    if deleting and status is not None:
        raise typer.BadParameter("Choose --deleting or --status.")

    async def work(store: Store, show: Callable[[Line], None]) -> tuple[int, str | None, int]:
        from aai_gateway.store import ownership, transcript_lines
        from aai_gateway.store.transcript_lines import Wanted

        async with store.snapshot() as connection:
            owner = None if team is None else team_owner((await existing_team(connection, team)).id)
            key_hash = None if key is None else await _key_hash_of(connection, key)
            ends = None if created_on in (None, date.max) else created_on + timedelta(days=1)
            wanted = Wanted(
                owner, key_hash, region, "deleting" if deleting else status, since=created_on, until=ends
            )
            place = None if before is None else await transcript_lines.place_of(connection, before)
            shown, more = 0, None
            size = None if everything else limit
            async for page in transcript_lines.pages(connection, wanted, size, place):
                for line in page.lines:
                    show(line)
                shown += len(page.lines)
                more = None if page.older is None else page.lines[-1].transcript.id
            left = await ownership.left_to_delete(connection) if deleting else 0
        return shown, more, left

    if as_json:
        with output_to(None) as output:
            shown, more, left = on_store(
                lambda store: work(store, lambda line: _write_json(output.write, line))
            )
    else:
        rows: list[tuple[str, ...]] = []
        shown, more, left = on_store(lambda store: work(store, lambda line: rows.append(_row(line))))
        if rows:
            print_table(_HEADERS, rows, right=(7, 8))
    if more is not None:
        note(f"There are older ones: --before {more}")
    elif not shown:
        note("There are no such transcripts.")
    if deleting:
        note(f"{left:,} transcripts are still to be deleted at AssemblyAI; a running gateway does it.")


async def _key_hash_of(connection: AsyncConnection, name: str) -> str:
    from aai_gateway.store import keys

    if (found := await keys.find(connection, name)) is None:
        raise StoreError(f"There is no key {name}; `aai-gateway keys list` shows those there are.")
    return found.hash


def _write_json(write: Callable[[str], Any], line: Line) -> None:
    row, booked = line.transcript, line.booked
    values = {
        "id": row.id,
        "region": row.region.value,
        "owner": row.owner,
        "team": line.team,
        "team_id": row.team_id,
        "key": line.key,
        "key_hash": row.key_hash,
        "status": row.status,
        "error": row.error,
        "created_at": row.created_at,
        "completed_at": row.completed_at,
        "settled_at": row.settled_at,
        "adopted_at": row.adopted_at,
        "deleting_since": row.deleting_since,
        "deleted_at": row.deleted_at,
        "model": None if booked is None else booked.model,
        "audio_seconds": None if booked is None else booked.audio_seconds,
        "micros": None if booked is None else booked.micros,
        "usd": None if booked is None else usd(booked.micros),
    }
    write(json.dumps(values, ensure_ascii=False, default=str) + "\n")


def _row(line: Line) -> tuple[str, ...]:
    row, booked = line.transcript, line.booked
    marks = {"being deleted": row.deleting_since, "deleted": row.deleted_at, "adopted": row.adopted_at}
    return (
        row.id,
        row.region.value,
        line.team or ("-" if row.team_id is None else row.team_id),
        line.key or "-",
        ", ".join([row.status, *(mark for mark, moment in marks.items() if moment is not None)]),
        f"{row.created_at:%Y-%m-%d %H:%M:%S}",
        "-" if booked is None else booked.model or "-",
        "-" if booked is None else f"{booked.audio_seconds:,} s",
        "-" if booked is None else dollars(booked.micros),
    )

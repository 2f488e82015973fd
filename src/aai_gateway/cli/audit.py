"""`aai-gateway audit`: who did what to which key, team, transcript and price, when, and from where."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.files import output_to
from aai_gateway.cli.moments import parse_moment
from aai_gateway.cli.output import note, print_json, print_table
from aai_gateway.cli.store import existing_team, on_store
from aai_gateway.core.auditing import Broken, Entry, Head, entry_json, parse_head
from aai_gateway.core.names import Names
from aai_gateway.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store import Store
    from aai_gateway.store.audit_log import AuditFilter

LONGEST_CELL = 120
"""Characters of an entry's details in the table; `--json` has all."""

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Who did what, when, from where: list, verify."
)

MOST_IN_A_TABLE = 10_000
"""A table is measured before it is printed; JSON has no such limit."""
REPORT_SECONDS = 2.0
_HEADERS = ("Entry", "Time (UTC)", "Who", "From", "Action", "To what", "Team", "Details")


def _head(text: str) -> Head:
    try:
        return parse_head(text)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


@app.command("list", epilog="Example: aai-gateway audit list --team newsroom --action 'key.*' --since 30d")
def list_audit(
    team: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only what was done to this team, its keys and transcripts."),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option(metavar="ACTOR", help="Only what `master`, `gateway`, `key:HASH` or `cli:USER` did."),
    ] = None,
    action: Annotated[
        str | None, typer.Option(metavar="ACTION", help="Only this, like `key.create`, or all of `key.*`.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="Only what was done to this, like `transcript:us/ID`."),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(metavar="DATE|7d", parser=parse_moment, help="From this UTC moment on, or so long ago."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(metavar="DATE|1d", parser=parse_moment, help="Up to, not including.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many, the newest first.")] = 100,
    everything: Annotated[
        bool, typer.Option("--all", help="All of them, the oldest first; with --json, to verify elsewhere.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON Lines: one entry in each line.")
    ] = False,
) -> None:
    """What was done, newest first. A text that ends in `*` means all that begin so."""
    from aai_gateway.store.audit_log import AuditFilter

    if not as_json and (everything or limit > MOST_IN_A_TABLE):
        raise typer.BadParameter(f"For more than {MOST_IN_A_TABLE:,} entries choose --json.")
    asked = AuditFilter(actor=actor, action=action, target=target, since=since, until=until)
    most = None if everything else limit
    if as_json:
        with output_to(None) as output:

            def write(entry: Entry, names: Names) -> None:
                output.write(json.dumps(entry_json(entry)) + "\n")

            on_store(lambda store: _each(store, team, asked, most, write))
        return
    table: list[tuple[str, ...]] = []
    on_store(
        lambda store: _each(store, team, asked, most, lambda entry, names: table.append(_cells(entry, names)))
    )
    if not table:
        note("There are no such entries.")
        return
    print_table(_HEADERS, table, right=(0,))
    if len(table) == limit:
        note(f"The newest {limit:,}; --limit N shows more, --all --json gives all.")


async def _each(
    store: Store,
    team: str | None,
    asked: AuditFilter,
    limit: int | None,
    write: Callable[[Entry, Names], None],
) -> None:
    """Write the newest entries, or all of them from the oldest on when there is no limit, one at a time."""
    from aai_gateway.store import audit_log
    from aai_gateway.store.names import load_names

    # Entries are only ever added, so no snapshot is needed that would hold up a checkpoint.
    async with store.read() as connection:
        where = asked if team is None else replace(asked, team_id=await _team_id(connection, team))
        names = await load_names(connection)
        async for page in audit_log.pages(connection, where, oldest_first=limit is None, limit=limit):
            for entry in page:
                write(entry, names)


async def _team_id(connection: AsyncConnection, name: str) -> str:
    """The id of a team, also of one that is gone, by its id alone. Raises StoreError."""
    from aai_gateway.store import audit_log

    try:
        return (await existing_team(connection, name)).id
    except StoreError:
        if await audit_log.list_entries(connection, audit_log.AuditFilter(team_id=name), limit=1):
            return name
        raise


def _cells(entry: Entry, names: Names) -> tuple[str, ...]:
    return (
        f"{entry.seq:,}",
        f"{entry.at:%Y-%m-%d %H:%M:%S}",
        _short(entry.actor, names),
        entry.source or "-",
        entry.action,
        _short(entry.target, names),
        names.team(entry.team_id) or "-",
        _told(entry.details),
    )


def _short(text: str, names: Names) -> str:
    """An actor or target as people call it: a key by its name, or the beginning of its hash."""
    kind, _, rest = text.partition(":")
    if kind == "key":
        key_hash, _, alias = rest.partition(" ")
        return f"key {names.keys.get(key_hash) or alias.strip('()') or key_hash[:12]}"
    if kind == "team":
        return f"team {names.team(rest)}"
    return text


def _told(details: Mapping[str, Any]) -> str:
    """Details in a cell: `blocked: false → true`, `alias: "desk"`; cut where they are long."""
    before, after = details.get("before", {}), details.get("after", {})
    parts = []
    for name in {**before, **after}:
        sides = [_value(side[name]) for side in (before, after) if name in side]
        parts.append(f"{name}: {' → '.join(sides)}")
    rest = {name: value for name, value in details.items() if name not in ("before", "after", "body")}
    told = "; ".join([*parts, *(f"{name}: {_value(value)}" for name, value in rest.items())])
    return told if len(told) <= LONGEST_CELL else f"{told[: LONGEST_CELL - 1]}…"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@app.command(epilog="Example: aai-gateway audit verify --expect $(cat /mnt/elsewhere/audit-head)")
def verify(
    expect: Annotated[
        Head | None,
        typer.Option(
            metavar="SEQ:HASH",
            parser=_head,
            help="An entry from an earlier verify, kept elsewhere: it must still be there.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Follow the whole chain and print its newest entry, `SEQ:HASH`.

    A chain alone cannot show that its end was cut off, or that all of it was written anew: keep what this
    prints where the gateway cannot write, and give it to the next --expect.
    Exit status 0: unbroken; 1: broken, and the first broken entry is named.
    """
    found = on_store(lambda store: _verify(store, expect))
    broken = isinstance(found, Broken)
    if as_json:
        whole = {"whole": not broken, "head": None, "broken_at": None, "why": None}
        told = (
            {"broken_at": found.seq, "why": found.why}
            if isinstance(found, Broken)
            else {"head": str(found), "entries": found.seq}
        )
        print_json({**whole, **told})
    elif isinstance(found, Broken):
        note(f"aai-gateway: The audit log is broken. {found.why}")
    else:
        typer.echo(str(found))
        note(f"{found.seq:,} entries, unbroken. Keep this line elsewhere for the next --expect.")
    if broken:
        raise typer.Exit(1)


async def _verify(store: Store, expected: Head | None) -> Head | Broken:
    from aai_gateway.store import audit_log

    reported = time.monotonic()

    def told(seq: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            end = "\r" if sys.stderr.isatty() else "\n"
            typer.echo(f"{seq:,} entries verified{end}", err=True, nl=False)

    async with store.read() as connection:
        return await audit_log.verify(connection, expected, told)

"""`aai-gateway usage rebuild`: the sums that pages and metrics read, made anew from the ledger or checked."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.output import note, print_json, print_table
from aai_gateway.cli.store import on_store
from aai_gateway.cli.transcripts_list import parse_day
from aai_gateway.core.budgets import dollars

if TYPE_CHECKING:
    from aai_gateway.core.rollups import Sums
    from aai_gateway.store import Store
    from aai_gateway.store.usage_sums import Difference

MOST_SHOWN = 20
"""Differences that the table shows; `--json` has them all."""

TEAMS_AT_ONCE = 20
"""Teams whose month is made anew in one transaction."""

_WRONG = 1


@dataclass(frozen=True, slots=True)
class Days:
    """The UTC days from `first` to `last`, both among them, and the months that they are in."""

    first: date
    last: date

    def days(self) -> list[date]:
        """Each day, in order."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def months(self) -> list[date]:
        """The first day of each month, in order."""
        return sorted({day.replace(day=1) for day in self.days()})


def rebuild(
    since: Annotated[
        date | None,
        typer.Option(metavar="2026-11-01", parser=parse_day, help="From this UTC day on; the first, unless."),
    ] = None,
    until: Annotated[
        date | None,
        typer.Option(metavar="2026-12-01", parser=parse_day, help="Up to this UTC day, not including it."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare them with the ledger, and say what differs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make the sums that the dashboard and the metrics read anew from the ledger, a day at a time.

    They are kept with each booking, so that this is needed only when they were changed by other means. It
    may run beside a running gateway. Exit status of --check: 0: they agree with the ledger; 1: they do not.
    """
    if since is not None and until is not None and until <= since:
        raise typer.BadParameter("--until is not after --since.")
    wanted, found = on_store(lambda store: _work(store, since, until, check=check))
    if as_json:
        print_json(_as_json(wanted, found, check=check))
    elif wanted is None:
        note("There is nothing in the ledger in this time.")
    else:
        _print(wanted, found, check=check)
    if found:
        raise typer.Exit(_WRONG)


async def _work(
    store: Store, since: date | None, until: date | None, *, check: bool
) -> tuple[Days | None, list[Difference]]:
    from aai_gateway.store import usage_sums

    async with store.read() as connection:
        ends = await usage_sums.first_and_last_day(connection)
    if ends is None:
        return None, []
    first = ends[0] if since is None else max(since, ends[0])
    if first > ends[1] or (until is not None and until <= first):
        return None, []
    last = ends[1] if until is None else min(until - timedelta(days=1), ends[1])
    wanted = Days(first, last)
    if check:
        return wanted, [one async for some in _differences(store, wanted) for one in some]
    await make_anew(store, wanted)
    return wanted, []


async def make_anew(store: Store, wanted: Days) -> None:
    """Each day, then each month some teams at a time, in short transactions: bookings go on in between."""
    from aai_gateway.store import usage_sums

    for day in wanted.days():
        async with store.write() as connection:
            await usage_sums.rebuild_day(connection, day)
        _told(day, wanted)
    for month in wanted.months():
        async with store.read() as connection:
            team_ids = await usage_sums.teams_in(connection, month)
        for start in range(0, len(team_ids), TEAMS_AT_ONCE):
            async with store.write() as connection:
                some = team_ids[start : start + TEAMS_AT_ONCE]
                await usage_sums.rebuild_month(connection, month, some)


async def _differences(store: Store, wanted: Days) -> AsyncIterator[Sequence[Difference]]:
    """What differs in each day and each month, as they stand at one moment each."""
    from aai_gateway.store import usage_sums

    for day in wanted.days():
        async with store.snapshot() as connection:
            yield await usage_sums.check_day(connection, day)
        _told(day, wanted)
    for month in wanted.months():
        async with store.snapshot() as connection:
            yield await usage_sums.check_month(connection, month)


def _told(day: date, wanted: Days) -> None:
    """How far it is, on stderr: a line that is written over on a terminal, one for each month elsewhere."""
    is_terminal = sys.stderr.isatty()
    if is_terminal or day == wanted.last or (day + timedelta(days=1)).day == 1:
        done, all_ = (day - wanted.first).days + 1, (wanted.last - wanted.first).days + 1
        end = "\r" if is_terminal and day != wanted.last else "\n"
        typer.echo(f"{day}: {done:,} of {all_:,} days{end}", err=True, nl=False)


def _as_json(wanted: Days | None, found: Sequence[Difference], *, check: bool) -> dict[str, Any]:
    head = {
        "first": None if wanted is None else wanted.first,
        "last": None if wanted is None else wanted.last,
        "days": 0 if wanted is None else len(wanted.days()),
        "months": 0 if wanted is None else len(wanted.months()),
    }
    if not check:
        return head
    differences = [
        {**asdict(one.place), "kept": asdict(one.kept), "ledger": asdict(one.rows)} for one in found
    ]
    return head | {"whole": not found, "differences": differences}


def _print(wanted: Days, found: Sequence[Difference], *, check: bool) -> None:
    if found:
        headers = ("Period", "Team", "Sum of", "Service", "Region", "Model", "Name", "Differs in")
        print_table(headers, [_row(one) for one in found[:MOST_SHOWN]])
    if len(found) > MOST_SHOWN:
        note(f"{len(found) - MOST_SHOWN:,} more are not shown; --json has them all.")
    time = f"{len(wanted.days()):,} days and {len(wanted.months()):,} months, {wanted.first} to {wanted.last}"
    if not check:
        typer.echo(f"Made anew: {time}.")
    elif found:
        typer.echo(f"{len(found):,} sums are not what the ledger adds up to: {time}.")
        note("`aai-gateway usage rebuild` makes them anew.")
    else:
        typer.echo(f"All sums are what the ledger adds up to: {time}.")


def _row(one: Difference) -> tuple[str, ...]:
    place = one.place
    parts = (place.period, place.team_id, place.part, place.service, place.region, place.model, place.name)
    return (*(part or "-" for part in parts), "; ".join(_what_differs(one.kept, one.rows)))


def _what_differs(kept: Sums, ledger: Sums) -> list[str]:
    found: list[str] = []
    for field in fields(kept):
        ours, theirs = getattr(kept, field.name), getattr(ledger, field.name)
        if ours != theirs and field.name == "micros":
            found.append(f"{dollars(ours)}, ledger {dollars(theirs)}")
        elif ours != theirs:
            found.append(f"{field.name} {ours:,}, ledger {theirs:,}")
    return found

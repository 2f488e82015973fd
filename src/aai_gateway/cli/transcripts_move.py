"""`aai-gateway transcripts move`: a transcript's owner changes from one team to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.admin_options import Json
from aai_gateway.cli.output import note, print_json
from aai_gateway.cli.store import existing_team, on_store
from aai_gateway.cli.transcript_ids import Count, Ids, read_ids, tell_failures
from aai_gateway.core.owners import team_owner
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team

if TYPE_CHECKING:
    from aai_gateway.store import Store
    from aai_gateway.store.ownership import Move

AT_ONCE = 500
"""Transcripts that one transaction moves: some hundredths of a second."""

_DONE = ("moved", "already")


def move(
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="The team that gets them.")],
    ids: Ids = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Only transcripts of this team.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All transcripts of the team in --from.")] = False,
    as_json: Json = False,
) -> None:
    """Give transcripts to another team, which sees them from its next request on.

    What they cost stays with who was charged, and so does a job that still runs. Exit status 1 when some
    could not be moved; the others are.
    """
    wanted = read_ids(ids)
    if everything == bool(wanted):
        raise typer.BadParameter("Name transcript ids, or give --from and --all.", param_hint="ID")
    if everything and source is None:
        raise typer.BadParameter("--all needs --from.", param_hint="--all")
    if everything:
        assert source is not None
        heir, moved = on_store(lambda store: _move_all(store, source, to))
        outcomes: dict[str, Move] = {}
    else:
        heir, outcomes = on_store(lambda store: _move_each(store, wanted, source, to))
        moved = sum(outcome == "moved" for outcome in outcomes.values())
    counts = Counter(outcomes.values())
    failures = {one: _why(outcome, heir) for one, outcome in outcomes.items() if outcome not in _DONE}
    if as_json:
        print_json(
            {
                "to": heir.alias,
                "to_id": heir.id,
                "moved": moved,
                "already": counts["already"],
                "failed": len(failures),
                "transcripts": [
                    {
                        "id": one,
                        "outcome": outcome if outcome in _DONE else "failed",
                        "why": failures.get(one),
                    }
                    for one, outcome in outcomes.items()
                ],
            }
        )
    else:
        tell_failures(failures.items())
        note(
            f"{moved:,} transcripts are team {heir.alias}'s now, {counts['already']:,} were already, "
            f"{len(failures):,} failed."
        )
    if failures:
        raise typer.Exit(1)


async def _move_each(
    store: Store, ids: Sequence[str], source: str | None, to: str
) -> tuple[Team, dict[str, Move]]:
    from aai_gateway.store import ownership

    outcomes: dict[str, Move] = {}
    async with store.read() as connection:
        heir = await existing_team(connection, to)
        owner = None if source is None else team_owner((await existing_team(connection, source)).id)
    count = Count(len(ids), "transcripts")
    for start in range(0, len(ids), AT_ONCE):
        page = ids[start : start + AT_ONCE]
        async with store.write() as connection:
            heir = await existing_team(connection, heir.id)
            moved = [await ownership.move(connection, one, heir, owner=owner) for one in page]
        outcomes.update(zip(page, moved, strict=True))
        count.add(len(page))
    count.close()
    return heir, outcomes


async def _move_all(store: Store, source: str, to: str) -> tuple[Team, int]:
    async with store.read() as connection:
        heir, giver = await existing_team(connection, to), await existing_team(connection, source)
    if heir.id == giver.id:
        raise typer.BadParameter("--from and --to are the same team.", param_hint="--to")
    moved, count = 0, Count(None, "transcripts")
    for region in ALL_REGIONS:
        while True:
            number = await _move_some(store, giver, heir, region)
            moved += number
            count.add(number)
            if number < AT_ONCE:
                break
    count.close()
    return heir, moved


async def _move_some(store: Store, giver: Team, heir: Team, region: Region) -> int:
    from aai_gateway.store import ownership

    async with store.write() as connection:
        heir = await existing_team(connection, heir.id)
        return await ownership.move_all(connection, team_owner(giver.id), heir, region, AT_ONCE)


def _why(outcome: Move, to: Team) -> str:
    """What is wrong with one that could not be moved."""
    match outcome:
        case "unknown":
            return "The gateway does not know it; `aai-gateway transcripts adopt` takes one from before it."
        case "another's":
            return "It is not of the team in --from."
        case "no region":
            return f"Team {to.alias} may not use the region that it lies in."
        case _:
            return "It is being deleted."

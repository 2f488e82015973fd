"""`aai-gateway teams delete`: a team goes, and what becomes of its transcripts is asked, never assumed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from aai_gateway.cli.output import note
from aai_gateway.cli.store import existing_team, on_store
from aai_gateway.cli.transcript_ids import Count
from aai_gateway.core.owners import MASTER, NOBODY
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team
from aai_gateway.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store import Store

_CHOICES = "--delete-transcripts, --move-to TEAM, or --keep-transcripts (for the master key alone)"


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a team's transcripts. `to` is the name of the team that gets them."""

    kind: Literal["delete", "keep", "move"]
    to: str | None = None


def delete(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The team's name or id.")],
    delete_transcripts: Annotated[
        bool, typer.Option("--delete-transcripts", help="Delete its transcripts, at AssemblyAI too.")
    ] = False,
    move_to: Annotated[
        str | None, typer.Option("--move-to", metavar="TEAM", help="Give its transcripts to another team.")
    ] = None,
    keep_transcripts: Annotated[
        bool, typer.Option("--keep-transcripts", help="Keep its transcripts, for the master key alone.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a team and its keys; what it spent stays on record. It asks what becomes of its transcripts.

    Nobody of the team sees anything from that moment on. A running gateway deletes the transcripts at
    AssemblyAI one after the other, a job that still runs when it has ended and is charged.
    """
    fate = _given(delete_transcripts, move_to, keep_transcripts)
    team, held = on_store(lambda store: _look(store, name))
    count = held.total()
    if fate is None and count:
        if yes:
            raise StoreError(
                f"Team {team.alias} has {count:,} transcripts. Say what becomes of them: {_CHOICES}."
            )
        fate = _asked(team, count)
    if not yes:
        typer.confirm(_question(team, count, fate), abort=True, err=True)
    heir = on_store(lambda store: _delete(store, team, fate))
    note(f"Team {team.alias} and its keys are gone.")
    if count and fate is not None:
        note(_told(fate.kind, count, heir))


def _given(delete_transcripts: bool, move_to: str | None, keep_transcripts: bool) -> Fate | None:
    """The fate that the options name. Raises BadParameter when they name several."""
    named = [Fate("delete")] if delete_transcripts else []
    named += [Fate("move", move_to)] if move_to is not None else []
    named += [Fate("keep")] if keep_transcripts else []
    if len(named) > 1:
        raise typer.BadParameter(f"Choose one of {_CHOICES}.")
    return named[0] if named else None


def _asked(team: Team, count: int) -> Fate:
    note(f"Team {team.alias} has {count:,} transcripts. What becomes of them?")
    note("delete  at AssemblyAI too\nmove    to another team\nkeep    for the master key alone")
    while True:
        match typer.prompt("delete, move or keep", err=True).strip().lower():
            case "delete":
                return Fate("delete")
            case "move":
                return Fate("move", typer.prompt("To which team", err=True).strip())
            case "keep":
                return Fate("keep")
        note("That is none of the three.")


def _question(team: Team, count: int, fate: Fate | None) -> str:
    if fate is None or not count:
        return f"Delete team {team.alias} and all of its keys?"
    what = f"Delete team {team.alias} and all of its keys"
    match fate.kind:
        case "delete":
            return f"{what}, and its {count:,} transcripts, at AssemblyAI too?"
        case "move":
            return f"{what}, and give its {count:,} transcripts to {fate.to}?"
        case _:
            return f"{what}, and keep its {count:,} transcripts for the master key?"


def _told(kind: str, count: int, heir: Team | None) -> str:
    match kind:
        case "delete":
            return (
                f"A running gateway deletes its {count:,} transcripts at AssemblyAI; "
                "`aai-gateway transcripts list --deleting` shows what is left."
            )
        case "move":
            assert heir is not None
            return f"Its {count:,} transcripts are team {heir.alias}'s now."
        case _:
            return f"Its {count:,} transcripts are kept, for the master key alone."


async def _look(store: Store, name: str) -> tuple[Team, Counter[Region]]:
    from aai_gateway.store import ownership

    async with store.read() as connection:
        team = await existing_team(connection, name)
        return team, await ownership.held_by(connection, await ownership.owners_of_team(connection, team.id))


async def _delete(store: Store, team: Team, fate: Fate | None) -> Team | None:
    """Delete the team, then hand over what it left, which a running gateway would do too; its heir."""
    from aai_gateway.gateway.deletions import hand_over
    from aai_gateway.store import teams

    async with store.write() as connection:
        to, heir = await _heir(connection, team, fate)
        await teams.delete(connection, team.id, heir)
    count = Count(None, "transcripts")
    for region in ALL_REGIONS:
        while number := await hand_over(store, region):
            count.add(number)
    count.close()
    return to


async def _heir(connection: AsyncConnection, team: Team, fate: Fate | None) -> tuple[Team | None, str]:
    """The team that inherits, if any, and the owner that takes the team's place. Raises StoreError."""
    from aai_gateway.store import ownership

    held = await ownership.held_by(connection, await ownership.owners_of_team(connection, team.id))
    match fate:
        case None if held.total():
            raise StoreError(
                f"Team {team.alias} has transcripts by now. Say what becomes of them: {_CHOICES}."
            )
        case Fate("move", str() as name):
            to = await existing_team(connection, name)
            if to.id == team.id:
                raise StoreError(f"Team {team.alias} cannot inherit from itself.")
            return to, ownership.require_heir(to, held)
        case Fate("delete"):
            return None, NOBODY
        case _:
            return None, MASTER

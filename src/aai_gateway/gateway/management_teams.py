"""`/team/*`: what the master key asks of teams, on a connection of its own transaction.

Raises BadField for what cannot be done as asked, and StoreError for what contradicts the store's contents.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aai_gateway.core.budgets import Budget
from aai_gateway.core.owners import MASTER, NOBODY
from aai_gateway.core.tenancy import Team
from aai_gateway.gateway import management_rows as rows
from aai_gateway.gateway import management_shapes as shapes
from aai_gateway.store import keys, ownership, teams

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Data = Mapping[str, Any]


async def new_team(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Make a team."""
    body = shapes.read(shapes.NewTeam, data)
    team_id = body.team_id or str(uuid.uuid4())
    if await teams.by_id(connection, team_id) is not None:
        text = f"Team id = {team_id} already exists. Please use a different team id."
        raise shapes.BadField("team_id", text)
    blank = Team(id=team_id, alias=team_id, created_at=now)
    changes = shapes.team_changes(body, blank)
    budget = replace(changes.pop("budget", Budget()), spent_micros=changes.pop("spent_micros", 0))
    return rows.team_json(await teams.create(connection, replace(blank, budget=budget, **changes)), now)


async def update_team(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Change what was sent of a team."""
    body = shapes.read(shapes.UpdateTeam, data)
    team = await existing_team(connection, body.team_id)
    team = await teams.update(connection, team.id, **shapes.team_changes(body, team))
    return {"team_id": team.id, "data": rows.team_json(team, now)}


async def block_team(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Refuse a team's keys from their next request on."""
    team = await existing_team(connection, shapes.read(shapes.OneTeam, data).team_id)
    return rows.team_json(await teams.update(connection, team.id, blocked=True), now)


async def unblock_team(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Take a blocked team in again."""
    team = await existing_team(connection, shapes.read(shapes.OneTeam, data).team_id)
    return rows.team_json(await teams.update(connection, team.id, blocked=False), now)


async def delete_teams(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Delete teams and their keys; it must be said what becomes of their transcripts."""
    body = shapes.read(shapes.DeleteTeams, data)
    named = list(dict.fromkeys(body.team_ids))
    owners: list[str] = []
    for team_id in named:
        team = await existing_team(connection, team_id)
        owners += await ownership.owners_of_team(connection, team.id)
    to = await heir(connection, owners, body.transcripts)
    for team_id in named:
        await teams.delete(connection, team_id, to)
    return {"deleted_teams": named}


async def team_info(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """One team and its keys."""
    named = shapes.read(shapes.OneTeam, data, strict_fields=False).team_id
    team = await existing_team(connection, named)
    return {
        "team_id": team.id,
        "team_info": rows.team_json(team, now),
        "keys": await _keys_of(connection, team.id, now),
        "team_memberships": [],
    }


async def list_teams(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Every team and its keys."""
    query = shapes.read(shapes.ListTeams, data, strict_fields=False)
    # No team has members or an organization here, so asking for one's finds none.
    if query.user_id or query.organization_id not in (None, "", "default_organization"):
        return []
    return [
        {
            **rows.team_json(team, now),
            "team_memberships": [],
            "keys": await _keys_of(connection, team.id, now),
        }
        for team in await teams.list_all(connection)
    ]


async def _keys_of(connection: AsyncConnection, team_id: str, now: datetime) -> list[dict[str, Any]]:
    spent = await keys.lifetime_micros(connection)
    return [
        rows.key_json(key, spent.get(key.hash, 0), now) for key in await keys.list_all(connection, team_id)
    ]


async def heir(connection: AsyncConnection, owners: Sequence[str], asked: shapes.Transcripts | None) -> str:
    """Whose the transcripts of owners that are deleted will be. Raises BadField when it must be said."""
    held = await ownership.held_by(connection, owners)
    match asked:
        case None if held.total():
            text = (
                f"{held.total()} transcripts belong to what is to be deleted. Say in transcripts what "
                'becomes of them: "delete", "keep" (for the master key alone) or {"move_to": team_id}.'
            )
            raise shapes.BadField("transcripts", text)
        case "delete":
            return NOBODY
        case shapes.MoveTo():
            heir = ownership.require_heir(await existing_team(connection, asked.move_to), held)
            if heir in owners:
                raise shapes.BadField("transcripts", "A team that is deleted cannot inherit.")
            return heir
        case _:
            return MASTER


async def existing_team(connection: AsyncConnection, team_id: str) -> Team:
    """The team with this id. Raises BadField."""
    if (team := await teams.by_id(connection, team_id)) is None:
        raise shapes.BadField("team_id", f"Team not found, passed team_id={team_id}", status=404)
    return team

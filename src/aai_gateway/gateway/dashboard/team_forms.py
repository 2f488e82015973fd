"""Teams made, changed, blocked and deleted by the master key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.tenancy import Team
from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway import management_teams
from aai_gateway.gateway.dashboard.fields import changed_since, seen_text, team_data, team_values
from aai_gateway.gateway.dashboard.managing import (
    Changed,
    Filled,
    changing,
    done_text,
    no_page,
    reading,
    refused,
)
from aai_gateway.gateway.dashboard.pages import page, see_other
from aai_gateway.gateway.dashboard.paths import identifier
from aai_gateway.gateway.dashboard.posts import posted
from aai_gateway.gateway.dashboard.scope import team_path
from aai_gateway.gateway.dashboard.sessions import Viewer, admin
from aai_gateway.gateway.management_shapes import BadField
from aai_gateway.store import keys, ownership, teams

FATES = ("delete", "keep", "move")
"""What may become of a deleted team's transcripts."""


async def new(request: Request) -> Response:
    """The form of a team, and the team that it makes."""
    viewer = await admin(request)
    if request.method != "POST":
        return _form(request, viewer, None, Filled(_EMPTY))
    fields = await posted(request, viewer)
    try:
        async with changing(request, viewer) as connection:
            made = await management_teams.new_team(connection, team_data(fields), utc_now())
    except InvalidRequest as error:
        return _form(request, viewer, None, refused(_typed(fields), error))
    return see_other(request, team_path(made["team_id"]))


async def edit(request: Request) -> Response:
    """A team's form, and the changes that it makes."""
    viewer = await admin(request)
    team = await _team(request)
    if request.method != "POST":
        return _form(request, viewer, team, Filled(team_values(team)))
    fields = await posted(request, viewer)
    try:
        async with changing(request, viewer) as connection:
            current = await teams.locked_by_id(connection, team.id)
            if current is None:
                raise no_page()
            if changes := changed_since(fields.get("seen", ""), team_values(current)):
                raise Changed(changes)
            data = {"team_id": team.id, **team_data(fields)}
            await management_teams.update_team(connection, data, utc_now())
    except (InvalidRequest, Changed) as error:
        return _form(request, viewer, await _team(request), refused(_typed(fields), error))
    return see_other(request, f"{team_path(team.id)}/edit?done=saved")


async def block(request: Request) -> Response:
    """Refuse the team's keys from now on."""
    return await _act(request, management_teams.block_team, "blocked")


async def unblock(request: Request) -> Response:
    """Take the team in again."""
    return await _act(request, management_teams.unblock_team, "unblocked")


async def _act(request: Request, handle: Any, done: str) -> Response:
    viewer = await admin(request)
    team = await _team(request)
    await posted(request, viewer)
    async with changing(request, viewer) as connection:
        await handle(connection, {"team_id": team.id}, utc_now())
    return see_other(request, f"{team_path(team.id)}/edit?done={done}")


async def delete(request: Request) -> Response:
    """What goes with a team, and what becomes of its transcripts; and its end."""
    viewer = await admin(request)
    team = await _team(request)
    if request.method != "POST":
        return await _deletion(
            request, viewer, team, Filled({"transcripts": "", "move_to": "", "confirm": ""})
        )
    fields = await posted(request, viewer)
    values = {name: fields.get(name, "") for name in ("transcripts", "move_to", "confirm")}
    try:
        if values["confirm"] != team.alias:
            raise BadField("confirm", f"Type {team.alias} to delete it.")
        async with changing(request, viewer) as connection:
            await management_teams.delete_teams(connection, _order(team, values), utc_now())
    except InvalidRequest as error:
        return await _deletion(request, viewer, team, refused(values, error))
    return see_other(request, "")


def _order(team: Team, values: Mapping[str, str]) -> dict[str, Any]:
    """The body of `/team/delete`. Raises BadField."""
    fate = values["transcripts"]
    if fate == "move" and not values["move_to"]:
        raise BadField("transcripts", "Choose the team that gets them.")
    asked: Any = {"move_to": values["move_to"]} if fate == "move" else fate or None
    return {"team_ids": [team.id], "transcripts": asked}


async def _deletion(request: Request, viewer: Viewer, team: Team, form: Filled) -> Response:
    async with reading(request) as connection:
        held = await ownership.held_by(connection, await ownership.owners_of_team(connection, team.id))
        its_keys = await keys.list_all(connection, team.id)
        others = [other for other in await teams.list_all(connection) if other.id != team.id]
    if "transcripts" in form.errors and not form.values["transcripts"]:
        text = f"Say what becomes of its {held.total():,} transcripts."
        form = Filled(form.values, {"transcripts": text}, status=form.status)
    return page(
        request,
        "team_delete.html",
        viewer,
        status=form.status,
        team=team,
        base=team_path(team.id),
        form=form,
        held=held.total(),
        key_count=len(its_keys),
        others=others,
    )


def _form(request: Request, viewer: Viewer, team: Team | None, form: Filled) -> Response:
    return page(
        request,
        "team_form.html",
        viewer,
        status=form.status,
        team=team,
        base="" if team is None else team_path(team.id),
        form=form,
        seen="" if team is None else seen_text(team_values(team)),
        done=done_text(request) if form.status == 200 else "",
    )


async def _team(request: Request) -> Team:
    """The team of the path. Raises Refused (404)."""
    async with reading(request) as connection:
        team = await teams.by_id(connection, identifier(request.path_params["team"]))
    if team is None:
        raise no_page()
    return team


def _typed(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: fields.get(name, "") for name in _EMPTY}


_EMPTY = {**team_values(Team(id="", alias="")), "team_alias": ""}

ROUTES = [
    Route("/teams/new", new, methods=["GET", "POST"]),
    Route("/teams/{team}/edit", edit, methods=["GET", "POST"]),
    Route("/teams/{team}/block", block, methods=["POST"]),
    Route("/teams/{team}/unblock", unblock, methods=["POST"]),
    Route("/teams/{team}/delete", delete, methods=["GET", "POST"]),
]

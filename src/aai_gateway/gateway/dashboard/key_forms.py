"""Virtual keys made, changed, blocked, rotated and deleted by the master key.

A secret is on the page that answers the form which made it, and nowhere else: not in an address, not in the
store, not on a page that is loaded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.owners import key_owner
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway import management_keys
from aai_gateway.gateway.dashboard.fields import changed_since, key_data, key_seen, key_values, seen_text
from aai_gateway.gateway.dashboard.managing import (
    Changed,
    Filled,
    UsedForm,
    changing,
    done_text,
    no_page,
    nonce,
    reading,
    refused,
    use_once,
    used_page,
)
from aai_gateway.gateway.dashboard.pages import page, see_other
from aai_gateway.gateway.dashboard.posts import posted
from aai_gateway.gateway.dashboard.scope import team_path
from aai_gateway.gateway.dashboard.sessions import Viewer, admin, root_of
from aai_gateway.gateway.management_rows import key_status
from aai_gateway.gateway.management_shapes import BadField
from aai_gateway.store import keys, ownership, teams

GRACE = "24h"
"""How long the secrets that a key had work after a rotation, unless told."""


@dataclass(frozen=True, slots=True)
class Found:
    """A key of the path, and its team."""

    key: VirtualKey
    team: Team | None

    @property
    def name(self) -> str:
        """What the key is called."""
        return self.key.alias or self.key.masked

    @property
    def path(self) -> str:
        """Where its pages are, below the dashboard."""
        return f"/keys/{self.key.hash}"

    @property
    def home(self) -> str:
        """Its team's page, or the overview."""
        return "" if self.team is None else team_path(self.team.id)


async def new(request: Request) -> Response:
    """The form of a key, and the key that it makes, shown once."""
    viewer = await admin(request)
    if request.method != "POST":
        chosen = {**_EMPTY, "team_id": request.query_params.get("team", "")}
        return await _new_form(request, viewer, Filled(chosen))
    fields = await posted(request, viewer)
    try:
        if not fields.get("team_id"):
            raise BadField("team_id", "Choose the key's team.")
        async with changing(request, viewer) as connection:
            await use_once(connection, fields)
            data = {"team_id": fields["team_id"], **key_data(fields)}
            made = await management_keys.generate_key(connection, data, utc_now())
    except UsedForm:
        return used_page(request, viewer, team_path(fields["team_id"]))
    except InvalidRequest as error:
        return await _new_form(request, viewer, refused(_typed(fields), error))
    return await _shown(request, viewer, made)


async def edit(request: Request) -> Response:
    """A key's form, and the changes that it makes."""
    viewer = await admin(request)
    found = await _found(request)
    if request.method != "POST":
        return _form(request, viewer, found, Filled(key_values(found.key)))
    fields = await posted(request, viewer)
    try:
        async with changing(request, viewer) as connection:
            current = await keys.locked_by_hash(connection, found.key.hash)
            if current is None:
                raise no_page()
            if changes := changed_since(fields.get("seen", ""), key_seen(current)):
                raise Changed(changes)
            data = {"key": found.key.hash, **key_data(fields)}
            await management_keys.update_key(connection, data, utc_now())
    except (InvalidRequest, Changed) as error:
        return _form(request, viewer, await _found(request), refused(_typed(fields), error))
    return see_other(request, f"{found.path}/edit?done=saved")


async def rotate(request: Request) -> Response:
    """Another secret for a key, shown once."""
    viewer = await admin(request)
    found = await _found(request)
    fields = await posted(request, viewer)
    typed = {**key_values(found.key), "grace_period": fields.get("grace_period", "")}
    try:
        if (status := key_status(found.key, utc_now())) != "active":
            word = "blocked" if status == "revoked" else status
            raise BadField("grace_period", f"The key is {word}: a new secret would not work.")
        async with changing(request, viewer) as connection:
            await use_once(connection, fields)
            data = {"key": found.key.hash, "grace_period": typed["grace_period"] or "0"}
            made = await management_keys.regenerate_key(connection, data, utc_now())
    except UsedForm:
        return used_page(request, viewer, f"{found.path}/edit")
    except InvalidRequest as error:
        return _form(request, viewer, found, refused(typed, error))
    return await _shown(request, viewer, made)


async def block(request: Request) -> Response:
    """Refuse the key from now on."""
    return await _act(request, management_keys.block_key, "blocked")


async def unblock(request: Request) -> Response:
    """Take the key in again."""
    return await _act(request, management_keys.unblock_key, "unblocked")


async def _act(request: Request, handle: Any, done: str) -> Response:
    viewer = await admin(request)
    found = await _found(request)
    await posted(request, viewer)
    async with changing(request, viewer) as connection:
        await handle(connection, {"key": found.key.hash}, utc_now())
    return see_other(request, f"{found.path}/edit?done={done}")


async def delete(request: Request) -> Response:
    """What goes with a key, and its end."""
    viewer = await admin(request)
    found = await _found(request)
    if request.method != "POST":
        return await _deletion(request, viewer, found, Filled({"transcripts": ""}))
    fields = await posted(request, viewer)
    values = {"transcripts": fields.get("transcripts", "")}
    try:
        async with changing(request, viewer) as connection:
            data = {"keys": [found.key.hash], "transcripts": values["transcripts"] or None}
            await management_keys.delete_keys(connection, data, utc_now())
    except InvalidRequest as error:
        return await _deletion(request, viewer, found, refused(values, error))
    return see_other(request, found.home)


async def _deletion(request: Request, viewer: Viewer, found: Found, form: Filled) -> Response:
    async with reading(request) as connection:
        held = await ownership.held_by(connection, [key_owner(found.key.hash)])
    if "transcripts" in form.errors:
        text = f"Say what becomes of its {held.total():,} transcripts."
        form = Filled(form.values, {"transcripts": text}, status=form.status)
    return page(
        request, "key_delete.html", viewer, status=form.status, found=found, form=form, held=held.total()
    )


async def _shown(request: Request, viewer: Viewer, made: Mapping[str, Any]) -> Response:
    """The secret, this once, and how it is used."""
    async with reading(request) as connection:
        found = await _of_hash(connection, made["token"])
    regions = found.key.regions or (found.team.regions if found.team else ())
    route = "/assemblyai" if Region.US in regions or not regions else "/eu.assemblyai"
    base = f"{request.url.scheme}://{request.url.netloc}{root_of(request)}"
    return page(request, "key_shown.html", viewer, secret=made["key"], found=found, url=base, route=route)


async def _new_form(request: Request, viewer: Viewer, form: Filled) -> Response:
    async with reading(request) as connection:
        choices = await teams.list_all(connection)
    return page(request, "key_new.html", viewer, status=form.status, form=form, teams=choices, once=nonce())


def _form(request: Request, viewer: Viewer, found: Found, form: Filled) -> Response:
    return page(
        request,
        "key_form.html",
        viewer,
        status=form.status,
        found=found,
        form=Filled({"grace_period": GRACE, **form.values}, form.errors, form.trouble, form.changes),
        seen=seen_text(key_seen(found.key)),
        key_status=key_status(found.key, utc_now()),
        once=nonce(),
        done=done_text(request) if form.status == 200 else "",
    )


async def _found(request: Request) -> Found:
    """The key of the path. Raises Refused (404)."""
    async with reading(request) as connection:
        return await _of_hash(connection, request.path_params["key"])


async def _of_hash(connection: Any, key_hash: str) -> Found:
    if (found := await keys.with_team(connection, key_hash)) is None:
        raise no_page()
    return Found(*found)


def _typed(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: fields.get(name, "") for name in _EMPTY}


_EMPTY = {**key_values(VirtualKey(hash="", masked="")), "team_id": ""}

ROUTES = [
    Route("/keys/new", new, methods=["GET", "POST"]),
    Route("/keys/{key}/edit", edit, methods=["GET", "POST"]),
    Route("/keys/{key}/block", block, methods=["POST"]),
    Route("/keys/{key}/unblock", unblock, methods=["POST"]),
    Route("/keys/{key}/rotate", rotate, methods=["POST"]),
    Route("/keys/{key}/delete", delete, methods=["GET", "POST"]),
]

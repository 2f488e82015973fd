"""`/key/*` and `/team/*` in LiteLLM's shapes, on our store: for when LiteLLM has no database of its own.

Scripts written for LiteLLM keep working. The master key may do everything here, anyone else nothing. Each
request is one transaction: it happens whole or not at all. `/metrics` stands beside them: the same key, or a
token that opens nothing else.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aai_gateway.core import tenancy
from aai_gateway.core.auditing import Actor
from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.guesses import Guesses, source_of
from aai_gateway.core.owners import MASTER, NOBODY, key_owner
from aai_gateway.core.presented import key_of_request
from aai_gateway.core.tenancy import (
    Secret,
    Team,
    VirtualKey,
    hash_key,
    mask_key,
    new_virtual_key,
)
from aai_gateway.errors import Forbidden, InvalidRequest, Refused, StoreError, Unauthenticated
from aai_gateway.gateway import management_rows as rows
from aai_gateway.gateway import management_shapes as shapes
from aai_gateway.gateway import metrics
from aai_gateway.gateway.management_audit import list_audit
from aai_gateway.gateway.observing import METRICS, current
from aai_gateway.gateway.wire import client_host, parse_json_object
from aai_gateway.settings import get_settings
from aai_gateway.store import Store, keys, ownership, teams
from aai_gateway.store.audit_log import acting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydantic import SecretStr
    from sqlalchemy.ext.asyncio import AsyncConnection
    from starlette.types import ASGIApp

log = logging.getLogger("aai_gateway")

LARGEST_BODY = 1_000_000
"""Bytes; a thousand model names and generous metadata fit in a tenth."""

_TYPES = {401: "auth_error", 403: "auth_error", 404: "not_found_error", 429: "rate_limit_error"}

Data = Mapping[str, Any]
Handle = Callable[["AsyncConnection", Data, datetime], Awaitable[Any]]


def is_management_path(method: str, path: str) -> bool:
    """Whether a request is for `management_app`. Preflights stay LiteLLM's: it knows the origins."""
    ours = path in OPERATIONS or path == metrics.PATH or _REGENERATE.fullmatch(path)
    return bool(ours) and method != "OPTIONS"


def management_app(
    store_getter: Callable[[], Awaitable[Store]],
    authorize_admin: Callable[[str], bool],
    guesses: Guesses | None = None,
    metrics_token: SecretStr | None = None,
) -> ASGIApp:
    """The endpoints as an ASGI app.

    `authorize_admin` says whether a presented key is the master key; `guesses` are those of
    the whole process, and without them it counts its own. `metrics_token` opens `/metrics` alone. Errors have
    LiteLLM's shape, `{"error": {"message", "type", "param", "code"}}`.
    """
    counted = guesses or Guesses(get_settings().unknown_keys_per_minute)

    def route(path: str, method: str, handle: Handle) -> Route:
        async def endpoint(request: Request) -> JSONResponse:
            current().route = path
            store = await store_getter()
            await _require_admin(store, request, authorize_admin, counted)
            data = dict(request.query_params) if method == "GET" else await _json_body(request)
            # LiteLLM lets the body's key win over the path's.
            data = {**request.path_params, **data}
            for name in data.keys() & {"key", "new_key"}:
                if authorize_admin(str(data[name])):
                    raise shapes.BadField(name, "That is the master key, not a virtual key.")
            with acting(Actor("master", client_host(request.scope))):
                async with _connection(store, method) as connection:
                    answer = await handle(connection, data, utc_now())
            return JSONResponse(answer)

        return Route(path, endpoint, methods=[method])

    pages = metrics.Metrics()

    def may_scrape(key: str) -> bool:
        return metrics.is_metrics_token(key, metrics_token) or authorize_admin(key)

    async def scrape(request: Request) -> Response:
        current().operation = METRICS
        store = await store_getter()
        await _require_admin(store, request, may_scrape, counted)
        return Response(await pages.page(store), headers={"content-type": metrics.CONTENT_TYPE})

    return Starlette(
        routes=[
            Route(metrics.PATH, scrape, methods=["GET"]),
            *(route(path, *operation) for path, operation in OPERATIONS.items()),
            route("/key/{key:path}/regenerate", "POST", _regenerate_key),
        ],
        exception_handlers={
            Refused: _on_refused,
            HTTPException: _on_http_error,
            StoreError: _on_store_error,
        },
    )


@asynccontextmanager
async def _connection(store: Store, method: str) -> AsyncIterator[AsyncConnection]:
    """A connection to read or write with; what contradicts the store's contents becomes InvalidRequest."""
    async with store.read() if method == "GET" else store.write() as connection:
        try:
            yield connection
        except StoreError as error:
            raise InvalidRequest(str(error)) from None


async def _require_admin(
    store: Store, request: Request, authorize_admin: Callable[[str], bool], guesses: Guesses
) -> None:
    if key := key_of_request(request.scope["headers"]):
        presented, source = hash_key(key), source_of(client_host(request.scope))
        guesses.require_patience(source, presented, monotonic())
        if authorize_admin(key):
            current().caller = tenancy.MASTER
            guesses.accepted(source, presented, monotonic())
            return
        async with store.read() as connection:
            if await keys.presented(connection, presented) is not None:
                raise Forbidden("Only the master key may manage keys and teams.")
        guesses.unknown(source, presented, monotonic())
    raise Unauthenticated("Authentication Error, the master key is missing or wrong.")


async def _json_body(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Refused(f"The request body is larger than {LARGEST_BODY} bytes.", status=413)
    return parse_json_object(body or b"{}")


def _error(status: int, message: str, param: str | None = None, headers: Any = None) -> JSONResponse:
    kind = _TYPES.get(status, "bad_request_error" if status < 500 else "internal_server_error")
    detail = {"message": message, "type": kind, "param": param, "code": str(status)}
    return JSONResponse({"error": detail}, status_code=status, headers=headers)


async def _on_refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return _error(error.status, error.text, getattr(error, "param", None), error.headers)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, f"{request.url.path}: {error.detail}.", headers=error.headers)


async def _on_store_error(request: Request, error: Exception) -> JSONResponse:
    log.error("%s: %s", request.url.path, error)
    return _error(503, str(error))


async def _generate_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    body = shapes.read(shapes.GenerateKey, data)
    secret = shapes.custom_key(body.key) if body.key else new_virtual_key()
    blank = VirtualKey(hash=hash_key(secret), masked=mask_key(secret), created_at=now)
    if await keys.presented(connection, blank.hash) is not None:
        raise shapes.BadField("key", "This key exists already.")
    changes = shapes.key_changes(body, blank, now)
    await _require_team_allows(connection, blank, changes)
    budget = replace(changes.pop("budget", Budget()), spent_micros=changes.pop("spent_micros", 0))
    key = await keys.create(connection, replace(blank, budget=budget, **changes))
    return rows.generated_json(rows.key_json(key, 0, now), secret)


async def _update_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    body = shapes.read(shapes.UpdateKey, data)
    key = await _key_to_update(connection, body)
    changes = shapes.key_changes(body, key, now)
    await _require_team_allows(connection, key, changes)
    return {"key": body.key or key.hash, **await _changed_key(connection, key.hash, now, changes)}


async def _regenerate_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    body = shapes.read(shapes.RegenerateKey, data)
    if not body.key:
        raise shapes.BadField("key", "No key passed in.")
    key = await _existing_key(connection, body.key)
    secret = shapes.custom_key(body.new_key, "new_key") if body.new_key else new_virtual_key()
    if await keys.presented(connection, hash_key(secret)) is not None:
        raise shapes.BadField("new_key", "This key exists already.")
    old_until = shapes.old_secrets_end(body, now)
    changes = shapes.key_changes(body, key, now)
    await _require_team_allows(connection, key, changes)
    key = await keys.rotate(connection, key.hash, Secret(hash_key(secret), mask_key(secret), now), old_until)
    if changes:
        key = await keys.update(connection, key.hash, **changes)
    spent = await keys.lifetime_micros(connection)
    return rows.generated_json(rows.key_json(key, spent.get(key.hash, 0), now), secret)


async def _key_to_update(connection: AsyncConnection, body: shapes.UpdateKey) -> VirtualKey:
    if body.key:
        return await _existing_key(connection, body.key)
    if not body.key_alias:
        raise shapes.BadField("key", "key: either key or key_alias must be provided", status=422)
    return await _key_of_alias(connection, body.key_alias)


async def _require_team_allows(connection: AsyncConnection, key: VirtualKey, changes: dict[str, Any]) -> None:
    """Raise BadField for a team that is not there, or regions that it does not allow."""
    team_id, regions = changes.get("team_id", key.team_id), changes.get("regions", key.regions)
    if team_id is None:
        return
    team = await _existing_team(connection, team_id)
    if (
        {"team_id", "regions"} & changes.keys()
        and regions is not None
        and not set(regions) <= {*team.regions}
    ):
        names = " and ".join(region.value for region in team.regions)
        raise shapes.BadField("regions", f"Team {team.alias} is limited to {names}.")


async def _changed_key(
    connection: AsyncConnection, key_hash: str, now: datetime, changes: dict[str, Any]
) -> dict[str, Any]:
    key = await keys.update(connection, key_hash, **changes)
    spent = await keys.lifetime_micros(connection)
    return rows.key_json(key, spent.get(key_hash, 0), now)


async def _block_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    key = await _existing_key(connection, shapes.read(shapes.OneKey, data).key)
    return await _changed_key(connection, key.hash, now, {"blocked": True})


async def _unblock_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    key = await _existing_key(connection, shapes.read(shapes.OneKey, data).key)
    return await _changed_key(connection, key.hash, now, {"blocked": False})


async def _delete_keys(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    body = shapes.read(shapes.DeleteKeys, data)
    if body.keys:
        found = [await _existing_key(connection, key) for key in body.keys]
    elif body.key_aliases:
        found = [await _key_of_alias(connection, alias) for alias in body.key_aliases]
    else:
        text = "keys: At least one of 'keys' or 'key_aliases' must be provided."
        raise shapes.BadField("keys", text, status=422)
    heir = await _heir(connection, [key_owner(key.hash) for key in found], body.transcripts)
    for key in found:
        await keys.delete(connection, key.hash, heir)
    return {"deleted_keys": body.keys or body.key_aliases}


async def _key_info(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    named = shapes.read(shapes.OneKey, data, strict_fields=False).key
    key = await _existing_key(connection, named)
    spent = await keys.lifetime_micros(connection)
    row = rows.key_json(key, spent.get(key.hash, 0), now)
    del row["token"]
    return {"key": named, "info": {**row, "status": rows.key_status(key, now)}}


async def _list_keys(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    query = shapes.read(shapes.ListKeys, data, strict_fields=False)
    spent = await keys.lifetime_micros(connection)
    found = [key for key in await keys.list_all(connection, query.team_id) if rows.matches(key, query, now)]
    answers = [rows.key_json(key, spent.get(key.hash, 0), now) for key in found]
    answers.sort(key=rows.sort_value(query.sort_by or "created_at"), reverse=query.sort_order == "desc")
    page = answers[(query.page - 1) * query.size : query.page * query.size]
    return {
        "keys": page
        if query.return_full_object or query.expand == "user"
        else [row["token"] for row in page],
        "total_count": len(answers),
        "current_page": query.page,
        "total_pages": -(-len(answers) // query.size),
    }


async def _new_team(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    body = shapes.read(shapes.NewTeam, data)
    team_id = body.team_id or str(uuid.uuid4())
    if await teams.by_id(connection, team_id) is not None:
        text = f"Team id = {team_id} already exists. Please use a different team id."
        raise shapes.BadField("team_id", text)
    blank = Team(id=team_id, alias=team_id, created_at=now)
    changes = shapes.team_changes(body, blank)
    budget = replace(changes.pop("budget", Budget()), spent_micros=changes.pop("spent_micros", 0))
    return rows.team_json(await teams.create(connection, replace(blank, budget=budget, **changes)), now)


async def _update_team(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    body = shapes.read(shapes.UpdateTeam, data)
    team = await _existing_team(connection, body.team_id)
    team = await teams.update(connection, team.id, **shapes.team_changes(body, team))
    return {"team_id": team.id, "data": rows.team_json(team, now)}


async def _block_team(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    team = await _existing_team(connection, shapes.read(shapes.OneTeam, data).team_id)
    return rows.team_json(await teams.update(connection, team.id, blocked=True), now)


async def _unblock_team(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    team = await _existing_team(connection, shapes.read(shapes.OneTeam, data).team_id)
    return rows.team_json(await teams.update(connection, team.id, blocked=False), now)


async def _delete_teams(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    body = shapes.read(shapes.DeleteTeams, data)
    named = list(dict.fromkeys(body.team_ids))
    owners: list[str] = []
    for team_id in named:
        team = await _existing_team(connection, team_id)
        owners += await ownership.owners_of_team(connection, team.id)
    heir = await _heir(connection, owners, body.transcripts)
    for team_id in named:
        await teams.delete(connection, team_id, heir)
    return {"deleted_teams": named}


async def _heir(connection: AsyncConnection, owners: Sequence[str], asked: shapes.Transcripts | None) -> str:
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
            heir = ownership.require_heir(await _existing_team(connection, asked.move_to), held)
            if heir in owners:
                raise shapes.BadField("transcripts", "A team that is deleted cannot inherit.")
            return heir
        case _:
            return MASTER


async def _team_info(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    named = shapes.read(shapes.OneTeam, data, strict_fields=False).team_id
    team = await _existing_team(connection, named)
    return {
        "team_id": team.id,
        "team_info": rows.team_json(team, now),
        "keys": await _keys_of(connection, team.id, now),
        "team_memberships": [],
    }


async def _list_teams(connection: AsyncConnection, data: Data, now: datetime) -> Any:
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


async def _existing_key(connection: AsyncConnection, named: str) -> VirtualKey:
    if (key := await keys.named(connection, shapes.key_hash_of(named), utc_now())) is None:
        raise shapes.BadField("key", "Key not found in database", status=404)
    return key


async def _key_of_alias(connection: AsyncConnection, alias: str) -> VirtualKey:
    for key in await keys.list_all(connection):
        if key.alias == alias:
            return key
    raise shapes.BadField("key_alias", f"Key not found in database, passed key_alias={alias}", status=404)


async def _existing_team(connection: AsyncConnection, team_id: str) -> Team:
    if (team := await teams.by_id(connection, team_id)) is None:
        raise shapes.BadField("team_id", f"Team not found, passed team_id={team_id}", status=404)
    return team


OPERATIONS: dict[str, tuple[str, Handle]] = {
    "/key/generate": ("POST", _generate_key),
    "/key/info": ("GET", _key_info),
    "/key/list": ("GET", _list_keys),
    "/key/update": ("POST", _update_key),
    "/key/regenerate": ("POST", _regenerate_key),
    "/key/block": ("POST", _block_key),
    "/key/unblock": ("POST", _unblock_key),
    "/key/delete": ("POST", _delete_keys),
    "/team/new": ("POST", _new_team),
    "/team/info": ("GET", _team_info),
    "/team/list": ("GET", _list_teams),
    "/team/update": ("POST", _update_team),
    "/team/delete": ("POST", _delete_teams),
    "/team/block": ("POST", _block_team),
    "/team/unblock": ("POST", _unblock_team),
    "/audit": ("GET", list_audit),
}
"""Path to method and what it does, as LiteLLM has them; `/audit` is ours."""

_REGENERATE = re.compile(r"/key/.+/regenerate")
"""The one path that names a key, its id or (in LiteLLM's own scripts) the key itself."""

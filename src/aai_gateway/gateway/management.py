"""`/key/*` and `/team/*` in LiteLLM's shapes, on our store: for when LiteLLM has no database of its own.

Scripts written for LiteLLM keep working. The master key may do everything here, anyone else nothing. Each
request is one transaction: it happens whole or not at all. `/metrics` stands beside them: the same key, or a
token that opens nothing else.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
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
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.guesses import Guesses, source_of
from aai_gateway.core.presented import key_of_request
from aai_gateway.core.tenancy import hash_key
from aai_gateway.errors import Forbidden, InvalidRequest, Refused, StoreError, Unauthenticated
from aai_gateway.gateway import management_keys, management_teams, metrics
from aai_gateway.gateway import management_shapes as shapes
from aai_gateway.gateway.management_audit import list_audit
from aai_gateway.gateway.observing import METRICS, current
from aai_gateway.gateway.wire import client_host, parse_json_object
from aai_gateway.settings import get_settings
from aai_gateway.store import Store, keys
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
                async with transaction(store, method) as connection:
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
            route("/key/{key:path}/regenerate", "POST", management_keys.regenerate_key),
        ],
        exception_handlers={
            Refused: _on_refused,
            HTTPException: _on_http_error,
            StoreError: _on_store_error,
        },
    )


@asynccontextmanager
async def transaction(store: Store, method: str) -> AsyncIterator[AsyncConnection]:
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


OPERATIONS: dict[str, tuple[str, Handle]] = {
    "/key/generate": ("POST", management_keys.generate_key),
    "/key/info": ("GET", management_keys.key_info),
    "/key/list": ("GET", management_keys.list_keys),
    "/key/update": ("POST", management_keys.update_key),
    "/key/regenerate": ("POST", management_keys.regenerate_key),
    "/key/block": ("POST", management_keys.block_key),
    "/key/unblock": ("POST", management_keys.unblock_key),
    "/key/delete": ("POST", management_keys.delete_keys),
    "/team/new": ("POST", management_teams.new_team),
    "/team/info": ("GET", management_teams.team_info),
    "/team/list": ("GET", management_teams.list_teams),
    "/team/update": ("POST", management_teams.update_team),
    "/team/delete": ("POST", management_teams.delete_teams),
    "/team/block": ("POST", management_teams.block_team),
    "/team/unblock": ("POST", management_teams.unblock_team),
    "/audit": ("GET", list_audit),
}
"""Path to method and what it does, as LiteLLM has them; `/audit` is ours."""

_REGENERATE = re.compile(r"/key/.+/regenerate")
"""The one path that names a key, its id or (in LiteLLM's own scripts) the key itself."""

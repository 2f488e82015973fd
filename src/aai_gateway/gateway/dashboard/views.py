"""The pages that are looked at: overview, teams and keys, their lists, operators, audit log."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.statements import Statement, to_csv
from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway.dashboard import overview, team
from aai_gateway.gateway.dashboard.operators import WINDOWS, operators
from aai_gateway.gateway.dashboard.pages import page, see_other
from aai_gateway.gateway.dashboard.paths import identifier
from aai_gateway.gateway.dashboard.periods import period_of
from aai_gateway.gateway.dashboard.rendering import address
from aai_gateway.gateway.dashboard.scope import Scope, home_of, scope_of
from aai_gateway.gateway.dashboard.sessions import Viewer, admin, gateway_of, viewer
from aai_gateway.store import statements
from aai_gateway.store.audit_log import AuditFilter, list_entries
from aai_gateway.store.paging import Page

T = TypeVar("T")

_NO_FILE_NAME = re.compile(r"[^A-Za-z0-9_-]+")
AUDIT_SHOWN = 50
"""Entries of the audit log on a page."""


async def show_overview(request: Request) -> Response:
    """All teams for the master key; anybody else goes to their own page."""
    found = await viewer(request)
    if not found.is_admin:
        return see_other(request, home_of(found.caller))
    now = utc_now()
    period = period_of(request.query_params, overview.KEPT, now.date())
    shown = await _read(request, lambda store: overview.overview(store, period, request.query_params, now))
    return page(request, "overview.html", found, page_name="Overview", page=shown)


async def show_team(request: Request) -> Response:
    """A team's first page, or a key's."""
    found, now = await viewer(request), utc_now()
    period = period_of(request.query_params, (), now.date())

    async def read(connection: AsyncConnection) -> team.TeamPage:
        return await team.team_page(connection, await _scope(connection, request, found), period, now)

    shown = await _read(request, read)
    return page(
        request, "team.html", found, page_name="Costs", page=shown, regions_of=team.regions_of, **_LINES
    )


async def show_transcripts(request: Request) -> Response:
    """A page of a team's or a key's transcripts."""
    found, filters = await viewer(request), team.filters_of(request.query_params)

    async def read(connection: AsyncConnection) -> tuple[Scope, Page[Any]]:
        scope = await _scope(connection, request, found)
        return scope, await team.transcripts_page(connection, scope, filters, request.query_params)

    scope, shown = await _read(request, read)
    more = {"kind": "transcripts", "states": team.STATES}
    return _list(request, found, scope, "Transcripts", filters, shown, more)


async def show_chats(request: Request) -> Response:
    """A page of a team's or a key's chats."""
    found, filters = await viewer(request), team.filters_of(request.query_params)

    async def read(connection: AsyncConnection) -> tuple[Scope, Page[Any], list[str]]:
        scope = await _scope(connection, request, found)
        shown = await team.chats_page(connection, scope, filters, request.query_params)
        return scope, shown, await team.chat_models(connection, scope)

    scope, shown, models = await _read(request, read)
    return _list(request, found, scope, "Chats", filters, shown, {"kind": "chats", "models": models})


def _list(
    request: Request,
    found: Viewer,
    scope: Scope,
    title: str,
    filters: team.Filters,
    shown: Page[Any],
    more: Mapping[str, Any],
) -> Response:
    return page(
        request,
        "list.html",
        found,
        page_name=title,
        scope=scope,
        title=title,
        filters=filters,
        lines=shown.lines,
        older=shown.older and address([*filters.query, ("before", shown.older.text)]),
        newer=shown.newer and address([*filters.query, ("after", shown.newer.text)]),
        **more,
        **_LINES,
    )


async def download_statement(request: Request) -> Response:
    """A team's statement for a month, as `aai-gateway usage statement --format csv` writes it."""
    found, now = await viewer(request), utc_now()
    period = period_of(request.query_params, (), now.date())
    if period.month is None:
        raise InvalidRequest("A statement is for a month: ?month=2026-11.")

    async def read(connection: AsyncConnection) -> tuple[Scope, Statement]:
        scope = await _scope(connection, request, found)
        assert scope.team_id is not None
        return scope, await statements.of_team(connection, scope.team_id, period.moments[0])

    scope, statement = await _read(request, read)
    name = f"{_NO_FILE_NAME.sub('-', scope.name).strip('-').lower() or 'team'}-{period.month}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(to_csv(statement), media_type="text/csv", headers=headers)


async def show_operators(request: Request) -> Response:
    """What the gateway carries, for the master key."""
    found = await admin(request)
    window, now = request.query_params.get("window") or "1h", utc_now()
    shown = await _read(request, lambda store: operators(store, window, now))
    return page(request, "operators.html", found, page_name="Operators", page=shown, windows=WINDOWS)


async def show_audit(request: Request) -> Response:
    """The audit log, for the master key."""
    found = await admin(request)
    filters = {name: request.query_params.get(name, "").strip() for name in ("action", "actor", "target")}
    action, actor, target = (text or None for text in filters.values())
    where = AuditFilter(action=action, actor=actor, target=target)
    before, after = (_number(request, name) for name in ("before", "after"))
    entries = await _read(
        request, lambda store: list_entries(store, where, limit=AUDIT_SHOWN + 1, before=before, after=after)
    )
    goes_on = len(entries) > AUDIT_SHOWN
    entries = sorted(entries[:AUDIT_SHOWN], key=lambda entry: -entry.seq)
    has_older, has_newer = (
        (after is not None or goes_on),
        (before is not None or (goes_on and after is not None)),
    )
    kept = [(name, text) for name, text in filters.items() if text]
    return page(
        request,
        "audit.html",
        found,
        page_name="Audit log",
        entries=entries,
        filters=filters,
        older=address([*kept, ("before", str(entries[-1].seq))]) if entries and has_older else None,
        newer=address([*kept, ("after", str(entries[0].seq))]) if entries and has_newer else None,
    )


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise InvalidRequest(f"{text!r} is no entry's number.")
    return int(text)


async def _scope(connection: AsyncConnection, request: Request, found: Viewer) -> Scope:
    named = request.path_params.get("team_id")
    return await scope_of(connection, found.caller, None if named is None else identifier(named))


async def _read(request: Request, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """One state of the store for all figures of a page, so that they agree with each other."""
    return await (await gateway_of(request)).store.read_at_once(work)


_LINES: dict[str, Any] = {"model_of": team.model_of, "addons_of": team.addons_of}
"""What lists of transcripts and chats are written with."""

_OF_SCOPE = (("", show_team), ("/transcripts", show_transcripts), ("/chats", show_chats))

ROUTES = [
    Route("/", show_overview, methods=["GET"]),
    Route("/operators", show_operators, methods=["GET"]),
    Route("/audit", show_audit, methods=["GET"]),
    *(Route(f"/teams/{{team_id}}{below}", show, methods=["GET"]) for below, show in _OF_SCOPE),
    Route("/teams/{team_id}/statement.csv", download_statement, methods=["GET"]),
    *(Route(f"/key{below}", show, methods=["GET"]) for below, show in _OF_SCOPE),
]

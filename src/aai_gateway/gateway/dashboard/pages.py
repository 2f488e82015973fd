"""Answering with a page: the template's values that every page has."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from aai_gateway.gateway.dashboard.paths import PREFIX
from aai_gateway.gateway.dashboard.rendering import render
from aai_gateway.gateway.dashboard.scope import home_of
from aai_gateway.gateway.dashboard.sessions import Viewer, root_of

_FOR_MASTER = (("Overview", ""), ("Operators", "/operators"), ("Audit log", "/audit"))


def page(
    request: Request,
    template: str,
    viewer: Viewer | None,
    *,
    page_name: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A template with `values` besides `root`, `viewer`, `pages` and `page_name`."""
    pages = _pages_of(viewer) if viewer is not None else ()
    shared = {"root": root_of(request), "viewer": viewer, "pages": pages, "page_name": page_name}
    return HTMLResponse(render(template, {**shared, **values}), status_code=status, headers=headers)


def _pages_of(viewer: Viewer) -> tuple[tuple[str, str], ...]:
    """The pages that are named on every page, and their paths below PREFIX."""
    if viewer.is_admin:
        return _FOR_MASTER
    home = home_of(viewer.caller)
    return ("Costs", home), ("Transcripts", f"{home}/transcripts"), ("Chats", f"{home}/chats")


def see_other(request: Request, path: str) -> RedirectResponse:
    """After a form: go and look at a page of the dashboard. `path` is written below PREFIX."""
    return RedirectResponse(f"{root_of(request)}{PREFIX}{path}", status_code=303)

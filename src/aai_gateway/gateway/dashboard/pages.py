"""Answering with a page: the template's values that every page has."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from aai_gateway.gateway.dashboard.paths import PREFIX
from aai_gateway.gateway.dashboard.rendering import render
from aai_gateway.gateway.dashboard.sessions import Viewer, root_of

_FOR_ALL = (("Overview", ""),)
_FOR_MASTER = ()


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
    pages = _FOR_ALL + (_FOR_MASTER if viewer is not None and viewer.is_admin else ())
    shared = {"root": root_of(request), "viewer": viewer, "pages": pages, "page_name": page_name}
    return HTMLResponse(render(template, {**shared, **values}), status_code=status, headers=headers)


def see_other(request: Request, path: str) -> RedirectResponse:
    """After a form: go and look at a page of the dashboard. `path` is written below PREFIX."""
    return RedirectResponse(f"{root_of(request)}{PREFIX}{path}", status_code=303)

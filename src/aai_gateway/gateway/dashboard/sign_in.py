"""Signing in with a virtual key or the master key, and signing out.

The form of signing in has a cookie and a token of its own: otherwise another site could sign a browser in
with its own key, and have a team's work done in sight of somebody else.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aai_gateway.core.tenancy import presented_key
from aai_gateway.errors import Refused, Unauthenticated
from aai_gateway.gateway.dashboard.pages import page, see_other
from aai_gateway.gateway.dashboard.paths import is_page
from aai_gateway.gateway.dashboard.posts import posted, read_fields
from aai_gateway.gateway.dashboard.scope import home_of
from aai_gateway.gateway.dashboard.session_secrets import new_id
from aai_gateway.gateway.dashboard.sessions import (
    COOKIE,
    Sessions,
    SignInNeeded,
    cookie_of,
    delete_cookie,
    set_cookie,
    viewer,
)

FORM_COOKIE = "aai_gateway_sign_in"
PATH = "/sign-in"


async def sign_in(request: Request) -> Response:
    """The form, and what it sends."""
    return await (_begin(request) if request.method == "POST" else _show(request))


async def _show(request: Request) -> Response:
    """The form; who is signed in already goes on."""
    after = _after(request.query_params.get("next"))
    try:
        found = await viewer(request)
        return see_other(request, after or home_of(found.caller))
    except SignInNeeded:
        return await _form(request, after, had_ended="ended" in request.query_params)


async def _begin(request: Request) -> Response:
    """Begin a session, and go to where the viewer wanted to be."""
    sessions: Sessions = request.app.state.sessions
    fields = await read_fields(request)
    after = _after(fields.get("next"))
    secrets = await sessions.secrets()
    form_id = secrets.id_of(cookie_of(request, FORM_COOKIE) or "")
    if form_id is None or not secrets.is_csrf(form_id, fields.get("csrf", "")):
        # Most likely cookies are off, or the page is from before the browser was closed.
        text = "The form had run out, or the browser keeps no cookies. Try again."
        return await _form(request, after, status=403, trouble=text)
    try:
        begun, cookie = await sessions.begin(request, presented_key(fields.get("key")))
    except Unauthenticated as error:
        text = "No key is like that, or it has expired or was revoked."
        return await _form(request, after, status=error.status, trouble=text)
    except Refused as error:
        return await _form(request, after, status=error.status, trouble=error.text, headers=error.headers)
    response = see_other(request, after or home_of(begun.caller))
    set_cookie(request, response, COOKIE, cookie)
    return response


async def sign_out(request: Request) -> Response:
    """End the session."""
    sessions: Sessions = request.app.state.sessions
    found = await viewer(request)
    await posted(request, found)
    await sessions.end(request, found)
    response = see_other(request, PATH)
    delete_cookie(request, response, COOKIE)
    return response


async def _form(
    request: Request,
    after: str,
    *,
    status: int = 200,
    trouble: str = "",
    had_ended: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    secrets = await request.app.state.sessions.secrets()
    id_ = secrets.id_of(cookie_of(request, FORM_COOKIE) or "") or new_id()
    response = page(
        request,
        "sign_in.html",
        None,
        status=status,
        headers=headers,
        csrf=secrets.csrf(id_),
        after=after,
        trouble=trouble,
        had_ended=had_ended,
    )
    set_cookie(request, response, FORM_COOKIE, secrets.cookie(id_), PATH)
    return response


def _after(path: str | None) -> str:
    """Where to go once signed in, below the dashboard; empty unless told."""
    return path if path is not None and is_page(path) else ""


ROUTES = [
    Route(PATH, sign_in, methods=["GET", "POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]

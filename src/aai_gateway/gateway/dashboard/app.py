"""The dashboard as an ASGI application: its routes, what every answer carries, and pages for what fails.

A module of pages has its own `ROUTES`, whose paths are below `/dashboard`; add them to `ROUTES` here.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from aai_gateway.errors import GatewayError, Refused
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.dashboard import key_forms, sign_in, static_files, team_forms, views
from aai_gateway.gateway.dashboard.pages import page, see_other
from aai_gateway.gateway.dashboard.paths import PREFIX
from aai_gateway.gateway.dashboard.sessions import COOKIE, Sessions, SignInNeeded, cookie_of
from aai_gateway.gateway.wire import ClientGone, Message, Receive, Scope, Send

log = logging.getLogger("aai_gateway")

# The forms before the views: `/teams/new` is no team of that id.
ROUTES = [*team_forms.ROUTES, *key_forms.ROUTES, *views.ROUTES, *sign_in.ROUTES, *static_files.ROUTES]

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "x-content-type-options": "nosniff",
    # With `no-referrer` a browser would hide from us too that a form is our own.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-robots-tag": "noindex",
}
"""On every answer. Nothing is loaded from another host, and nothing inline runs or styles."""
NOT_KEPT = "no-store"

_TITLES = {
    403: "Not yours to see",
    404: "There is no such page",
    405: "That cannot be done here",
    409: "It has changed meanwhile",
    429: "Too many at once",
    503: "Not available now",
}
_TEXTS = {
    404: "It may have been deleted, or the address has a mistake.",
    405: "The page is there, but takes no such request.",
    500: "The gateway failed on this page. What happened is in its log.",
    503: "The gateway cannot serve this now. Try again in a minute; its log says what is wrong.",
}


class Dashboard:
    """The ASGI application behind `/dashboard`. `ready` gives the opened gateway, `master_key` the one in
    force.
    """

    def __init__(self, ready: Callable[[], Awaitable[Gateway]], master_key: Callable[[], str | None]) -> None:
        self._pages = Starlette(
            routes=ROUTES,
            exception_handlers={
                SignInNeeded: _to_sign_in,
                Refused: _on_refused,
                GatewayError: _on_trouble,
                HTTPException: _on_http_error,
                Exception: _on_failure,
            },
        )
        self._pages.router.redirect_slashes = False
        self._pages.state.ready = ready
        self._pages.state.sessions = Sessions(ready, master_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. `root_path` of the scope is what stands before PREFIX in its path."""
        root = scope["root_path"]
        below = scope["path"][len(root) + len(PREFIX) :] or "/"
        base = f"{root}{PREFIX}"
        began = False

        async def guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                message = {**message, "headers": _guarded(message["headers"])}
            await send(message)

        try:
            await self._pages({**scope, "root_path": base, "path": f"{base}{below}"}, receive, guarded)
        except (ClientDisconnect, ClientGone):
            return
        except Exception:
            # Its page has been sent by now; Starlette raises the error again for the server's log.
            log.exception("the dashboard failed on %s", below)
            if not began:
                raise


def _guarded(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    named = {name for name, _ in headers}
    added = {**HEADERS, "cache-control": NOT_KEPT}
    missing = [(name.encode(), value.encode()) for name, value in added.items() if name.encode() not in named]
    return [*headers, *missing]


async def _to_sign_in(request: Request, error: Exception) -> Response:
    """To the form, and back here after it."""
    assert isinstance(error, SignInNeeded)
    below = request.scope["path"].removeprefix(request.scope["root_path"])
    is_looking = request.method in ("GET", "HEAD")
    from_elsewhere = request.headers.get("sec-fetch-site") in ("cross-site", "same-site")
    if is_looking and from_elsewhere and cookie_of(request, COOKIE) is None:
        # A link on another site: a strict cookie stays behind, and comes along once the page leads to itself.
        return page(request, "again.html", None, headers={"refresh": "0"})
    asked = f"?{request.url.query}" if request.url.query else ""
    after = f"{quote(below, safe='/~')}{asked}" if is_looking and below != "/" else ""
    query = "&".join(
        [*([f"next={quote(after, safe='/')}"] if after else []), *(["ended=1"] if error.had_ended else [])]
    )
    return see_other(request, f"{sign_in.PATH}{'?' if query else ''}{query}")


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _trouble(request, error.status, error.text, error.headers)


async def _on_trouble(request: Request, error: Exception) -> Response:
    log.error("dashboard: %s", error)
    return _trouble(request, 503, headers={"retry-after": "10"})


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _trouble(request, error.status_code, headers=dict(error.headers or {}))


async def _on_failure(request: Request, error: Exception) -> Response:
    return _trouble(request, 500)


def _trouble(
    request: Request, status: int, text: str = "", headers: dict[str, str] | None = None
) -> Response:
    """What went wrong, as a page; with the way back for who is known to be signed in."""
    viewer = getattr(request.state, "viewer", None)
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    told = text or _TEXTS.get(status, "")
    return page(request, "trouble.html", viewer, status=status, headers=headers, title=title, text=told)

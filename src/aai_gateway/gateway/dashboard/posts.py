"""Reading what a page's form sends: whole, small, and sent by the dashboard itself."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from aai_gateway.errors import Forbidden, InvalidRequest, Refused
from aai_gateway.gateway.dashboard.sessions import Viewer

LARGEST = 262_144
"""Bytes; a thousand model names fit in a quarter."""
MOST_FIELDS = 200
KIND = "application/x-www-form-urlencoded"

_OURS = ("same-origin", "none")
"""`none`: the user's own doing, such as a reload."""


async def posted(request: Request, viewer: Viewer) -> dict[str, str]:
    """The fields of a form of the viewer's session, as `read_fields` gives them.

    Raises what that raises, and Forbidden for the form of another session.
    """
    fields = await read_fields(request)
    if not hmac.compare_digest(viewer.csrf.encode(), fields.get("csrf", "").encode()):
        raise Forbidden("This form is of another session. Go back, load the page again, and send it anew.")
    return fields


async def read_fields(request: Request) -> dict[str, str]:
    """The fields of a form, white space around them left out; of a repeated one the last.

    Raises Refused for what is no form or too large, Forbidden for one that another site sent.
    """
    require_own_page(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != KIND:
        raise Refused("A form was expected here.", status=415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise Refused("The form is too large.", status=413)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise InvalidRequest("The form cannot be read.") from None
    return {name: value.strip() for name, value in pairs}


def require_own_page(request: Request) -> None:
    """Raise Forbidden when the browser says that another site's page sent this.

    `Sec-Fetch-Site` is what it says on HTTPS; elsewhere `Origin` must name the host that was asked.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_ours = site in _OURS
    else:
        is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not is_ours:
        raise Forbidden(
            "This form was sent by another site. If it was not, have the proxy in front of the gateway pass "
            "the Host header on."
        )

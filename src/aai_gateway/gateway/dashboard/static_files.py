"""The stylesheet, the script and the pictures of the pages, by names that change with their content."""

from __future__ import annotations

from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aai_gateway.gateway.dashboard.rendering import static_bytes, static_name

_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
FOR_EVER = "public, max-age=31536000, immutable"


async def static(request: Request) -> Response:
    """A file of the package, and no other; 304 for who has it."""
    asked = request.path_params["name"]
    stem, _, rest = asked.partition(".")
    name = f"{stem}.{rest.rpartition('.')[2]}"
    kind = _KINDS.get(name.rpartition(".")[2])
    if kind is None or name not in _names():
        raise HTTPException(404)
    current = static_name(name)
    # Another version's page, while gateways are being replaced, gets what there is, and does not keep it.
    headers = {
        "etag": f'"{current}"',
        "cache-control": FOR_EVER if asked == current else "no-cache",
        "content-type": kind,
    }
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(static_bytes(name), headers=headers)


def _names() -> set[str]:
    return {file.name for file in files(__package__).joinpath("static").iterdir() if file.is_file()}


ROUTES = [Route("/static/{name}", static, methods=["GET"])]

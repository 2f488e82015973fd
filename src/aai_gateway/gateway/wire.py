"""Small pieces of HTTP: reading an ASGI body, answering, and which headers cross the gateway."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

import orjson

from aai_gateway.errors import InvalidRequest, Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"}
    | {b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
"""Headers that belong to one connection (RFC 9110, section 7.6.1)."""

NOT_RETURNED = HOP_BY_HOP | {b"content-length", b"set-cookie", b"server", b"date", b"alt-svc"}
"""Of AssemblyAI's headers, those that are not passed on; the length is set afresh."""

PASSED_UP = frozenset({b"content-type", b"accept", b"user-agent", b"assemblyai-version"})
"""Of the client's headers, those that AssemblyAI sees. Never the virtual key, cookies or routing headers."""


class ClientGone(Exception):
    """The client closed its connection."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a request header, or None."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def client_address(scope: Scope) -> str | None:
    """Where a request comes from, as the server knows it; None on a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else None


def all_headers(scope: Scope) -> dict[str, str]:
    """The request's headers by lower-case name; of a repeated one, all values separated by commas."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:
        name, text = key.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]},{text}" if name in found else text
    return found


def request_headers(scope: Scope, account_key: str) -> dict[str, str]:
    """Headers for AssemblyAI: the raw account key, and of the client's own the few that matter."""
    passed = {k.decode(): v.decode("latin-1") for k, v in scope["headers"] if k in PASSED_UP}
    return {**passed, "authorization": account_key, "accept-encoding": "identity"}


def response_headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """AssemblyAI's response headers as the client gets them."""
    headers = [(name.lower(), value) for name, value in raw]
    named = {
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    return [(name, value) for name, value in headers if name not in NOT_RETURNED and name not in named]


async def body_chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The request body as it arrives. Raises ClientGone when the client leaves before its end."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if chunk := message.get("body"):
            yield chunk
        if not message.get("more_body"):
            return


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole request body, at most `limit` bytes. Raises Refused (413) or ClientGone."""
    parts: list[bytes] = []
    size = 0
    async for chunk in body_chunks(receive):
        size += len(chunk)
        if size > limit:
            raise Refused(f"The request body is larger than {limit} bytes.", status=413)
        parts.append(chunk)
    return b"".join(parts)


def parse_json_object(body: bytes) -> dict[str, Any]:
    """A JSON object that everyone reads the same: UTF-8, no repeated members. Raises InvalidRequest."""
    try:
        # orjson refuses what json lets through: NaN, UTF-16, halves of surrogate pairs.
        orjson.loads(body)
        value = json.loads(body, object_pairs_hook=_unique_members)
    except (ValueError, RecursionError):
        raise InvalidRequest("Invalid JSON body.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated member")
    return members


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole response."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def respond_json(send: Send, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
    """Send a JSON response."""
    raw = [
        (b"content-type", b"application/json"),
        *((k.encode(), v.encode()) for k, v in (headers or {}).items()),
    ]
    await respond(send, status, raw, json.dumps(value, separators=(",", ":")).encode())


async def respond_refusal(send: Send, refusal: Refused) -> None:
    """Send a refusal in AssemblyAI's shape, `{"error": text}`."""
    await respond_json(send, refusal.status, {"error": refusal.text}, refusal.headers)

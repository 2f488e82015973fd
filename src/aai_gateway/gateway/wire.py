"""Small pieces of HTTP: reading an ASGI body, answering, and which headers cross the gateway."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

import orjson

from aai_gateway.errors import ClientTooSlow, InvalidRequest, Refused

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

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


MAX_DEPTH = 100
"""Arrays and objects inside each other in a JSON body. Schemas of tools have a few dozen; LiteLLM copies and
walks a body by recursion, for which Python has room for some hundreds."""
MOST_VALUES = 50_000
"""Values of a JSON body. A conversation of a thousand messages with a hundred tools has some ten thousand;
a million keep everybody else waiting for seconds while they are read and copied."""
_LONGEST_INTEGER = len(str(-(2**63)))


class ClientGone(Exception):
    """The client closed its connection."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a request header, or None."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def client_host(scope: Scope) -> str | None:
    """Where a request comes from, as the server sees it: behind a trusted proxy, the proxy's client."""
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


def patient(receive: Receive, seconds: float) -> Receive:
    """`receive`, raising ClientTooSlow when nothing of the body comes for so long."""
    is_whole = False

    async def receiving() -> Message:
        nonlocal is_whole
        if is_whole:
            return await receive()
        try:
            async with timeout(seconds):
                message = await receive()
        except asyncio.TimeoutError:
            raise ClientTooSlow(seconds) from None
        is_whole = not message.get("more_body")
        return message

    return receiving


async def body_chunks(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """The request body as it arrives, at most `limit` bytes.

    Raises Refused (413), ClientTooSlow, and ClientGone when the client leaves before its end.
    """
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if chunk := message.get("body"):
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
            yield chunk
        if not message.get("more_body"):
            return


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole request body, at most `limit` bytes. Raises Refused (413), ClientTooSlow or ClientGone."""
    return b"".join([chunk async for chunk in body_chunks(receive, limit)])


def too_large(limit: int) -> Refused:
    """What a body of more than `limit` bytes is refused with."""
    return Refused(f"The request body is larger than {limit} bytes.", status=413)


def require_length_within(scope: Scope, limit: int) -> None:
    """Raise Refused (413) for a body that says itself, in its `Content-Length`, that it is too large."""
    length = header(scope, b"content-length") or ""
    if length.isdecimal() and int(length) > limit:
        raise too_large(limit)


def parse_json_object(body: bytes, most_values: int = MOST_VALUES) -> dict[str, Any]:
    """A JSON object that everyone reads the same. Raises InvalidRequest.

    It is UTF-8 without repeated members, its whole numbers have 64 bits, it is not nested too deeply for
    readers that recurse, and has not so many values that reading it would hold up everybody else.
    """
    if not _has_at_most(most_values, body):
        raise InvalidRequest(f"The request body holds more than {most_values:,} values.")
    try:
        # orjson refuses what json lets through: NaN, infinity, UTF-16, halves of surrogate pairs.
        orjson.loads(body)
        value = json.loads(body, object_pairs_hook=_unique_members, parse_int=_integer)
    except (ValueError, RecursionError):
        raise InvalidRequest("Invalid JSON body.") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    if _is_deeper(value, MAX_DEPTH):
        raise InvalidRequest(f"The request body is nested more than {MAX_DEPTH} deep.")
    return value


def _has_at_most(values: int, body: bytes) -> bool:
    """Whether a JSON body has at most so many values: commas and opening brackets that stand in no text."""
    if _marks(body) <= values:
        return True
    quoted = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if quoted.count(b'"') > 4 * values:  # each value has a name and a text at most
        return False
    return _marks(b"".join(quoted.split(b'"')[::2])) <= values


def _marks(text: bytes) -> int:
    return sum(map(text.count, (b",", b"[", b"{")))


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER or not -(2**63) <= (value := int(digits)) < 2**64:
        raise ValueError("too large an integer")
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        members = (v.values() if isinstance(v, dict) else v for v in level)
        level = [member for found in members for member in found if isinstance(member, dict | list)]
    return bool(level)


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


def with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """A `send` that adds these headers to the answer, in place of any of the same name."""
    added = [(name.encode(), value.encode()) for name, value in headers.items()]
    names = {name for name, _ in added}

    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if name not in names]
            message = {**message, "headers": [*kept, *added]}
        await send(message)

    return adding

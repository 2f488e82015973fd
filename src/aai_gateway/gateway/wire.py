"""Small pieces of HTTP: reading an ASGI body, answering, and which headers cross the gateway."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

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

PASSED_UP = frozenset({b"content-type", b"accept", b"user-agent", b"range", b"assemblyai-version"})
"""Of the client's headers, those that AssemblyAI sees. Never the virtual key, cookies or routing headers."""

_IDENTIFIERS = re.compile(
    rb',\s*"(?:token_id|project_id)"\s*:\s*(?:-?[0-9.eE+-]+|null|true|false|"(?:[^"\\]|\\.)*")'
    rb'|"(?:token_id|project_id)"\s*:\s*(?:-?[0-9.eE+-]+|null|true|false|"(?:[^"\\]|\\.)*")\s*,?'
)
_IDENTIFIER_NAME = re.compile(rb'"(?:token_id|project_id)"')
_IDENTIFIER_MEMBER = re.compile(rb'"(?:token_id|project_id)"\s*:')


class ClientGone(Exception):  # noqa: N818  an event, not an error
    """The client closed its connection."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a request header, or None."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None


def without_identifiers(body: bytes) -> bytes:
    """A JSON body without `token_id` and `project_id`, which identify the account's key; else unchanged.

    Works on the bytes: inside a JSON string these quotes would be escaped, so only real members match.
    """
    if b'"token_id"' not in body and b'"project_id"' not in body:
        return body
    cleaned = _IDENTIFIERS.sub(b"", body)
    if _IDENTIFIER_MEMBER.search(cleaned) is None:
        return cleaned
    return json.dumps(_drop_identifiers(json.loads(body))).encode()


def _drop_identifiers(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _drop_identifiers(v) for k, v in value.items() if k not in ("token_id", "project_id")}
    return [_drop_identifiers(item) for item in value] if isinstance(value, list) else value


class IdentifierFilter:
    """`without_identifiers` for a body that streams by; keeps back about a kilobyte."""

    LOOK_AHEAD = 512

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk and return what may be sent on."""
        self._held += chunk
        cut = len(self._held) - self.LOOK_AHEAD
        if cut <= 0:
            return b""
        if member := _IDENTIFIER_NAME.search(self._held, max(0, cut - self.LOOK_AHEAD)):
            cut = min(cut, member.start())
        while cut and self._held[cut - 1 : cut] in (b",", b" ", b"\n", b"\r", b"\t"):
            cut -= 1
        ready, self._held = self._held[:cut], self._held[cut:]
        return _IDENTIFIERS.sub(b"", ready)

    def finish(self) -> bytes:
        """What is left at the end of the body."""
        rest, self._held = self._held, b""
        return _IDENTIFIERS.sub(b"", rest)


def request_headers(scope: Scope, account_key: str) -> dict[str, str]:
    """Headers for AssemblyAI: the raw account key, and of the client's own the few that matter."""
    passed = {k.decode(): v.decode("latin-1") for k, v in scope["headers"] if k in PASSED_UP}
    return {**passed, "authorization": account_key, "accept-encoding": "identity"}


def response_headers(raw: Iterable[tuple[bytes, bytes]], extra: Mapping[str, str] | None = None) -> Headers:
    """AssemblyAI's response headers as the client gets them, with `extra` added."""
    kept = [(k.lower(), v) for k, v in raw if k.lower() not in NOT_RETURNED]
    return kept + [(k.encode(), v.encode()) for k, v in (extra or {}).items()]


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
    """A JSON object without repeated members, so that everyone reads the same. Raises InvalidRequest."""
    try:
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
    await respond(send, status, raw, json.dumps(value).encode())


async def respond_refusal(send: Send, refusal: Refused) -> None:
    """Send a refusal in AssemblyAI's shape, `{"error": text}`."""
    await respond_json(send, refusal.status, {"error": refusal.text}, refusal.headers)

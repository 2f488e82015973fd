"""Requests written byte by byte, for spellings that HTTP clients tidy away."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http.client import HTTPResponse
from urllib.parse import urlsplit


@dataclass(frozen=True)
class RawAnswer:
    """Status, headers with lower-case names, and body."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    url: str, target: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
) -> RawAnswer:
    """Send `method target` to the server of `url`, the target as it is written, and read the answer."""
    host = urlsplit(url).netloc
    given = {"Host": host, "Connection": "close", **(headers or {})}
    if body or method == "POST":
        given.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    with connected(url) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        response = HTTPResponse(connection, method=method)
        response.begin()
        return RawAnswer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )


def connected(url: str) -> socket.socket:
    """A connection to the server of `url`."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    return socket.create_connection((parts.hostname, parts.port), timeout=60)

"""What a request's head may not say, because two servers would read it differently (RFC 9112, 9110).

The HTTP parser refuses most of it, such as two lengths; these are the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_ALLOWED = "DELETE, GET, POST"


@dataclass(frozen=True, slots=True)
class HeadFault:
    """Why a request is refused by its head alone."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()


def unknown_method() -> HeadFault:
    """For a method that no route has, or what stands in its place."""
    return HeadFault(405, f"The request's method is none of {_ALLOWED}.", (("allow", _ALLOWED),))


def head_fault(
    method: str, url: bytes, headers: Iterable[tuple[bytes, bytes]], *, upgrades: bool, limit: int
) -> HeadFault | None:
    """What is wrong with a head of lower-case header names, or None. `limit` is its size in bytes."""
    values: dict[bytes, list[bytes]] = {}
    size = len(method) + len(url) + len("  HTTP/1.1\r\n")
    for name, value in headers:
        size += len(name) + len(value) + len(": \r\n")
        values.setdefault(name, []).append(value)
    if size > limit:
        return HeadFault(431, f"The request's head has more than {limit} bytes.")
    if method == "CONNECT":
        return unknown_method()
    codings = values.get(b"transfer-encoding")
    if codings is not None and [coding.strip().lower() for coding in codings] != [b"chunked"]:
        return HeadFault(400, "Transfer-Encoding may only be chunked.")
    hosts = values.get(b"host", [])
    if len(hosts) > 1 or not all(_HOST.fullmatch(host.strip()) for host in hosts):
        return HeadFault(400, "Host must name one host.")
    if upgrades and (codings is not None or values.get(b"content-length", [b"0"]) != [b"0"]):
        return HeadFault(400, "A request that asks for an upgrade cannot have a body.")
    return None

"""Where the dashboard is, and how an id stands in a path of it."""

from __future__ import annotations

import base64
import binascii
import re

PREFIX = "/dashboard"

_PLAIN = re.compile(r"(?!new$)[A-Za-z0-9_-][A-Za-z0-9._-]*")
_LOCAL = re.compile(r"/[A-Za-z0-9._~%!$&'()*+,;=:@/?-]*")
_DOTS = re.compile(r"(?i)(?:\.|%2e){2}(?:[/?]|%2f|$)")


def is_dashboard_path(path: str) -> bool:
    """Whether the dashboard answers a path."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def segment(identifier: str) -> str:
    """An id as one segment of a path: as it is, or `~` and its base64 where it could be taken for more."""
    return identifier if _PLAIN.fullmatch(identifier) else _encoded(identifier)


def identifier(segment: str) -> str:
    """The id that a segment stands for; one that was not made here stands for itself."""
    encoded = segment[1:]
    try:
        found = base64.urlsafe_b64decode(f"{encoded}{'=' * (-len(encoded) % 4)}").decode()
    except (binascii.Error, ValueError):
        return segment
    return found if segment == _encoded(found) else segment


def _encoded(identifier: str) -> str:
    return f"~{base64.urlsafe_b64encode(identifier.encode()).decode().rstrip('=')}"


def is_page(path: str | None) -> bool:
    """Whether a path with its query, written below PREFIX, leads to nowhere but the dashboard."""
    if not path or len(path) > 4000 or not _LOCAL.fullmatch(path):
        return False
    return _DOTS.search(path.partition("?")[0]) is None

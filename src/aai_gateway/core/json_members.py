"""Changing members of a JSON object and leaving every other byte of it as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_SPACE = " \t\n\r"
_decode = json.JSONDecoder().raw_decode


def with_members(body: bytes, members: Mapping[str, Any]) -> bytes:
    """A JSON object (valid, UTF-8, no name twice) with these members at its top, replaced or added."""
    text = body.decode()
    spans = _spans(text)
    for name, (start, end) in sorted(spans.items(), key=lambda item: item[1], reverse=True):
        if name in members:
            text = text[:start] + json.dumps(members[name]) + text[end:]
    close = text.rindex("}")
    added = [
        f"{json.dumps(name)}: {json.dumps(value)}" for name, value in members.items() if name not in spans
    ]
    if added:
        text = text[:close] + (", " if spans else "") + ", ".join(added) + text[close:]
    return text.encode()


def _spans(text: str) -> dict[str, tuple[int, int]]:
    """Where the value of each member at the top begins and ends, by the member's name."""
    spans: dict[str, tuple[int, int]] = {}
    at = _skip(text, text.index("{") + 1)
    while text[at] == '"':
        name, at = _decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = _decode(text, start)
        spans[name] = start, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return spans


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at

"""Takes `token_id` and `project_id` out of AssemblyAI's answers, and puts other values in place of some.

They are undocumented, identify the account's key and project, and are the same for every team.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_IDENTIFIERS = (b'"token_id"', b'"project_id"')
_SPACE = b" \t\n\r"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]|,|[^\s",\[\]{}]+|"', re.DOTALL)


Change = Callable[[bytes], bytes]
Replacements = Mapping[bytes, Change]
"""By a member's name in its quotes, what becomes of its value; both are JSON."""
NOTHING: Replacements = {}


def without_identifiers(body: bytes, replaced: Replacements = NOTHING) -> bytes:
    """A JSON body without `token_id` and `project_id`, which identify the account's key; else unchanged.

    The values of `replaced` members are changed.
    """
    if not any(name in body for name in (*_IDENTIFIERS, *replaced)):
        return body
    identifiers = IdentifierFilter(replaced)
    return identifiers.feed(body) + identifiers.finish()


class IdentifierFilter:
    """`without_identifiers` for a body that streams by; keeps back what may be part of such a member.

    Works on the bytes. `"token_id"` whose first quote is not escaped begins a string, because no JSON has
    text right after a closing quote; and a string that a colon follows is a member's name.
    """

    def __init__(self, replaced: Replacements = NOTHING) -> None:
        self._replaced = replaced
        self._names = (*_IDENTIFIERS, *replaced)
        self._held = b""
        self._last = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk and return what may be sent on."""
        self._held += chunk
        return self._pass_on(final=False)

    def finish(self) -> bytes:
        """What is left at the end of the body."""
        return self._pass_on(final=True) + self._take(len(self._held))

    def _pass_on(self, *, final: bool) -> bytes:
        ready: list[bytes] = []
        searched = 0
        while found := self._next_name(searched):
            start, end = found
            colon = _skip_space(self._held, end)
            if self._held[colon : colon + 1] not in (b":", b""):
                searched = end
                continue
            value_end = _value_end(self._held, colon + 1, final) if colon < len(self._held) else None
            member = self._whole_member(start, value_end, final) if value_end is not None else None
            if value_end is None or member is None:
                # The rest of this member has yet to arrive.
                return b"".join([*ready, self._take(_before_comma(self._held, start))])
            searched = 0
            if (change := self._replaced.get(self._held[start:end])) is not None:
                ready.append(self._take(_skip_space(self._held, colon + 1)))
                value = self._take(value_end - len(ready[-1]))
                ready.append(change(value))
                continue
            ready.append(self._take(member[0]))
            self._held = self._held[member[1] - member[0] :]
        return b"".join([*ready, self._take(self._safe_end())])

    def _next_name(self, start: int) -> tuple[int, int] | None:
        """Where the next string begins and ends that spells one of the names."""
        found: tuple[int, int] | None = None
        for name in self._names:
            at = self._held.find(name, start, found[0] if found else len(self._held))
            while at >= 0 and (self._held[at - 1 : at] if at else self._last) == b"\\":
                at = self._held.find(name, at + 1, found[0] if found else len(self._held))
            if at >= 0:
                found = at, at + len(name)
        return found

    def _whole_member(self, start: int, end: int, final: bool) -> tuple[int, int] | None:
        """The member with the one comma that goes with it; None when that is still to come."""
        before = _before_comma(self._held, start)
        if self._held[before : before + 1] == b",":
            return before, end
        after = _skip_space(self._held, end)
        if after == len(self._held) and not final:
            return None
        return start, after + 1 if self._held[after : after + 1] == b"," else end

    def _safe_end(self) -> int:
        """How much of what is held cannot be part of a member that is still arriving."""
        for size in range(max(map(len, self._names)) - 1, 0, -1):
            tail = self._held[-size:]
            if len(tail) == size and any(name.startswith(tail) for name in self._names):
                return _before_comma(self._held, len(self._held) - size)
        return _before_comma(self._held, len(self._held))

    def _take(self, count: int) -> bytes:
        taken, self._held = self._held[:count], self._held[count:]
        self._last = taken[-1:] or self._last
        return taken


def _skip_space(text: bytes, start: int) -> int:
    while start < len(text) and text[start] in _SPACE:
        start += 1
    return start


def _before_comma(text: bytes, end: int) -> int:
    """Where the comma is that precedes `end` but for white space, or else `end` without that white space."""
    bare = len(text[:end].rstrip(_SPACE))
    return bare - 1 if text[bare - 1 : bare] == b"," else bare


def _value_end(text: bytes, start: int, final: bool) -> int | None:
    """Where the JSON value ends that begins at or after `start`; None when its end has yet to arrive."""
    depth = 0
    for token in _TOKEN.finditer(text, start):
        mark = token[0]
        if mark == b'"':
            return None
        depth += (mark in b"[{") - (mark in b"]}")
        if mark != b"," and depth == 0:
            is_open_ended = mark[:1] not in b'"]}' and token.end() == len(text)
            return None if is_open_ended and not final else token.end()
    return None

"""The audit log's rules: what an entry says, and how each is chained to the one before it.

An entry's `hash` is SHA-256, as 64 lower-case hexadecimal digits, over these bytes:

    previous_hash "\\n" body

`previous_hash` is the `hash` of the entry before it as text (64 zeros before the first), "\\n" one line feed,
`body` the JSON object of every other field (`seq`, `at`, `actor`, `action`, `target`, `team_id`, `source`,
`details`): ASCII alone (everything else as `\\uXXXX`), no spaces, the members of every object in the order of
their names, `at` as `2026-11-01T09:30:00.000000Z`. Numbers are integers. Entries are numbered from 1 without
gaps.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import ConfigurationError

LONGEST_TEXT = 1000
"""Characters of an actor, a target or a source; what a client can choose must not fill the log."""

_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")
_KEY = re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{13,}")
_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `master`, `key:<hash> (alias)`, `cli:<user>`, `gateway`; and from where.

    `source` is a client's address, or the machine and terminal of a command.
    """

    who: str
    source: str | None = None


def actor_of(caller: Caller, source: str | None) -> Actor:
    """The actor that a caller at an address is."""
    if caller.key is None:
        return Actor("master", source)
    alias = f" ({caller.key.alias})" if caller.key.alias else ""
    return Actor(f"key:{caller.key.hash}{alias}", source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened: the action (`key.create`), what it was done to (`key:<hash>`), and whose that is."""

    at: datetime
    actor: str
    action: str
    target: str
    team_id: str | None
    source: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Event):
    """An event in its place in the log."""

    seq: int
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry, which stands for all before it. As text `17:<hash>`."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


GENESIS = Head(0, "0" * 64)
"""What the first entry is chained to."""


def parse_head(text: str) -> Head:
    """A head as it was printed. Raises ConfigurationError."""
    if (match := _HEAD.fullmatch(text.strip())) is None:
        raise ConfigurationError(f"{text!r} is no entry's number and hash, like 17:{'0a' * 32}.")
    return Head(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where the log is not what was written. `why` is a sentence."""

    seq: int
    why: str


def event(
    actor: Actor,
    action: str,
    target: str,
    *,
    at: datetime,
    team_id: str | None,
    details: Mapping[str, Any],
) -> Event:
    """An event as it can be written and chained: plain values, short texts, no virtual key in any of them."""
    return Event(
        at=at,
        actor=_text(actor.who),
        action=action,
        target=_text(target),
        team_id=team_id,
        source=None if actor.source is None else _text(actor.source),
        details={str(name): plain(value) for name, value in details.items()},
    )


def _text(text: str) -> str:
    return _without_keys("".join(c if c.isprintable() else "\ufffd" for c in text[:LONGEST_TEXT]))


def _without_keys(text: str) -> str:
    # A half of a surrogate pair is in no UTF-8, and Postgres keeps no NUL.
    text = text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    return _KEY.sub("[key]", text)


def plain(value: Any) -> Any:
    """A value as JSON that is written in one way only: no float, nothing that looks like a virtual key."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else str(value)
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, Mapping):
        return {_without_keys(str(name)): plain(member) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(member) for member in value]
    return _without_keys(str(value))


def moment_text(moment: datetime) -> str:
    """A moment in UTC, to the microsecond: `2026-11-01T09:30:00.000000Z`."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def body_json(seq: int, event: Event) -> dict[str, Any]:
    """Every field that is hashed."""
    return {
        "seq": seq,
        "at": moment_text(event.at),
        "actor": event.actor,
        "action": event.action,
        "target": event.target,
        "team_id": event.team_id,
        "source": event.source,
        "details": event.details,
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as it is exported: what is needed to verify it elsewhere."""
    return {**body_json(entry.seq, entry), "previous_hash": entry.previous_hash, "hash": entry.hash}


def chain_hash(previous_hash: str, seq: int, event: Event) -> str:
    """The hash of an event as entry `seq`. Raises TypeError or ValueError for one that JSON cannot say."""
    body = json.dumps(body_json(seq, event), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"{previous_hash}\n{body}".encode("ascii")).hexdigest()


def chained(head: Head, event: Event) -> Entry:
    """The event as the entry after `head`."""
    seq = head.seq + 1
    return Entry(
        seq=seq,
        at=event.at,
        actor=event.actor,
        action=event.action,
        target=event.target,
        team_id=event.team_id,
        source=event.source,
        details=event.details,
        previous_hash=head.hash,
        hash=chain_hash(head.hash, seq, event),
    )


def follow(head: Head, entries: Iterable[Entry], expected: Head | None = None) -> Head | Broken:
    """Follow the chain from `head` over the entries that come next: where it ends, or is broken first.

    `expected` is an entry that is known from an earlier time.
    """
    for entry in entries:
        if why := _fault(head, entry, expected):
            return Broken(min(entry.seq, head.seq + 1), why)
        head = Head(entry.seq, entry.hash)
    return head


def _fault(head: Head, entry: Entry, expected: Head | None) -> str | None:
    number = entry.seq
    if number != head.seq + 1:
        return f"Entry {head.seq + 1} is missing: entry {number} comes next."
    if entry.previous_hash != head.hash:
        return f"Entry {number} is not chained to the one before it: its previous_hash is another's."
    try:
        found = chain_hash(head.hash, number, entry)
    except (TypeError, ValueError):
        found = ""
    if entry.hash != found:
        return f"Entry {number} was changed: its hash is not that of its fields."
    if expected is not None and expected.seq == number and expected.hash != entry.hash:
        return f"Entry {number} is another than expected: the log was rewritten."
    return None


def require_reached(head: Head, expected: Head) -> Head | Broken:
    """The end of a log that was followed, unless it lies before an entry that is known to have been there."""
    if head.seq >= expected.seq:
        return head
    return Broken(
        head.seq + 1, f"The log ends at entry {head.seq}, but entry {expected.seq} was there: it was cut off."
    )

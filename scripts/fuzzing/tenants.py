"""Teams, keys and what they made, and by an own short rule what each may see: the fuzz's second opinion.

Nothing here is taken from the gateway's code: where both agree on twenty thousand random requests, neither is
right by accident.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Region = Literal["us", "eu"]
Outcome = Literal["served", "not found", "foreign upload", "forbidden", "unauthenticated"]

REGIONS: tuple[Region, ...] = ("us", "eu")
ROUTES: dict[Region, str] = {"us": "assemblyai", "eu": "eu.assemblyai"}
LLM_ROUTES: dict[Region, str] = {"us": "llm-gateway.assemblyai", "eu": "llm-gateway.eu.assemblyai"}

READING: dict[str, str] = {
    "get": "",
    "sentences": "/sentences",
    "paragraphs": "/paragraphs",
    "srt": "/srt?chars_per_caption=32",
    "vtt": "/vtt",
    "word search": "/word-search?words=a",
    "redacted audio": "/redacted-audio",
}
"""Operations that read one transcript, and their path below it."""
WRITING = ("upload", "submit", "submit an upload", "delete", "chat", "understanding")
OPERATIONS = (*READING, "list", *WRITING)

_MARK = re.compile(rb"mk-(\d+)-(\d+)-mk")


@dataclass(frozen=True, slots=True)
class Holder:
    """A virtual key as the fuzz uses it. `owner` is the number of its team, or its own without one."""

    number: int
    owner: int
    secret: str
    regions: frozenset[Region]
    own_only: bool = False
    read_only: bool = False
    state: Literal["live", "gone", "team blocked"] = "live"

    def mark(self) -> str:
        """What this key writes into all that it makes, to be known again in anybody's answer."""
        return f"mk-{self.owner}-{self.number}-mk"


@dataclass(slots=True)
class Thing:
    """A transcript or an upload: where it is, and whose key made it. `name` is its id or URL."""

    name: str
    region: Region
    owner: int
    maker: int


@dataclass(slots=True)
class Tenants:
    """All keys, and all that was made so far."""

    holders: list[Holder]
    transcripts: list[Thing] = field(default_factory=list)
    uploads: list[Thing] = field(default_factory=list)

    def seen_by(self, holder: Holder, region: Region) -> set[str]:
        """The ids that a list in a region must show to a key."""
        return {thing.name for thing in self.transcripts if thing.region == region and sees(holder, thing)}


def sees(holder: Holder, thing: Thing | None) -> bool:
    """Whether a thing is a key's to see: its team's, or with `own_only` what it made itself."""
    if thing is None or thing.owner != holder.owner:
        return False
    return thing.maker == holder.number or not holder.own_only


def expected(holder: Holder, operation: str, region: Region, thing: Thing | None) -> Outcome:
    """What must come of an operation in a region, on a thing of that name (None: one that nobody made)."""
    if holder.state == "gone":
        return "unauthenticated"
    if holder.state == "team blocked" or region not in holder.regions:
        return "forbidden"
    if holder.read_only and operation in WRITING:
        return "forbidden"
    if operation in ("list", "upload", "submit"):
        return "served"
    if sees(holder, thing) and thing is not None and thing.region == region:
        return "served"
    return "foreign upload" if operation == "submit an upload" else "not found"


def strange_marks(body: bytes, holder: Holder) -> set[str]:
    """The marks in an answer that are not the holder's to see."""
    return {
        f"mk-{owner}-{maker}-mk"
        for owner, maker in _marks(body)
        if owner != holder.owner or (holder.own_only and maker != holder.number)
    }


def _marks(body: bytes) -> Iterable[tuple[int, int]]:
    return {(int(owner), int(maker)) for owner, maker in _MARK.findall(body)}


def pick(chance: random.Random, tenants: Tenants, holder: Holder, things: list[Thing]) -> Thing | None:
    """Mostly somebody's thing, often one of the holder's own, sometimes nobody's."""
    draw = chance.random()
    if draw < 0.1 or not things:
        return None
    if draw < 0.5 and (own := [thing for thing in things[-2000:] if thing.owner == holder.owner]):
        return chance.choice(own)
    return chance.choice(things)

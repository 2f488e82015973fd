"""What a question to a library asks for: its subject, and whose words are wanted. Pure.

"What did the Marketing think of buttons when discussing the design?" is about `buttons`, in the words of
Marketing. The words that every question has, and what it is set in, say little of where its answer is.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_SETTING = re.compile(
    r"\b(?:when|while|during|as|in)\s+(?:they\s+(?:were\s+)?)?(?:the\s+)?"
    r"(?:discuss|talk|present|reflect|evaluat|consider|introduc|design|demonstrat)\w*"
    r"(?:\s+(?:about|on|of))?\s+(.+)$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w'’-]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_FRAME = """
what why how when who where which did do does was were is are had has have be been being would could
should will can may might the a an of to in on at by for with from about and or that this these those it
its they them their he him she her his we us our you your i me my there some any not no more than as if
so also such very summarize summarise describe explain outline tell discuss discussed discusses
discussing discussion discussions say said says saying think thought thinks thinking talk talked talking
mention mentioned recommend recommended elaborate elaborated respond responded meeting meetings group
team everyone people opinion opinions perspective view views feel felt introduce introduced suggest
suggested propose proposed conclude concluded decision during before after between regarding concerning
towards toward general main reason reasons according make made give gave
"""
_FRAME_WORDS = frozenset(_FRAME.split())
# A part of a name that is shorter stands for too much else.
_SHORTEST_PART = 4


@dataclass(frozen=True, slots=True)
class QueryReading:
    """`subject` is what a question is about, in its words; `speakers` are names as given."""

    subject: str
    speakers: tuple[str, ...]


def read_query(text: str, speakers: Collection[str]) -> QueryReading:
    """What `text` asks for, in recordings of these speakers."""
    named = named_speakers(text, speakers)
    found = _SETTING.search(text)
    subject = _content(text[: found.start()] if found else text, named) or _content(text, named)
    return QueryReading(subject or text.strip(), named)


def named_speakers(text: str, speakers: Collection[str]) -> tuple[str, ...]:
    """The speakers that `text` names: in full, else those of whose names it has the most words."""
    folded = text.casefold()
    full = tuple(
        name for name in speakers if _stands_in(name if len(name) > 1 else f"speaker {name}", folded)
    )
    if full:
        return full
    words = set(_LETTERS.findall(folded))
    parts = {
        name: sum(len(part) >= _SHORTEST_PART and part in words for part in _LETTERS.findall(name.casefold()))
        for name in speakers
    }
    most = max(parts.values(), default=0)
    return tuple(name for name in speakers if most and parts[name] == most)


def _stands_in(name: str, folded: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", folded) is not None


def _content(text: str, named: Collection[str]) -> str:
    """The words of `text` that are neither every question's nor of a name."""
    of_names = {part for name in named for part in _LETTERS.findall(name.casefold())}
    words = (word.strip("'’-") for word in _WORD.findall(text))
    return " ".join(
        word
        for word in words
        if len(word) > 1
        and word.casefold() not in _FRAME_WORDS
        and word.casefold().removesuffix("'s").removesuffix("’s") not in of_names
    )

"""What a question to a library asks for: its subject, and whose words are wanted. Pure.

"What did the Marketing think of buttons when discussing the design?" is about `buttons`, in the words of
Marketing. The words that every question has, and what it is set in, say little of where its answer is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SETTING = re.compile(
    r"\b(?:when|while|during|as|in)\s+(?:they\s+(?:were\s+)?)?(?:the\s+)?"
    r"(?:discuss|talk|present|reflect|evaluat|consider|introduc|design|demonstrat)\w*"
    r"(?:\s+(?:about|on|of))?\s+(.+)$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w'’-]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_FRAME = """
what why how when who where which did do does was were is are had has have be been being would could should
will can may might the a an of to in on at by for with from about and or that this these those it its they
them their he him she her his we us our you your i me my there some any not no more than as if so also such
very under over into didn't doesn't wasn't weren't please summarize summarise describe explain outline tell
discuss discussed discusses discussing discussion discussions say said says saying think thought thinks
thinking talk talked talking mention mentioned recommend recommended elaborate elaborated respond responded
agree agreed disagree disagreed comment commented question questioned answer answered debate debated
contribute contributed meeting meetings group team mates everyone people opinion opinions perspective view
views feel felt introduce introduced suggest suggested propose proposed conclude concluded decision during
before after between regarding concerning towards toward general main reason reasons according make made
give gave
"""
_FRAME_WORDS = frozenset(_FRAME.split())
# A part of a name that is shorter stands for too much else.
_SHORTEST_PART, _SHORTEST_BEGINNING = 4, 5
# After these a word written small may be a name: "what did morneau say".
_BEFORE_NAMES = frozenset(("did", "does", "has", "had", "was", "is", "would", "by", "from"))


@dataclass(frozen=True, slots=True)
class QueryReading:
    """`subject` is what a question is about, in its words; `speakers` are names as given."""

    subject: str
    speakers: tuple[str, ...]


def read_query(text: str, speakers: Collection[str]) -> QueryReading:
    """What `text` asks for, in recordings of these speakers."""
    found = _SETTING.search(text)
    asked = text[: found.start()] if found else text
    named = named_speakers(asked, speakers) or named_speakers(text, speakers)
    subject = _content(asked, named) or _content(text, named)
    return QueryReading(subject or text.strip(), named)


def named_speakers(text: str, speakers: Collection[str]) -> tuple[str, ...]:
    """The speakers that `text` names: in full, or those of whose names it has the most words.

    Where `text` has capitals a name has one too, or is a role with an article: "the professor".
    """
    capitals, roles = _words_of_names(text)
    full = {name for name in speakers if _in_full(name, text)}
    rest = capitals - {part for name in full for part in _parts(name)}
    counts = {name: _count(_parts(name), rest, roles) for name in speakers if name not in full}
    most = max(counts.values(), default=0)
    enough = 2 if full else 1
    return tuple(name for name in speakers if name in full or counts[name] == most >= enough)


def _in_full(name: str, text: str) -> bool:
    if len(name) == 1:
        # A label of AssemblyAI's; "I" and the first word are more often something else.
        as_label = name != "I" and re.search(rf"(?<=\s){re.escape(name)}(?!\w)", text) is not None
        return as_label or _stands_in(f"speaker {name}", text)
    return _stands_in(name, text)


def _words_of_names(text: str) -> tuple[set[str], set[str]]:
    """The words that may be of a name, and those that stand after "the"; folded."""
    words = _LETTERS.findall(text)
    folded = [word.casefold() for word in words]
    roles = {after for before, after in pairwise(folded) if before == "the"}
    names = {word.casefold() for word in words if word[0].isupper()} - _FRAME_WORDS
    if not any(word[0].isupper() for word in words[1:]):
        names |= {after for before, after in pairwise(folded) if before in _BEFORE_NAMES}
    return names, roles


def _parts(name: str) -> list[str]:
    return [part for part in _LETTERS.findall(name.casefold()) if len(part) >= _SHORTEST_PART]


def _count(parts: Sequence[str], words: Collection[str], roles: Collection[str]) -> int:
    """How many of a name's words stand in a text, or whether its first stands there as a role."""
    found = sum(any(_is_of(word, part) for word in words) for part in set(parts))
    return found or int(bool(parts) and parts[0] in roles)


def _is_of(word: str, part: str) -> bool:
    """Whether a word is a name's, or the beginning of it: "Design" of "Designer"."""
    return word == part or (len(word) >= _SHORTEST_BEGINNING and part.startswith(word))


def _stands_in(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", text.casefold()) is not None


def _content(text: str, named: Collection[str]) -> str:
    """The words of `text` that are neither every question's nor of a name."""
    of_names = {part for name in named for part in _LETTERS.findall(name.casefold())}
    words = (word.strip("'’-") for word in _WORD.findall(text))
    return " ".join(word for word in words if len(word) > 1 and not _is_frame(word, of_names))


def _is_frame(word: str, of_names: Collection[str]) -> bool:
    folded = word.casefold().replace("’", "'")
    owner = folded.removesuffix("'s")
    return folded in _FRAME_WORDS or any(_is_of(owner, part) for part in of_names)

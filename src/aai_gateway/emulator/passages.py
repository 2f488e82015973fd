"""Sentences of a transcript, and which of them say most or fit a question: pure functions over text.

Everything returned is a verbatim piece of the text given, without the speaker label that may begin a line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LONGEST = 40
_SHORTEST = 6
_SLICE = 20

_SPEAKER = re.compile(r"\s*(?:Speaker\s+)?([A-Z][\w.'-]{0,20}(?: [A-Z][\w.'-]{0,20}){0,2}):\s+")
_HEAD = re.compile(r"\s*Passage \d+\s*")
_END = re.compile(r"[.!?…]+[\"”’')\]]*(?=\s|$)")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No)|\b[A-Z])\.$")
_STOP = """
a about after all also am an and any are as at be because been before being but by can could did do
does doing don for from get go going got had has have he her here him his how i if in into is it its
just know like ll may me might more mr mrs much my no not now of on one only or our out over re
really said say says see she so some such t than that the their them then there these they thing
things think this those to too up us ve very was we well were what when where which who why will
with would yeah yes you your
"""
_STOP_WORDS = frozenset(_STOP.split())


@dataclass(frozen=True, slots=True)
class Passage:
    """One sentence: its place in the text, its words as they stand, who says it, its content words' stems."""

    index: int
    text: str
    speaker: str | None
    stems: tuple[str, ...]

    @property
    def is_question(self) -> bool:
        return self.text.rstrip("\"”’')]").endswith("?")

    @property
    def words(self) -> int:
        return len(self.text.split())


def stem(word: str) -> str:
    """A crude stem: lower case, without the commonest English endings."""
    word = word.lower()
    for ending, replacement in (("ies", "y"), ("ing", ""), ("ed", ""), ("s", ""), ("ly", "")):
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + replacement
    return word


def stems(text: str) -> tuple[str, ...]:
    """Stems of the words of `text` that carry meaning, in order, repeats kept."""
    words = re.findall(r"[^\W_]+", text.lower())
    return tuple(stem(word) for word in words if word not in _STOP_WORDS and len(word) > 1)


def passages(text: str) -> list[Passage]:
    """The sentences of `text`, without lines that only number a passage.

    One of more than 40 words, as in unpunctuated text, is cut every 20 words.
    """
    found: list[Passage] = []
    for line in text.splitlines():
        if _HEAD.fullmatch(line):
            continue
        label = _SPEAKER.match(line)
        speech = line[label.end() :] if label else line
        for sentence in _sentences(speech):
            for piece in _pieces(sentence):
                found.append(Passage(len(found), piece, label and label[1], stems(piece)))
    return found


def _sentences(line: str) -> list[str]:
    cuts, start = [], 0
    for end in _END.finditer(line):
        follows = line[end.end() :].lstrip()
        if _ABBREVIATION.search(line[start : end.end()]) or follows[:1].islower():
            continue
        cuts.append(line[start : end.end()])
        start = end.end()
    cuts.append(line[start:])
    return [cut.strip() for cut in cuts if cut.strip()]


def _pieces(sentence: str) -> list[str]:
    spans = [match.span() for match in re.finditer(r"\S+", sentence)]
    if len(spans) <= _LONGEST:
        return [sentence]
    starts = list(range(0, len(spans) - _SHORTEST, _SLICE))
    ends = [*starts[1:], len(spans)]
    return [sentence[spans[start][0] : spans[end - 1][1]] for start, end in zip(starts, ends, strict=True)]


def central(found: Sequence[Passage], count: int) -> list[Passage]:
    """The `count` passages that say most of what the whole text speaks of, best first.

    Preferred are statements of 6 to 40 words that do not follow one another; others only fill up.
    """
    scores = _centrality(found)
    ranked = sorted(found, key=lambda passage: (-scores[passage.index], passage.index))
    good = [
        passage for passage in ranked if _SHORTEST <= passage.words <= _LONGEST and not passage.is_question
    ]
    chosen: list[Passage] = []
    for passage in good:
        if len(chosen) < count and all(abs(passage.index - other.index) > 1 for other in chosen):
            chosen.append(passage)
    statements = [passage for passage in ranked if not passage.is_question]
    return _unique([*chosen, *good, *statements, *ranked])[:count]


def relevant(found: Sequence[Passage], query: str, count: int) -> list[Passage]:
    """Up to `count` passages sharing most words with `query`, in order of the text; else central ones."""
    asked = set(stems(query))
    scored = [(len(asked & set(passage.stems)), passage) for passage in found]
    best = sorted((pair for pair in scored if pair[0]), key=lambda pair: (-pair[0], pair[1].index))
    chosen = [passage for _, passage in best[:count]] or central(found, count)
    return sorted(chosen, key=lambda passage: passage.index)


def summary(found: Sequence[Passage], count: int) -> list[Passage]:
    """The first passage and the most central others, `count` in all, in the order of the text."""
    chosen = _unique([*found[:1], *central(found, count)])[:count]
    return sorted(chosen, key=lambda passage: passage.index)


def _centrality(found: Sequence[Passage]) -> dict[int, float]:
    """By index: in how many passages a passage's words occur, summed, damped by its length."""
    spread = Counter(word for passage in found for word in set(passage.stems))
    return {
        passage.index: sum(spread[word] for word in set(passage.stems)) / (passage.words**0.5)
        for passage in found
    }


def _unique(found: Iterable[Passage]) -> list[Passage]:
    return list({passage.index: passage for passage in found}.values())

"""The best quotes of a recording without any chat model: what stands for much of it, and stands on its own.

A run of sentences is worth quoting the more of the recording is about the same (degree centrality, as in
LexRank, Erkan and Radev 2004), the more of the recording's own words it has, and the likelier it is
understood by those who did not hear what came before.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.choosing import Candidate, choose
from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.windows import Sentence, Window

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

LONGEST_RUN = 3
"""Sentences of a quote, all of one speaker."""
FEWEST_WORDS, SHORT, LONG, MOST_WORDS = 6, 12, 45, 70
"""A quote has no fewer and no more words than the outer two; between the inner two, length is no matter."""
ALIKE = 0.2
"""The cosine from which on sentences are about the same; between any two it is often a little above 0."""
COMMON = 0.02
"""Words of a larger share of the sentences are everybody's, not this recording's own."""
BLOCK = 512

_LEANING = """
and but or so because also then that this these those it its they them he him his her which who there here
such same well yeah yes no okay oh right sure anyway like too hello hi thanks thank
"""
_LEANS = frozenset(_LEANING.split())
_FILLERS = frozenset({"um", "uh", "uhm", "er", "mm", "hmm"})
_WORD = re.compile(r"[^\W\d_][\w'’-]*")


def extractive_quotes(
    transcript_id: str,
    sentences: Sequence[Sentence],
    vectors: Matrix,
    n: int,
    *,
    about: Matrix | None = None,
    region: str = "us",
) -> list[Quote]:
    """The `n` best quotes, best first, spread over the recording, none overlapping another.

    `vectors` has a normalised row for each sentence. With `about`, the vector of a text, a quote is the
    better the more it is about that. `confidence` is what a quote is worth beside the best, 0 to 1.
    """
    if not sentences:
        return []
    places = _places(sentences)
    topical = centrality(vectors, np.array([standing(one.text) for one in sentences], np.float32))
    if about is not None:
        topical *= np.maximum(0, vectors @ about) ** 2
    own = own_words(sentences)
    lengths = np.array([len(one.text) for one in sentences], np.float32)
    merits = []
    for first, last in places:
        inside = slice(first, last + 1)
        words = set[str]().union(*(_words(one.text) for one in sentences[inside]))
        merit = float(np.average(topical[inside], weights=lengths[inside]))
        merit *= standing(" ".join(one.text for one in sentences[inside]))
        merits.append(merit * sum(own.get(word, 0.0) for word in words))
    best = max(merits, default=0.0)
    candidates = [
        Candidate(_quote(place, merit / best, transcript_id, sentences, region), merit / best)
        for place, merit in zip(places, merits, strict=True)
        if merit > 0
    ]
    return choose(candidates, n, max(one.end for one in sentences))


def standing(text: str) -> float:
    """How likely a text is understood on its own, 0 to 1: of good length, whole, without fillers."""
    words = [word.casefold() for word in _WORD.findall(text)]
    if not FEWEST_WORDS <= len(words) <= MOST_WORDS:
        return 0.0
    short = (len(words) - FEWEST_WORDS + 1) / (SHORT - FEWEST_WORDS + 1)
    long = (MOST_WORDS - len(words) + 1) / (MOST_WORDS - LONG + 1)
    value = min(1.0, short, long)
    value *= max(0.0, 1 - 4 * sum(word in _FILLERS for word in words) / len(words))
    if words[0] in _LEANS:
        value *= 0.7
    return value if text.rstrip("\"'”’) ").endswith((".", "!")) else 0.6 * value


def centrality(vectors: Matrix, weights: Matrix) -> Matrix:
    """For each sentence how much else is about the same, 0 to 1; others count by their `weights`."""
    found = np.zeros(len(vectors), np.float32)
    for begin in range(0, len(vectors), BLOCK):
        alike = np.maximum(0, vectors[begin : begin + BLOCK] @ vectors.T - ALIKE)
        found[begin : begin + BLOCK] = alike @ weights
    most = float(found.max(initial=0))
    return found / most if most else found


def own_words(sentences: Sequence[Sentence]) -> dict[str, float]:
    """The words that a recording says again, but that not everybody says all the time, and their worth."""
    counts = Counter(word for one in sentences for word in _words(one.text))
    common = max(3, COMMON * len(sentences))
    found = {word: math.log1p(count) for word, count in counts.items() if 2 <= count <= common}
    # A few sentences say nothing twice.
    return found or dict.fromkeys(counts, 1.0)


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text) if len(word) > 2}


def _places(sentences: Sequence[Sentence]) -> list[tuple[int, int]]:
    """First and last place of every run that may be a quote."""
    return [(first, last) for first in range(len(sentences)) for last in _ends(first, sentences)]


def _ends(first: int, sentences: Sequence[Sentence]) -> Iterator[int]:
    for last in range(first, min(first + LONGEST_RUN, len(sentences))):
        if sentences[last].speaker != sentences[first].speaker:
            return
        yield last


def _quote(
    place: tuple[int, int], confidence: float, transcript_id: str, sentences: Sequence[Sentence], region: str
) -> Quote:
    first, last = place
    window = Window(tuple(sentences[first : last + 1]))
    return Quote(
        transcript_id=transcript_id,
        region=region,
        start=window.start,
        end=window.end,
        text=window.text,
        speakers=window.speakers,
        confidence=confidence,
        first=window.first,
        last=window.last,
        before=sentences[first - 1].text if first else "",
        after=sentences[last + 1].text if last + 1 < len(sentences) else "",
    )

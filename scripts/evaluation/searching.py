"""Finding a passage: the questions of people, in one meeting each, by QuoteIndex and by other ways.

A result counts when most of its sentences are of turns that answer the question (../shared/quotes/README.md).
"""

from __future__ import annotations

import functools
import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from aai_gateway.quotes.embedder import PACKAGED_MODEL, Embedder
from aai_gateway.quotes.index import QuoteIndex
from aai_gateway.quotes.windows import windows
from evaluation.meetings import Meeting, Query
from evaluation.tables import Table
from evaluation.vectors import KeptVectors

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

DEEPEST = 10
NEIGHBOURS = 3
FUSION = 60
"""Of reciprocal rank fusion (Cormack and others 2009)."""

Span = tuple[int, int]
"""First and last sentence, inclusive"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A meeting's spans of sentences with their vectors, and their words' weights."""

    meeting: Meeting
    spans: list[Span]
    vectors: Matrix
    sentence_vectors: Matrix
    words: Bm25

    @classmethod
    def of(cls, meeting: Meeting, kept: KeptVectors) -> Prepared:
        """What the other ways need of a meeting: windows of five, overlapping by two, and sentences."""
        made = windows(meeting.sentences)
        return cls(
            meeting,
            [(window.first, window.last) for window in made],
            kept.encode([window.text for window in made]),
            kept.encode([sentence.text for sentence in meeting.sentences]),
            Bm25([window.text for window in made]),
        )


class Bm25:
    """Okapi BM25 with k1 1.2 and b .75, over stems without their commonest endings."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(_stems(text)) for text in texts]
        lengths = np.array([counts.total() for counts in self._counts], np.float32)
        self._norms = 1.2 * (0.25 + 0.75 * lengths / max(float(lengths.mean()), 1.0))
        self._with = Counter(word for counts in self._counts for word in counts)

    def scores(self, text: str) -> Matrix:
        """A score for each of the texts."""
        found = np.zeros(len(self._counts), np.float32)
        for word in set(_stems(text)):
            rarity = math.log(1 + (len(self._counts) - self._with[word] + 0.5) / (self._with[word] + 0.5))
            times = np.array([counts[word] for counts in self._counts], np.float32)
            found += rarity * times * 2.2 / (times + self._norms)
        return found


def run(meetings: Sequence[Meeting]) -> Table:
    """Every way over the same questions, each in its own meeting."""
    kept = KeptVectors()
    prepared = [Prepared.of(meeting, kept) for meeting in meetings]
    asked = [(one, query) for one in prepared for query in one.meeting.queries]
    kept.encode([query.text for _, query in asked])
    rows = [_row(name, asked, functools.partial(way, kept)) for name, way in WAYS.items()]
    embedder = cast("Embedder", _Kept(kept))
    with tempfile.TemporaryDirectory() as folder, QuoteIndex(Path(folder), embedder) as index:
        for meeting in meetings:
            index.add(meeting.name, meeting.sentences)
        for one, query in asked:
            # Encoding takes its time; that of the search alone is measured.
            _ours(index, one, query)
        rows.append(_row("ours", asked, lambda one, query: _ours(index, one, query)))
        rows.append(_row("ours, in all meetings at once", asked, lambda one, q: _in_all(index, one, q)))
    columns = ("way", "hit@1", "hit@3", "hit@10", "MRR", "p50, ms", "p95, ms")
    return Table(f"Finding passages, {len(asked)} questions, every way in one run", columns, tuple(rows))


class _Kept:
    """An embedder whose vectors are kept between runs."""

    name = PACKAGED_MODEL

    def __init__(self, kept: KeptVectors) -> None:
        self._kept = kept

    def encode(self, texts: Sequence[str], on_notice: Callable[[str], None] | None = None) -> Matrix:
        """One normalised float32 row for each text, in order."""
        return self._kept.encode(texts)


def _ours(index: QuoteIndex, one: Prepared, query: Query) -> list[Span]:
    found = index.search(query.text, DEEPEST, transcript_ids=[one.meeting.name])
    return [(quote.first, quote.last) for quote in found]


def _in_all(index: QuoteIndex, one: Prepared, query: Query) -> list[Span]:
    """What is found in another meeting answers nothing: no sentence of this one."""
    found = index.search(query.text, DEEPEST)
    return [
        (quote.first, quote.last) if quote.transcript_id == one.meeting.name else (0, -1) for quote in found
    ]


def _guide(kept: KeptVectors, one: Prepared, query: Query) -> list[Span]:
    return _best(one.spans, one.vectors @ kept.encode([query.text])[0])


def _single(kept: KeptVectors, one: Prepared, query: Query) -> list[Span]:
    scores = one.sentence_vectors @ kept.encode([query.text])[0]
    return _best([(place, place) for place in range(len(scores))], scores)


def _sentence_windows(kept: KeptVectors, one: Prepared, query: Query) -> list[Span]:
    last = len(one.meeting.sentences) - 1
    return [
        (max(0, place - NEIGHBOURS), min(last, place + NEIGHBOURS)) for place, _ in _single(kept, one, query)
    ]


def _bm25(kept: KeptVectors, one: Prepared, query: Query) -> list[Span]:
    return _best(one.spans, one.words.scores(query.text))


def _both(kept: KeptVectors, one: Prepared, query: Query) -> list[Span]:
    scores = np.zeros(len(one.spans), np.float32)
    for ranking in (one.vectors @ kept.encode([query.text])[0], one.words.scores(query.text)):
        scores[np.argsort(-ranking, kind="stable")] += 1 / (FUSION + np.arange(len(scores)))
    return _best(one.spans, scores, apart=True)


WAYS: dict[str, Callable[[KeptVectors, Prepared, Query], list[Span]]] = {
    "the guide: windows of five, dense": _guide,
    "single sentences, dense": _single,
    "sentence windows (LlamaIndex), ±3": _sentence_windows,
    "BM25, windows of five": _bm25,
    "BM25 and dense, rank fusion, no overlaps": _both,
}


def _row(
    name: str, asked: Sequence[tuple[Prepared, Query]], way: Callable[[Prepared, Query], list[Span]]
) -> tuple[str, ...]:
    ranks, times = [], []
    for one, query in asked:
        begun = time.perf_counter()
        found = way(one, query)
        times.append(1000 * (time.perf_counter() - begun))
        right = (place for place, span in enumerate(found[:DEEPEST], start=1) if answers(one, query, span))
        ranks.append(next(right, math.inf))
    times.sort()
    hits = (f"{np.mean([rank <= depth for rank in ranks]):.3f}" for depth in (1, 3, DEEPEST))
    quick = (f"{times[len(times) * part // 100]:.1f}" for part in (50, 95))
    return name, *hits, f"{np.mean([1 / rank for rank in ranks]):.3f}", *quick


def answers(one: Prepared, query: Query, span: Span) -> bool:
    """Whether most of a span's sentences are of turns that answer the question."""
    turns = one.meeting.turns[span[0] : span[1] + 1]
    return 2 * sum(any(a <= turn <= b for a, b in query.spans) for turn in turns) > len(turns)


def _best(spans: Sequence[Span], scores: Matrix, *, apart: bool = False) -> list[Span]:
    """The spans of the ten best scores; `apart`: none that overlaps a better one."""
    chosen: list[Span] = []
    for place in np.argsort(-scores, kind="stable"):
        first, last = spans[int(place)]
        if not apart or not any(first <= b and a <= last for a, b in chosen):
            chosen.append((first, last))
            if len(chosen) == DEEPEST:
                break
    return chosen


def _stems(text: str) -> list[str]:
    return [re.sub(r"(?<=...)(?:ing|ed|es|s|ly)$", "", word) for word in re.findall(r"\w+", text.casefold())]

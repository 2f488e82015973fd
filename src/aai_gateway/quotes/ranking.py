"""How well windows fit a question: by meaning, by words, and by who speaks. Pure.

Measured on QMSum's validation split (docs/quotes.md); weights are round, and few.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.packing import window_span
from aai_gateway.quotes.windows import WINDOW_SIZE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aai_gateway.quotes.embedder import Matrix

    Scores = NDArray[np.float64]
    Places = NDArray[np.intp]

WHOLE_TEXT = 0.3
"""What a question's whole text counts beside its subject."""
NEIGHBOURS = (1.0, 0.3, 0.09)
"""What a sentence, the ones next to it and those after the next count in what is said there."""
COMPANY = tuple(math.exp(-distance / 6) for distance in range(13))
"""The same of who speaks: somebody's opinion is where they have the word, also while others answer."""
FEW_WORDS, LEAST = 10, 0.2
"""A sentence of fewer words counts for less, down to this share: "Yes, exactly." is like many a question."""
BY_MEANING, BY_BEST_SENTENCE, BY_WORDS, BY_SPEAKER = 10.0, 4.0, 3.0, 6.0
NEAR, FADE = 2.0, 15.0
"""What a window loses next to one that is better; and in how many sentences that falls to a third."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Each sentence of a transcript: how many words it has, float32, and its speaker."""

    words: Matrix
    speakers: tuple[str | None, ...]

    @classmethod
    def of(cls, lines: Sequence[tuple[int, str | None]]) -> Lines:
        """The lines of (words, speaker) pairs."""
        return cls(np.array([words for words, _ in lines], np.float32), tuple(who for _, who in lines))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive sentences of a transcript, the first of which has the number `first`.

    `windows` are the numbers of those to score in it; `sentences` is how many the whole transcript has.
    """

    key: int
    sentences: int
    first: int
    windows: Sequence[int]
    lines: Lines
    vectors: Matrix


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """A window by its transcript's key and its number; `score` is higher for better."""

    key: int
    number: int
    score: float


def reach_of(speakers: Collection[str]) -> int:
    """How many sentences before and after a window its score depends on."""
    return len(COMPANY if speakers else NEIGHBOURS) - 1


def query_vector(subject: Matrix, text: Matrix) -> Matrix:
    """The vector that stands for a question, of those of its subject and of its whole text."""
    both = subject + WHOLE_TEXT * text
    vector: Matrix = (both / max(float(np.linalg.norm(both)), 1e-12)).astype(np.float32)
    return vector


def score_windows(
    stretches: Iterable[Stretch],
    by_words: Mapping[tuple[int, int], float],
    vector: Matrix,
    speakers: Collection[str],
) -> list[ScoredWindow]:
    """The windows of these stretches, best first. `by_words` are BM25 scores by key and number."""
    best = max(by_words.values(), default=0.0) or 1.0
    scored = []
    for stretch in stretches:
        spans = np.array([window_span(number, stretch.sentences) for number in stretch.windows], np.intp)
        spans -= stretch.first
        likeness = stretch.vectors @ vector
        meant = around(likeness * weight_of(stretch.lines.words), NEIGHBOURS)
        scores = BY_MEANING * means(meant, spans) + BY_BEST_SENTENCE * maxima(likeness, spans)
        if speakers:
            spoken = around(spoken_share(stretch.lines, speakers), COMPANY)
            scores += BY_SPEAKER * means(spoken, spans)
        found = [by_words.get((stretch.key, number), 0.0) for number in stretch.windows]
        scores += BY_WORDS / best * np.array(found)
        pairs = zip(stretch.windows, scores.tolist(), strict=True)
        scored += [ScoredWindow(stretch.key, number, score) for number, score in pairs]
    return sorted(scored, key=lambda one: (-one.score, one.key, one.number))


def spread(best_first: Sequence[ScoredWindow], sentences: Mapping[int, int]) -> Iterator[ScoredWindow]:
    """The best window, then the best that is left, and so on, none overlapping another.

    What is near a window that was taken has to be better for it: when a place is wrong, so is what is next
    to it. `sentences` is how many each transcript has, by key.
    """
    scores = np.array([one.score for one in best_first])
    keys = np.array([one.key for one in best_first])
    spans = np.array([window_span(one.number, sentences[one.key]) for one in best_first]).reshape(-1, 2)
    for _ in best_first:
        place = int(np.argmax(scores))
        if scores[place] == -np.inf:
            return
        yield best_first[place]
        first, last = spans[place]
        scores -= NEAR * np.exp(-np.abs(spans[:, 0] - first) / FADE) * (keys == keys[place])
        scores[(keys == keys[place]) & (spans[:, 0] <= last) & (first <= spans[:, 1])] = -np.inf


def means(values: Matrix, spans: Places) -> Scores:
    """The mean of the values in each span, first and last inclusive."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    inside: Scores = (sums[spans[:, 1] + 1] - sums[spans[:, 0]]) / (spans[:, 1] + 1 - spans[:, 0])
    return inside


def maxima(values: Matrix, spans: Places) -> Scores:
    """The largest of the values in each span of at most WINDOW_SIZE, first and last inclusive."""
    places = np.minimum(spans[:, :1] + np.arange(WINDOW_SIZE), spans[:, 1:])
    largest: Scores = values[places].max(axis=1).astype(np.float64)
    return largest


def window_cosine(vectors: Matrix, vector: Matrix) -> float:
    """The cosine of a window, the mean of its sentences' vectors, with a question."""
    whole = vectors.mean(axis=0)
    return float(whole @ vector) / max(float(np.linalg.norm(whole)), 1e-12)


def around(values: Matrix, shares: Sequence[float]) -> Matrix:
    """Each value with its neighbours': a weighted mean, `shares[d]` for those at a distance of `d`."""
    reach, count = len(shares) - 1, len(values)
    kernel = np.array([*reversed(shares[1:]), *shares])
    total, weights = (np.convolve(one, kernel)[reach : reach + count] for one in (values, np.ones(count)))
    mean: Matrix = (total / weights).astype(np.float32)
    return mean


def weight_of(words: Matrix) -> Matrix:
    """What sentences of so many words count, up to 1."""
    weights: Matrix = np.minimum(1.0, LEAST + words / FEW_WORDS * (1 - LEAST)).astype(np.float32)
    return weights


def spoken_share(lines: Lines, speakers: Collection[str]) -> Matrix:
    """1 for each sentence of these speakers, weighed by its words, else 0."""
    named = frozenset(speakers)
    spoken = np.array([speaker in named for speaker in lines.speakers], np.float32)
    weighed: Matrix = spoken * weight_of(lines.words)
    return weighed

"""How well windows fit a question: by meaning, by words, and by who speaks. Pure.

Measured on QMSum's validation split (docs/quotes.md); weights are round, and few.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.packing import window_span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aai_gateway.quotes.embedder import Matrix
    from aai_gateway.quotes.library import WindowHit

WHOLE_TEXT = 0.3
"""What a question's whole text counts beside its subject."""
NEIGHBOURS = (1.0, 0.3, 0.09)
"""What a sentence, the ones next to it and those after the next count in what is said there."""
FEW_WORDS, LEAST = 10, 0.2
"""A sentence of fewer words counts for less, down to this share: "Yes, exactly." is like many a question."""
BY_MEANING, BY_WORDS, BY_SPEAKER = 10.0, 3.0, 4.0


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
class ScoredWindow:
    """A window by its transcript's key and its number; `score` is higher for better."""

    key: int
    number: int
    score: float


def query_vector(subject: Matrix, text: Matrix) -> Matrix:
    """The vector that stands for a question, of those of its subject and of its whole text."""
    both = subject + WHOLE_TEXT * text
    vector: Matrix = (both / max(float(np.linalg.norm(both)), 1e-12)).astype(np.float32)
    return vector


def score_windows(
    dense: Sequence[WindowHit],
    lexical: Sequence[WindowHit],
    vector: Matrix,
    speakers: Collection[str],
    *,
    sizes: Mapping[int, int],
    lines: Mapping[int, Lines],
    vectors: Callable[[int], Matrix],
) -> list[ScoredWindow]:
    """The windows that either way of looking found, best first.

    `sizes` are transcripts' numbers of sentences by key, `vectors` gives their sentences' vectors.
    """
    by_words = {(hit.key, hit.number): hit.score for hit in lexical}
    best = max(by_words.values(), default=0.0) or 1.0
    places: dict[int, dict[int, None]] = {}
    for hit in (*dense, *lexical):
        places.setdefault(hit.key, {})[hit.number] = None
    scored = []
    for key, numbers in places.items():
        likeness = around(vectors(key) @ vector * weight_of(lines[key].words))
        found = list(numbers)
        scores = BY_MEANING * means(likeness, found, sizes[key])
        if speakers:
            scores += BY_SPEAKER * means(around(spoken_share(lines[key], speakers)), found, sizes[key])
        scores += BY_WORDS / best * np.array([by_words.get((key, number), 0.0) for number in found])
        scored += [ScoredWindow(key, *one) for one in zip(found, scores.tolist(), strict=True)]
    return sorted(scored, key=lambda one: (-one.score, one.key, one.number))


def means(values: Matrix, numbers: Sequence[int], sentences: int) -> NDArray[np.float64]:
    """The mean of sentences' values in each of these windows of a transcript of so many sentences."""
    spans = np.array([window_span(number, sentences) for number in numbers], np.intp)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    inside: NDArray[np.float64] = (sums[spans[:, 1] + 1] - sums[spans[:, 0]]) / (
        spans[:, 1] + 1 - spans[:, 0]
    )
    return inside


def window_cosine(vectors: Matrix, vector: Matrix) -> float:
    """The cosine of a window, the mean of its sentences' vectors, with a question."""
    whole = vectors.mean(axis=0)
    return float(whole @ vector) / max(float(np.linalg.norm(whole)), 1e-12)


def around(values: Matrix) -> Matrix:
    """Each value with a share of its neighbours': a weighted mean by NEIGHBOURS."""
    total, weights = np.zeros(len(values)), np.zeros(len(values))
    for distance, weight in enumerate(NEIGHBOURS):
        for shift in {distance, -distance}:
            begin, end = max(0, shift), len(values) + min(0, shift)
            if begin < end:
                total[begin:end] += weight * values[begin - shift : end - shift]
                weights[begin:end] += weight
    mean: Matrix = (total / np.maximum(weights, 1e-12)).astype(np.float32)
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

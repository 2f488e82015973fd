"""Where a transcript means what a claim says: runs of one to five sentences, pooled from sentence vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.confidence import Meaning
from aai_gateway.quotes.spoken import Claim, Floats, Ints, Spoken

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

LONGEST_RUN = 5
MOST_RUNS = 5
WORDS_SHARE = 0.1
"""What the words that a run shares with the claim, by weight, add to its likeness, which is the mean of two
cosines: the run's as a whole and its most alike sentence's."""
LONGER = 0.01
"""What each further sentence costs: of two runs as alike, the shorter one says it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Sentences `first` to `last` (places, inclusive), and how they stand to a claim."""

    first: int
    last: int
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Pooled:
    """Every run of one to five sentences: (runs, 2) first and last, and the lengths of its summed vectors.

    `vectors` has a normalised row for each sentence. A run's cosine is the sum of theirs over its length.
    """

    vectors: Matrix
    runs: Ints
    lengths: tuple[Floats, ...]

    @classmethod
    def of(cls, vectors: Matrix) -> Pooled:
        """What all claims on one transcript share."""
        count = len(vectors)
        sums = np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), np.cumsum(vectors, axis=0)])
        sizes = range(1, min(LONGEST_RUN, count) + 1)
        firsts = [np.arange(count - size + 1) for size in sizes]
        runs = [
            np.stack([first, first + size - 1], axis=1) for first, size in zip(firsts, sizes, strict=True)
        ]
        lengths = (np.linalg.norm(sums[size:] - sums[:-size], axis=1) for size in sizes)
        return cls(
            vectors,
            np.concatenate(runs) if runs else np.zeros((0, 2), np.int64),
            tuple(np.maximum(length, 1e-6) for length in lengths),
        )


def nearest_runs(claim: Claim, vector: Floats, spoken: Spoken, pooled: Pooled) -> list[Run]:
    """The runs most like a claim, whose vector is normalised; best first, none sharing a sentence."""
    if not len(pooled.vectors):
        return []
    cosines: Floats = pooled.vectors @ vector
    sums = np.concatenate([np.zeros(1), np.cumsum(cosines, dtype=np.float64)])
    weights = spoken.weights_of([token.text for token in claim.tokens])
    weights = weights / max(float(weights.sum()), 1e-6)
    likeness: list[Floats] = []
    best, bag = cosines, _heard(claim, spoken)
    for number, lengths in enumerate(pooled.lengths):
        if number:
            best = np.maximum(best[:-1], cosines[number:])
            bag = np.maximum(bag[:, :-1], bag[:, 1:])
        run = (sums[number + 1 :] - sums[: -number - 1]) / lengths
        likeness.append((run + best) / 2 + WORDS_SHARE * (weights @ bag) - LONGER * number)
    return _ranked(pooled.runs, np.concatenate(likeness))


def _heard(claim: Claim, spoken: Spoken) -> Floats:
    """(claim's tokens, sentences): the likeness of each token to the sentence's most like it."""
    rows = spoken.likeness([token.text for token in claim.tokens])
    heard = np.zeros((len(rows), len(spoken.sentences)), np.float32)
    if rows and len(spoken.ids):
        begins = np.flatnonzero(np.diff(spoken.token_sentence, prepend=-1))
        alike = np.stack(rows)[:, spoken.ids]
        heard[:, spoken.token_sentence[begins]] = np.maximum.reduceat(alike, begins, axis=1)
    return heard


def _ranked(runs: Ints, likeness: Floats) -> list[Run]:
    """The best runs that share no sentence; the first's margin is over the second, the others' over it."""
    left = likeness.copy()
    chosen: list[int] = []
    while len(chosen) < MOST_RUNS and left.max() > -np.inf:
        best = int(left.argmax())
        chosen.append(best)
        left[(runs[:, 0] <= runs[best, 1]) & (runs[:, 1] >= runs[best, 0])] = -np.inf
    found = []
    for place, best in enumerate(chosen):
        rival = chosen[0] if place else chosen[min(1, len(chosen) - 1)]
        first, last = runs[best].tolist()
        margin = float(likeness[best] - likeness[rival])
        found.append(Run(first, last, Meaning(float(likeness[best]), margin)))
    return found

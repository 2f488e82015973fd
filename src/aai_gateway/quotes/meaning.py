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
"""What the claim's words, by weight, that a run has add to its likeness; cosines of the run, as a whole and of
its most alike sentence, are the rest."""
LONGER = 0.01
"""What each further sentence costs: of two runs as alike, the shorter one says it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Sentences `first` to `last` (places, inclusive), and how they stand to a claim."""

    first: int
    last: int
    meaning: Meaning


def nearest_runs(claim: Claim, vector: Floats, spoken: Spoken, vectors: Matrix) -> list[Run]:
    """The runs most like a claim, best first, not overlapping. `vectors` has a normalised row a sentence."""
    count = len(vectors)
    if not count:
        return []
    sums = np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), np.cumsum(vectors, axis=0)])
    cosines = vectors @ vector
    heard = _heard(claim, spoken)
    weights = spoken.weights_of([token.text for token in claim.tokens])
    weights = weights / max(float(weights.sum()), 1e-6)
    runs: list[tuple[int, int]] = []
    likeness: list[Floats] = []
    best, bag = cosines, heard
    for size in range(1, min(LONGEST_RUN, count) + 1):
        if size > 1:
            best = np.maximum(best[:-1], cosines[size - 1 :])
            bag = np.maximum(bag[:-1], heard[size - 1 :])
        pooled = sums[size:] - sums[:-size]
        run = (pooled @ vector) / np.maximum(np.linalg.norm(pooled, axis=1), 1e-6)
        likeness.append((run + best) / 2 + WORDS_SHARE * (bag @ weights) - LONGER * (size - 1))
        runs += [(first, first + size - 1) for first in range(count - size + 1)]
    return _ranked(np.array(runs), np.concatenate(likeness))


def _heard(claim: Claim, spoken: Spoken) -> Floats:
    """(sentences, claim's tokens): the likeness of each token to the sentence's most like it."""
    rows = spoken.likeness([token.text for token in claim.tokens])
    heard = np.zeros((len(spoken.sentences), max(1, len(rows))), np.float32)
    if not rows or not len(spoken.ids):
        return heard
    sentence = spoken.token_sentence
    alike = np.stack(rows, axis=1)[spoken.ids]
    begins = np.flatnonzero(np.diff(sentence, prepend=-1))
    heard[sentence[begins]] = np.maximum.reduceat(alike, begins, axis=0)
    return heard


def _ranked(runs: Ints, likeness: Floats) -> list[Run]:
    """The best runs that share no sentence; the first one's margin is over the second, the others' over it."""
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

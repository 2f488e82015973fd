"""Where a transcript means what a claim says: runs of one to five sentences, pooled from sentence vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.confidence import Meaning, likeness_of
from aai_gateway.quotes.spoken import Claim, Floats, Spoken

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

LONGEST_RUN = 5
_NEAREST = 10


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
    rows = []
    best, bag = cosines, heard
    for size in range(1, min(LONGEST_RUN, count) + 1):
        if size > 1:
            best = np.maximum(best[:-1], cosines[size - 1 :])
            bag = np.maximum(bag[:-1], heard[size - 1 :])
        pooled = sums[size:] - sums[:-size]
        run = (pooled @ vector) / np.maximum(np.linalg.norm(pooled, axis=1), 1e-6)
        firsts = np.arange(count - size + 1)
        rows.append(np.stack([firsts, firsts + size - 1, run, best, bag @ weights], axis=1))
    return _ranked(np.concatenate(rows))


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


def _ranked(rows: Floats) -> list[Run]:
    found: list[Run] = []
    likeness = np.array(likeness_of(Meaning(rows[:, 2], rows[:, 3], rows[:, 4], 0)))  # type: ignore[arg-type]
    left = likeness.copy()
    chosen: list[int] = []
    while len(chosen) <= _NEAREST and left.max() > -np.inf:
        best = int(left.argmax())
        chosen.append(best)
        left[(rows[:, 0] <= rows[best, 1]) & (rows[:, 1] >= rows[best, 0])] = -np.inf
    for place, best in enumerate(chosen[:_NEAREST]):
        rival = likeness[chosen[1 if place == 0 else 0]] if len(chosen) > 1 else 0.0
        first, last, run, sentence, overlap = rows[best].tolist()
        margin = float(likeness[best] - rival)
        found.append(Run(int(first), int(last), Meaning(run, sentence, overlap, margin)))
    return found

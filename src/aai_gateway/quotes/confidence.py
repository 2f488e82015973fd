"""What was found about a claim as one probability that it was said there.

Two logistic functions: of the words alone where they align, and of words and meaning where they do not. The
coefficients are rounded fits on QMSum's validation split, over the claims of
`scripts/eval quotes --task locating`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SAID = 0.5
"""From this confidence on a claim counts as said; below, it is not found."""
WORDING_DECIDES = 0.5
"""From this alignment score on, a claim that is not confirmed is contradicted, whatever it means."""
FULL_MARGIN = 0.2
"""To be further ahead of the best other place says no more."""


@dataclass(frozen=True, slots=True)
class Wording:
    """How a claim's words stand at a place.

    `score` is the alignment's, 1 for the same words. `matched` is the summed weight of the claim's words
    that are there: how much there was to agree on. `contradicted` is the share of the differences, 0 to 1,
    that change what is claimed: another number, a "not" more or less, another name.
    """

    score: float
    matched: float
    contradicted: float


@dataclass(frozen=True, slots=True)
class Meaning:
    """How a claim's meaning stands at a place: its `likeness`, and how far the best other place is behind."""

    likeness: float
    margin: float


def of_wording(wording: Wording) -> float:
    """The probability that a claim was said where its words are aligned."""
    return _logistic(
        -6.0 + 12.0 * wording.score + 0.7 * math.log1p(wording.matched) - 12.0 * wording.contradicted**2
    )


def of_meaning(meaning: Meaning) -> float:
    """The probability that a place says what a claim says, in other words."""
    return _logistic(-7.8 + 6.4 * meaning.likeness + 16.0 * min(meaning.margin, FULL_MARGIN))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))

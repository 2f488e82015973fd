"""Which of many good quotes to give: the best, and not all of the same minute. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aai_gateway.quotes.passages import Quote, overlap

FAVOUR = 0.5
"""What the last of a list is worth beside its first: a model's order says something, not everything."""
CROWDING = 0.6
"""What is taken off a quote right beside one that is chosen already."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A quote and what it is worth, 0 to 1."""

    quote: Quote
    merit: float


def merit_in_order(place: int, count: int, confidence: float) -> float:
    """What the quote at `place` (from 0) of `count` in a model's order of preference is worth."""
    return confidence * (1 - (1 - FAVOUR) * place / max(1, count))


def choose(candidates: Sequence[Candidate], n: int, duration: int) -> list[Quote]:
    """The `n` best of one recording of `duration` ms, best first: worth most, and far from those before.

    None overlaps another. Near is within the `n`th part of the recording; of equals, the first is taken.
    """
    reach = max(1.0, duration / max(1, n) / 2)
    left = list(candidates)
    chosen: list[Quote] = []
    while left and len(chosen) < n:
        best = max(left, key=lambda one: one.merit * _room(one.quote, chosen, reach))
        chosen.append(best.quote)
        left = [one for one in left if not overlap(one.quote, best.quote)]
    return chosen


def _room(quote: Quote, chosen: Sequence[Quote], reach: float) -> float:
    nearest = min((_distance(quote, other) for other in chosen), default=math.inf)
    return 1 - CROWDING * math.exp(-nearest / reach)


def _distance(one: Quote, other: Quote) -> int:
    """The ms between two quotes."""
    return max(one.start - other.end, other.start - one.end, 0)

"""How far an aligned claim reaches: to a part said on the other side, and to a sentence's first word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aai_gateway.quotes.alignment import REPLACED, Alignment, aligned_in
from aai_gateway.quotes.spoken import Claim, Floats, Spoken

FEWEST_MOVED = 4
"""Tokens that a part must have to be looked for elsewhere."""
MOVED_SCORE = 0.5
"""From this score on a part of a claim counts as said on the other side."""
LOST_AT_EDGE = 1
"""Words, beside fillers, that a claim may have lost at a sentence's edge: it reaches to the edge then."""


def with_moved_part(claim: Claim, alignment: Alignment, spoken: Spoken) -> Alignment:
    """The alignment, with the claim's beginning or end where that was said after or before the rest."""
    weights = spoken.weights_of([token.text for token in claim.tokens])
    gains = _gains(alignment, weights)
    moved = _not_there(gains)
    both = zip(alignment.pairs, alignment.alike, strict=True)
    kept = [(pair, alike) for pair, alike in both if pair[0] not in moved]
    if claim.breaks or len(moved) < FEWEST_MOVED or not kept:
        return alignment
    inside: Floats = weights[moved.start : moved.stop]
    part = Claim(claim.text, claim.tokens[moved.start : moved.stop], frozenset())
    reach = 2 * len(moved) + 4
    begin = kept[-1][0][1] + 1 if moved.start == 0 else kept[0][0][1] - reach
    grid = np.arange(begin, begin + reach)[None, :]
    grid = np.where((grid >= 0) & (grid < len(spoken.ids)), grid, -1)
    found = aligned_in(grid, part, spoken, inside)
    if not found or found[0].score < MOVED_SCORE:
        return alignment
    kept += [
        ((number + moved.start, there), alike)
        for (number, there), alike in zip(found[0].pairs, found[0].alike, strict=True)
    ]
    gained = float(inside.sum()) * found[0].score - float(gains[moved.start : moved.stop].sum())
    score = min(1.0, alignment.score + gained / float(weights.sum()))
    places = [spoken.tokens[there] for (_, there), _ in kept]
    first, last = min(token.first for token in places), max(token.last for token in places)
    pairs, alike = zip(*sorted(kept), strict=True)
    return Alignment(first, last, score, pairs, alike)


def _gains(alignment: Alignment, weights: Floats) -> Floats:
    """What each of the claim's tokens brings, or costs where it is not there."""
    gains: Floats = -REPLACED * weights
    for (number, _), alike in zip(alignment.pairs, alignment.alike, strict=True):
        if alike:
            gains[number] = weights[number] * alike
    return gains


def _not_there(gains: Floats) -> range:
    """The beginning or the end of the claim that costs more than it brings, the longer of the two."""
    sums = np.cumsum(gains)
    head, tail = int(sums.argmin()) + 1 if sums.min() < 0 else 0, int(sums.argmax()) + 1
    return range(head) if head >= len(gains) - tail else range(tail, len(gains))


def to_sentence_edges(alignment: Alignment, spoken: Spoken) -> Alignment:
    """The alignment as far as a sentence's edge when only fillers, and LOST_AT_EDGE words, are left to it."""
    begin, end = alignment.heard
    return replace(
        alignment,
        first=min(alignment.first, spoken.tokens[_reached(begin, -1, spoken)].first),
        last=max(alignment.last, spoken.tokens[_reached(end, 1, spoken)].last),
    )


def _reached(place: int, step: int, spoken: Spoken) -> int:
    """The sentence's outermost token in a direction, or `place` when too many words are before it."""
    sentence, lost, at = spoken.token_sentence[place], 0, place
    while 0 <= at + step < len(spoken.tokens) and spoken.token_sentence[at + step] == sentence:
        at += step
        lost += not spoken.filler[at]
        if lost > LOST_AT_EDGE:
            return place
    return at

"""Where a claim's words are in a transcript: token alignment, local in the transcript, global in the claim.

Rare tokens vote for the places where the claim may begin; inside the few best an exact alignment decides.
Each token of the claim is matched, replaced or left out, each token of the transcript between them matched or
skipped, at a cost by its weight: a rare word costs more than a common one, a filler next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np

from aai_gateway.quotes.spoken import Claim, Floats, Ints, Spoken

REGIONS = 6
"""Places that are looked at closely."""
LIKELY = 0.1
"""Below this score a place is not worth a closer look, if there is a better one."""
REPLACED = 0.3
"""What a claim's token costs, of its weight, where another stands in the transcript."""
LEFT_OUT = 0.35
"""What a claim's token costs that stands for nothing; and one against a filler."""
SKIPPED = 0.3
"""What a token of the transcript costs, of its weight, that the claim does not have."""
ELLIPSIS_TOKENS = 120
"""As many tokens an ellipsis leaves out for nothing."""
_ELLIPSIS_COST = 0.02
_FURTHER = 0.001
_SLACK = 8


@dataclass(frozen=True, slots=True)
class Alignment:
    """A claim aligned to a place: the first and last word (numbers, inclusive) of the transcript.

    `score` is 1 when every token is there and none between, and falls below 0 for what was not said. `pairs`
    are the (claim, transcript) numbers of the tokens that stand for each other, `alike` the likeness of each
    pair (0 when one replaces the other).
    """

    first: int
    last: int
    score: float
    pairs: tuple[tuple[int, int], ...]
    alike: tuple[float, ...]

    @property
    def heard(self) -> tuple[int, int]:
        """The first and last of the transcript's tokens that stand for one of the claim's."""
        there = [place for _, place in self.pairs]
        return min(there), max(there)


def align(claim: Claim, spoken: Spoken) -> list[Alignment]:
    """The likeliest places of a claim, best first, not overlapping; none when no word of it was said."""
    if not claim.tokens or not spoken.tokens:
        return []
    weights = spoken.weights_of([token.text for token in claim.tokens])
    found = same_tokens(claim, spoken)
    regions = _regions(claim, spoken, weights)
    if len(regions):
        found += aligned_in(regions, claim, spoken, weights)
    return apart(found, spoken)


def same_tokens(claim: Claim, spoken: Spoken) -> list[Alignment]:
    """Every place that has exactly the claim's tokens, in the order of the transcript."""
    texts = [token.text for token in claim.tokens]
    if claim.breaks or any(text not in spoken.vocabulary for text in texts):
        return []
    wanted = np.array([spoken.vocabulary[text] for text in texts], np.int64)
    rarest = min(range(len(texts)), key=lambda place: len(spoken.places(texts[place])))
    starts = spoken.places(texts[rarest]) - rarest
    starts = starts[(starts >= 0) & (starts + len(texts) <= len(spoken.ids))]
    for offset, number in enumerate(wanted):
        starts = starts[spoken.ids[starts + offset] == number]
    return [
        Alignment(
            spoken.tokens[start].first,
            spoken.tokens[start + len(texts) - 1].last,
            1.0,
            tuple((place, start + place) for place in range(len(texts))),
            (1.0,) * len(texts),
        )
        for start in starts.tolist()
    ]


def _regions(claim: Claim, spoken: Spoken, weights: Floats) -> Ints:
    """(regions, tokens) numbers of the transcript's tokens, of equal length; -1 beyond either end."""
    texts = [token.text for token in claim.tokens]
    count = len(texts)
    slack = _SLACK + count // 2
    bounds = [0, *sorted(claim.breaks), count]
    starts: list[int] = []
    for begin, end in pairwise(bounds):
        starts += [
            start - ELLIPSIS_TOKENS * sum(one <= begin for one in claim.breaks)
            for start in _voted(texts[begin:end], weights[begin:end], spoken)
        ]
    length = count + 2 * slack + 2 * ELLIPSIS_TOKENS * len(claim.breaks)
    grid = np.array(starts, np.int64)[:, None] - slack + np.arange(length)
    return np.where((grid >= 0) & (grid < len(spoken.ids)), grid, -1)


def _voted(texts: Sequence[str], weights: Floats, spoken: Spoken) -> list[int]:
    """Where these tokens may begin: each votes, by its weight, for its places less its number among them."""
    count = len(texts)
    places = [spoken.places(text) - number + count for number, text in enumerate(texts)]
    votes = np.bincount(
        np.concatenate(places),
        np.repeat(weights**2, [len(place) for place in places]),
        minlength=len(spoken.ids) + count + 1,
    )
    reach = 2 + count // 5
    summed = np.concatenate([np.zeros(reach + 1), np.cumsum(votes), np.full(reach, votes.sum())])
    near = summed[2 * reach + 1 :] - summed[: -2 * reach - 1]
    found: list[int] = []
    for _ in range(REGIONS):
        best = int(near.argmax())
        if near[best] <= 0:
            break
        # The middle of the votes, where several starts see the same ones.
        ties = np.flatnonzero(near[best : best + 2 * reach + 1] == near[best])
        found.append(best + int(ties[-1]) // 2 - count)
        near[max(0, best - reach - count // 2) : best + 2 * reach + count // 2 + 1] = 0
    return found


def aligned_in(regions: Ints, claim: Claim, spoken: Spoken, weights: Floats) -> list[Alignment]:
    """The best alignments in (regions, tokens) numbers of tokens, -1 for none: one a region, best first."""
    rows, scores, jumps = _table(claim, spoken, weights, regions)
    ends = rows[-1].argmax(axis=1)
    reached = rows[-1].max(axis=1) / float(weights.sum())
    found = []
    for region in np.flatnonzero(reached >= min(LIKELY, reached.max())).tolist():
        positions, end, score = regions[region], int(ends[region]), float(reached[region])
        path = _traced(region, end, rows, scores, jumps, weights)
        pairs = [(i, int(positions[j])) for i, j in path if positions[j] >= 0]
        if pairs:
            alike = [max(0.0, float(scores[i][region][j] / weights[i])) for i, j in path if positions[j] >= 0]
            first, last = spoken.tokens[pairs[0][1]].first, spoken.tokens[pairs[-1][1]].last
            found.append(Alignment(first, last, score, tuple(pairs), tuple(alike)))
    return sorted(found, key=lambda one: -one.score)


def _table(
    claim: Claim, spoken: Spoken, weights: Floats, regions: Ints
) -> tuple[list[Floats], list[Floats], dict[int, Floats]]:
    """Best scores after each claim token: (regions, tokens + 1) rows; each pair's score; rows after jumps.

    `rows[i][r, j]` is the best of the first i claim tokens against the region's tokens before j.
    """
    inside = regions >= 0
    ids = spoken.ids[regions]
    # Beyond the transcript's ends nothing can be matched, and to skip costs as much as anything.
    passed = np.where(inside, spoken.weights[regions], 1.0) * SKIPPED
    cost = np.zeros((len(regions), regions.shape[1] + 1), np.float32)
    np.cumsum(passed, axis=1, out=cost[:, 1:])
    filler = np.where(spoken.filler[regions] | ~inside, -LEFT_OUT - 0.05, -REPLACED).astype(np.float32)
    row = np.zeros_like(cost)
    rows, scores, jumps = [row], [], {}
    for number, likeness in enumerate(spoken.likeness([token.text for token in claim.tokens])):
        if number in claim.breaks:
            row = jumps[number] = _jumped(row)
        alike = np.where(inside, likeness[ids], 0)
        score = np.where(alike > 0, alike, filler) * weights[number]
        row = row - LEFT_OUT * weights[number]
        np.maximum(row[:, 1:], (jumps.get(number, rows[-1])[:, :-1] + score), out=row[:, 1:])
        row += cost
        np.maximum.accumulate(row, axis=1, out=row)
        row -= cost
        rows.append(row)
        scores.append(score)
    return rows, scores, jumps


def _jumped(row: Floats) -> Floats:
    """A row in which up to ELLIPSIS_TOKENS tokens were skipped for next to nothing, the fewer the better."""
    slope = _FURTHER * np.arange(row.shape[1], dtype=np.float32)
    best: Floats = row + slope
    width = 1
    while width < ELLIPSIS_TOKENS:
        step = min(width, ELLIPSIS_TOKENS - width)
        best[:, step:] = np.maximum(best[:, step:], best[:, :-step].copy())
        width += step
    jumped: Floats = np.maximum(row, best - slope - _ELLIPSIS_COST)
    return jumped


def _traced(
    region: int,
    end: int,
    rows: Sequence[Floats],
    scores: Sequence[Floats],
    jumps: dict[int, Floats],
    weights: Floats,
) -> list[tuple[int, int]]:
    """The (claim, region) numbers of the tokens that stand for each other, on the way to the best score."""
    path, i, j = [], len(rows) - 1, end
    while i > 0:
        number = i - 1
        here = float(rows[i][region][j])
        before = jumps.get(number, rows[number])[region]
        if j > 0 and abs(float(before[j - 1] + scores[number][region][j - 1]) - here) < 1e-3:
            path.append((number, j - 1))
            i, j = number, j - 1
        elif abs(float(before[j] - LEFT_OUT * weights[number]) - here) < 1e-3:
            i = number
        else:
            j -= 1
            continue
        if number in jumps:
            j = _before_jump(rows[number][region], j, float(before[j]))
    return path[::-1]


def _before_jump(row: Floats, place: int, value: float) -> int:
    if abs(float(row[place]) - value) < 1e-3:
        return place
    begin = max(0, place - ELLIPSIS_TOKENS + 1)
    inside = row[begin : place + 1]
    return begin + int((inside + _FURTHER * np.arange(len(inside))).argmax())


class Words(Protocol):
    """Consecutive words: the numbers of the first and the last, inclusive."""

    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...


T = TypeVar("T", bound=Words)


def apart(best_first: Iterable[T], spoken: Spoken) -> list[T]:
    """Those that share no word with one before."""
    taken, kept = bytearray(len(spoken.words)), []
    for one in best_first:
        if not any(taken[one.first : one.last + 1]):
            taken[one.first : one.last + 1] = bytes([1]) * (one.last - one.first + 1)
            kept.append(one)
    return kept

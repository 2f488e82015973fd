"""Where a quote was said: every way gets the same claims, and the tables tell how it did."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from aai_gateway.quotes.matching import Found, find_quotes
from aai_gateway.quotes.meaning import Pooled
from aai_gateway.quotes.spoken import Spoken
from evaluation.claims import CUT, OTHER_WORDS, REWORDED, Case, cases_of
from evaluation.distortions import ON_THE_SPAN
from evaluation.meetings import Meeting
from evaluation.other_ways import OTHER_WAYS, Prepared, Span
from evaluation.tables import Table
from evaluation.vectors import KeptVectors

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

BINS = 10
TRUE_BY_RULE = (*ON_THE_SPAN, CUT)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a way answered to a claim: the spans, best first; the confidence in the first, or in the hint."""

    case: Case
    spans: tuple[Span, ...]
    hint: Span | None = None
    confidence: float = 1.0
    ms: float = 0.0

    @property
    def iou(self) -> float:
        """Of the first span with the truth, over time; 0 without either."""
        return iou(self.spans[0], self.case.truth) if self.spans and self.case.truth else 0.0

    @property
    def nearest_iou(self) -> float:
        """As `iou`, of the hint where nothing was found."""
        nearest = self.spans[0] if self.spans else self.hint
        return iou(nearest, self.case.truth) if nearest and self.case.truth else 0.0

    @property
    def nearest_is_right(self) -> bool:
        """Whether the first span, or the hint where nothing was found, is the place."""
        return self.nearest_iou >= 0.5


def run(meetings: Sequence[Meeting]) -> list[Table]:
    """Locate every claim in every way."""
    kept = KeptVectors()
    cases = cases_of(meetings)
    ours = [one for number in range(len(meetings)) for one in _ours(meetings, number, cases, kept)]
    others: dict[str, list[Outcome]] = {name: [] for name in OTHER_WAYS}
    for number, meeting in enumerate(meetings):
        print(f"… other ways: meeting {number + 1} of {len(meetings)}", file=sys.stderr, flush=True)
        prepared = Prepared.of(meeting, kept)
        said = [case for case in cases if case.meeting == number and case.truth]
        for name, way in OTHER_WAYS.items():
            spans = way([case.claim for case in said], prepared, kept)
            others[name] += [Outcome(case, tuple(found)) for case, found in zip(said, spans, strict=True)]
    return [_ways_table(ours, others), _kinds_table(ours), _refused_table(ours), _whole_table(ours)]


def _ours(
    meetings: Sequence[Meeting], number: int, cases: Sequence[Case], kept: KeptVectors
) -> list[Outcome]:
    """One claim at a time, timed without the embedding."""
    print(f"… meeting {number + 1} of {len(meetings)}", file=sys.stderr, flush=True)
    mine = [case for case in cases if case.meeting == number]
    spoken = Spoken.of(meetings[number].sentences)
    vectors = Pooled.of(kept.encode([sentence.text for sentence in meetings[number].sentences]))
    clock = Encoding(kept)
    outcomes = []
    for case in mine:
        begun = time.perf_counter()
        (found,) = find_quotes([case.claim], spoken, encode=clock.encode, vectors=vectors)
        ms = 1000 * (time.perf_counter() - begun - clock.taken())
        if isinstance(found, Found):
            spans = tuple((place.start, place.end) for place in found.places)
            outcomes.append(Outcome(case, spans, None, found.places[0].confidence, ms))
        else:
            hint = (found.nearest.start, found.nearest.end) if found.nearest else None
            outcomes.append(Outcome(case, (), hint, found.confidence, ms))
    return outcomes


class Encoding:
    """Encodes, and tells how many seconds that took since it was last asked."""

    def __init__(self, kept: KeptVectors) -> None:
        self._kept = kept
        self._seconds = 0.0

    def encode(self, texts: Sequence[str]) -> Matrix:
        """As KeptVectors does."""
        begun = time.perf_counter()
        vectors = self._kept.encode(texts)
        self._seconds += time.perf_counter() - begun
        return vectors

    def taken(self) -> float:
        """The seconds since the last call."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds


def iou(one: Span, other: Span) -> float:
    """The time that two spans share, of the time that either has."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0, shared) / (max(one[1], other[1]) - min(one[0], other[0]))


def calibration_error(outcomes: Iterable[Outcome]) -> float:
    """Expected calibration error over ten bins: how far confidence is from how often the place is right.

    A claim that was not found counts with the hint that it was given.
    """
    pairs = [(one.confidence, one.nearest_is_right) for one in outcomes]
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for confidence, right in pairs:
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, right))
    return sum(abs(sum(confidence - right for confidence, right in inside)) for inside in bins) / max(
        1, len(pairs)
    )


def _ways_table(ours: Sequence[Outcome], others: dict[str, list[Outcome]]) -> Table:
    columns = (
        "",
        "distorted: IoU",
        "hit@1",
        "reworded: IoU",
        "hit@1",
        "touched",
        "other words: hit@1",
        "touched",
        "results overlap",
    )
    rows = []
    for name, outcomes in {"this": ours, **others}.items():
        ruled = [one for one in outcomes if one.case.kind in TRUE_BY_RULE]
        reworded = [one for one in outcomes if one.case.kind == REWORDED]
        other_words = [one for one in outcomes if one.case.kind == OTHER_WORDS]
        overlapping = _mean(
            any(iou(a, b) > 0 for a, b in combinations(one.spans, 2)) for one in outcomes if one.case.truth
        )
        hinted = f"{_mean(one.nearest_is_right for one in other_words):.3f}" if other_words else "–"
        located = (*_located(ruled), *_located(reworded), _touched(reworded), hinted, _touched(other_words))
        rows.append((name, *located, f"{overlapping:.0%}"))
    return Table("Locating quotes, every way in one run", columns, tuple(rows))


def _kinds_table(ours: Sequence[Outcome]) -> Table:
    columns = (
        "claim",
        "claims",
        "hit@1",
        "mean IoU",
        "start error, ms",
        "end error, ms",
        "kept",
        "hit@1 with hints",
    )
    rows = []
    for kind in (*TRUE_BY_RULE, "all of these", REWORDED, OTHER_WORDS):
        mine = [one for one in ours if one.case.kind in (TRUE_BY_RULE if kind == "all of these" else (kind,))]
        if mine:
            hits = [one for one in mine if one.iou >= 0.5]
            starts = _mean(abs(one.spans[0][0] - one.case.truth[0]) for one in hits if one.case.truth)
            ends = _mean(abs(one.spans[0][1] - one.case.truth[1]) for one in hits if one.case.truth)
            iou_text, hit = _located(mine)
            keeping = f"{_mean(bool(one.spans) for one in mine):.1%}"
            hinted = f"{_mean(one.nearest_is_right for one in mine):.3f}"
            figures = (str(len(mine)), hit, iou_text, f"{starts:.0f}", f"{ends:.0f}", keeping, hinted)
            rows.append((kind, *figures))
    return Table("What was said, by what became of it", columns, tuple(rows))


def _refused_table(ours: Sequence[Outcome]) -> Table:
    kinds = list(dict.fromkeys(one.case.kind for one in ours if one.case.truth is None))
    plain = [kind for kind in kinds if not kind.startswith("said, but")]
    rows = []
    for name, of in (
        *((kind, (kind,)) for kind in plain),
        ("all of these", tuple(plain)),
        *((kind, (kind,)) for kind in kinds if kind not in plain),
    ):
        mine = [one for one in ours if one.case.kind in of]
        rows.append((name, str(len(mine)), f"{_mean(not one.spans for one in mine):.2%}"))
    return Table("What was not said", ("claim", "claims", "refused"), tuple(rows))


def _whole_table(ours: Sequence[Outcome]) -> Table:
    times = sorted(one.ms for one in ours)
    rows = (
        ("claims", str(len(ours))),
        ("p50, ms a claim, without embedding", f"{times[len(times) // 2]:.1f}"),
        ("p95, ms a claim, without embedding", f"{times[len(times) * 95 // 100]:.1f}"),
        ("expected calibration error, ten bins", f"{calibration_error(ours):.3f}"),
    )
    return Table("Speed and confidence", ("", "figure"), rows)


def _located(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """Mean IoU and hit@1 (an IoU of .5 at least)."""
    if not outcomes:
        return "–", "–"
    return f"{_mean(one.iou for one in outcomes):.3f}", f"{_mean(one.iou >= 0.5 for one in outcomes):.3f}"


def _touched(outcomes: Sequence[Outcome]) -> str:
    """How often the first span, or the hint, has any time in common with the truth."""
    return f"{_mean(one.nearest_iou > 0 for one in outcomes):.3f}" if outcomes else "–"


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept) if kept else 0.0

"""What a search finds, and how overlapping findings are thinned. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Quote:
    """A passage of a transcript: the transcript's own words, `start` and `end` in ms.

    `confidence` of a quote that somebody claims (`claim`, in their wording) is the probability that
    this is it, and `kind` how it was matched: `verbatim`, `close` or `paraphrase`. Of a passage that a search
    found it is the cosine with what was looked for, clamped to 0..1. `first` and `last` are sentence numbers,
    from 0, inclusive. `before` and `after` are the sentences around it.
    """

    transcript_id: str
    region: str
    start: int
    end: int
    text: str
    speakers: tuple[str, ...]
    confidence: float
    first: int
    last: int
    claim: str | None = None
    before: str = ""
    after: str = ""
    kind: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the confidence to four digits."""
        return {**asdict(self), "speakers": list(self.speakers), "confidence": round(self.confidence, 4)}


def confidence_of(cosine: float) -> float:
    """A cosine as a confidence: clamped to 0..1, opposite meaning counts as no likeness."""
    return min(1.0, max(0.0, float(cosine)))


def overlap(one: Quote, other: Quote) -> bool:
    """Whether two passages share a sentence or a moment of the same recording."""
    if one.transcript_id != other.transcript_id:
        return False
    shares_sentence = one.first <= other.last and other.first <= one.last
    return shares_sentence or (one.start < other.end and other.start < one.end)


def without_overlaps(best_first: Iterable[Quote], limit: int) -> list[Quote]:
    """The first `limit` passages of which none overlaps an earlier one."""
    kept: list[Quote] = []
    for quote in best_first:
        if len(kept) == limit:
            break
        if not any(overlap(quote, other) for other in kept):
            kept.append(quote)
    return kept

"""Find where claims were said: by their words, else by their meaning, else not at all.

What is returned is always the transcript's own words. `verbatim` has the claim's words and no others, `close`
most of them in their order, `paraphrase` says the same in whole sentences of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aai_gateway.quotes.alignment import LIKELY, Alignment, align, apart
from aai_gateway.quotes.confidence import SAID, WORDING_DECIDES, Wording, of_meaning, of_wording
from aai_gateway.quotes.contradictions import contradicted
from aai_gateway.quotes.extents import to_sentence_edges, with_moved_part
from aai_gateway.quotes.meaning import Pooled, Run, nearest_runs
from aai_gateway.quotes.spoken import Claim, Spoken
from aai_gateway.quotes.windows import Sentence

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

Encode: TypeAlias = "Callable[[Sequence[str]], Matrix]"
Kind: TypeAlias = Literal["verbatim", "close", "paraphrase"]

_QUOTATION_MARKS = "\"'“”‘’«» "


@dataclass(frozen=True, slots=True)
class Match:
    """Where a claim was said. `start` and `end` in ms, of the first and last word of `text`.

    `first` and `last` are the sentences' own numbers (`Sentence.index`), inclusive; `before` and `after` the
    text of the sentences around them, empty at the transcript's ends.
    `confidence` is the probability that this is it.
    """

    claim: str
    kind: Kind
    start: int
    end: int
    text: str
    speakers: tuple[str, ...]
    first: int
    last: int
    before: str
    after: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Found:
    """A claim that was said: every place, best first, none overlapping another."""

    claim: str
    places: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """A claim that nobody said, as far as can be told; `nearest` is what comes nearest, only as a hint."""

    claim: str
    nearest: Match | None
    confidence: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; confidences to four digits."""
        near = self.nearest
        hint = near and {
            **{"start": near.start, "end": near.end, "text": near.text},
            "confidence": round(near.confidence, 4),
        }
        return {"claim": self.claim, "nearest": hint}


@dataclass(frozen=True, slots=True)
class _Place:
    """Words `first` to `last` of the transcript, inclusive."""

    first: int
    last: int
    kind: Kind
    confidence: float
    score: float = 0.0
    """The alignment's, where the place was found by words."""

    @property
    def is_decided(self) -> bool:
        """Whether the words say enough: the claim was said here, or it contradicts what was."""
        return self.confidence >= SAID or self.score >= WORDING_DECIDES


def find_quotes(
    claims: Sequence[str],
    sentences: Sequence[Sentence] | Spoken,
    *,
    encode: Encode | None = None,
    vectors: Matrix | Pooled | None = None,
) -> list[Found | NotFound]:
    """For each claim, in order, where it was said, or that it was not.

    For many calls on one transcript, prepare `sentences` with `Spoken.of` and `vectors` with `Pooled.of`.
    `encode` gives a normalised vector for each text; without it nothing is found by meaning. `vectors` are
    those of the sentences, a row each; without them the sentences are encoded, if a claim needs it. Raises
    what `encode` raises, and ValueError when `vectors` has not a row for each sentence.
    """
    spoken = Spoken.of(sentences)
    if isinstance(vectors, Pooled):
        pooled: Pooled | None = vectors
    else:
        pooled = None if vectors is None else Pooled.of(vectors)
    if pooled is not None and len(pooled.vectors) != len(spoken.sentences):
        raise ValueError(
            f"{len(pooled.vectors)} vectors for {len(spoken.sentences)} sentences: not one each."
        )
    prepared = [Claim.of(claim) for claim in claims]
    places = [by_words(claim, spoken) for claim in prepared]
    unsaid = [
        number
        for number, found in enumerate(places)
        if prepared[number].tokens and not any(place.is_decided for place in found)
    ]
    if encode is not None and unsaid and spoken.words:
        asked = encode([claims[number] for number in unsaid])
        if pooled is None:
            pooled = Pooled.of(encode([sentence.text for sentence in spoken.sentences]))
        for number, vector in zip(unsaid, asked, strict=True):
            runs = nearest_runs(prepared[number], vector, spoken, pooled)
            places[number] = _merged(places[number], [_meant(run, spoken) for run in runs], spoken)
    return [_result(claim, found, spoken) for claim, found in zip(claims, places, strict=True)]


def by_words(claim: Claim, spoken: Spoken) -> list[_Place]:
    """The places that a claim's words align with, likeliest first, not overlapping."""
    exact = spoken.written(claim.text) or spoken.written(claim.text.strip(_QUOTATION_MARKS))
    written = [_Place(first, last, "verbatim", 1.0) for first, last in exact]
    aligned = [_said(claim, one, spoken) for one in align(claim, spoken)]
    return _merged(written, sorted(aligned, key=lambda place: -place.confidence), spoken)


def _said(claim: Claim, alignment: Alignment, spoken: Spoken) -> _Place:
    same = len(alignment.pairs) == len(claim.tokens) and min(alignment.alike) == 1
    begin, end = alignment.heard
    if same and end - begin + 1 == len(claim.tokens) and not claim.breaks:
        return _Place(alignment.first, alignment.last, "verbatim", 1.0)
    if alignment.score >= LIKELY:
        alignment = with_moved_part(claim, alignment, spoken)
    confidence = of_wording(wording_of(claim, alignment, spoken))
    reached = to_sentence_edges(alignment, spoken)
    return _Place(reached.first, reached.last, "close", confidence, alignment.score)


def wording_of(claim: Claim, alignment: Alignment, spoken: Spoken) -> Wording:
    """How a claim's words stand where they are aligned."""
    weights = spoken.weights_of([token.text for token in claim.tokens])
    matched = sum(
        float(weights[number]) * alike
        for (number, _), alike in zip(alignment.pairs, alignment.alike, strict=True)
    )
    return Wording(alignment.score, matched, contradicted(claim, alignment, spoken))


def _meant(run: Run, spoken: Spoken) -> _Place:
    first, last = spoken.words_between(run.first, run.last)
    return _Place(first, last, "paraphrase", of_meaning(run.meaning))


def _merged(better: Sequence[_Place], others: Sequence[_Place], spoken: Spoken) -> list[_Place]:
    """All that do not overlap one that is likelier; of two as likely, the one of `better`."""
    return apart(sorted([*better, *others], key=lambda one: -one.confidence), spoken)


def _result(claim: str, places: Sequence[_Place], spoken: Spoken) -> Found | NotFound:
    said = [_match(claim, place, spoken) for place in places if place.confidence >= SAID]
    if said:
        return Found(claim, tuple(said))
    nearest = _match(claim, places[0], spoken) if places else None
    return NotFound(claim, nearest, nearest.confidence if nearest else 0.0)


def _match(claim: str, place: _Place, spoken: Spoken) -> Match:
    words = spoken.words[place.first : place.last + 1]
    begin, end = int(spoken.sentence_of[place.first]), int(spoken.sentence_of[place.last])
    inside = spoken.sentences[begin : end + 1]
    return Match(
        claim=claim,
        kind=place.kind,
        # Channels can talk over one another: neither the first nor the last word need be the outermost.
        start=min(word.start for word in words),
        end=max(word.end for word in words),
        text=spoken.text_of(place.first, place.last),
        speakers=tuple(dict.fromkeys(one.speaker for one in inside if one.speaker is not None)),
        first=inside[0].index,
        last=inside[-1].index,
        before=spoken.sentences[begin - 1].text if begin else "",
        after=spoken.sentences[end + 1].text if end + 1 < len(spoken.sentences) else "",
        confidence=place.confidence,
    )

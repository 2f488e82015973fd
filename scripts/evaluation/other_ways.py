"""Other ways of locating a quote, to compare with: the guide's, one vector a quote, sentence windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.windows import Sentence, Window, windows
from evaluation.meetings import Meeting
from evaluation.vectors import KeptVectors

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

NEIGHBOURS = 3
"""Sentences on either side that LlamaIndex's sentence window has."""
ANSWER_QUOTES = 3
"""Quotes in a model's answer, which the guide embeds as one text."""

Span = tuple[int, int]
"""start and end in ms"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A meeting's windows of five, overlapping by two, and its sentences, with their vectors."""

    windows: Sequence[Window]
    window_vectors: Matrix
    sentences: Sequence[Sentence]
    sentence_vectors: Matrix

    @classmethod
    def of(cls, meeting: Meeting, kept: KeptVectors) -> Prepared:
        """What the ways need of a meeting."""
        made = windows(meeting.sentences)
        return cls(
            made,
            kept.encode([window.text for window in made]),
            meeting.sentences,
            kept.encode([sentence.text for sentence in meeting.sentences]),
        )


def guide(claims: Sequence[str], prepared: Prepared, kept: KeptVectors) -> list[list[Span]]:
    """AssemblyAI's guide: an answer of several quotes is one vector, its nearest three windows the quotes.

    Each quote of the answer gets the window of the same rank.
    """
    found = []
    for begin in range(0, len(claims), ANSWER_QUOTES):
        answer = claims[begin : begin + ANSWER_QUOTES]
        (vector,) = kept.encode(["\n".join(answer)])
        order = np.argsort(-(prepared.window_vectors @ vector))[: len(answer)]
        found += [[_span(prepared.windows[int(place)])] for place in order]
        found += [[] for _ in range(len(answer) - len(order))]
    return found


def one_vector(claims: Sequence[str], prepared: Prepared, kept: KeptVectors) -> list[list[Span]]:
    """Each quote is a vector; its three nearest windows of five."""
    likeness = kept.encode(claims) @ prepared.window_vectors.T
    return [[_span(prepared.windows[int(place)]) for place in np.argsort(-row)[:3]] for row in likeness]


def sentence_windows(claims: Sequence[str], prepared: Prepared, kept: KeptVectors) -> list[list[Span]]:
    """LlamaIndex's sentence windows: the three nearest sentences, each with its neighbours on either side."""
    likeness = kept.encode(claims) @ prepared.sentence_vectors.T
    said = prepared.sentences
    return [
        [
            (
                said[max(0, place - NEIGHBOURS)].start,
                said[min(len(said) - 1, place + NEIGHBOURS)].end,
            )
            for place in np.argsort(-row)[:3].tolist()
        ]
        for row in likeness
    ]


def _span(window: Window) -> Span:
    return window.start, window.end


OTHER_WAYS: dict[str, Callable[[Sequence[str], Prepared, KeptVectors], list[list[Span]]]] = {
    "the guide: an answer as one vector, 3-NN": guide,
    "one vector a quote, windows of five": one_vector,
    "sentence windows (LlamaIndex), ±3": sentence_windows,
}

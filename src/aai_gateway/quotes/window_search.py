"""Windows of a library by meaning and by their words: where in it a search should look closer.

A few ten thousand windows are compared one by one, which takes a millisecond for 5,000, is exact and needs no
Chroma to be loaded; more than that are asked of Chroma.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.errors import IndexUnavailable
from aai_gateway.quotes.library import IndexedTranscript, Library, WindowHit
from aai_gateway.quotes.matrix_cache import MATRICES
from aai_gateway.quotes.packing import STEP, window_span
from aai_gateway.quotes.passages import Quote, confidence_of
from aai_gateway.quotes.vector_index import StoreBroken, VectorIndex
from aai_gateway.quotes.windows import Window

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

# Below this, one by one is faster than Chroma and exact: 0.9 ms for 5,000 where Chroma takes 4.
EXACT_UP_TO = 50_000
# Sentences shown before and after a passage.
AROUND = 2

Wanted = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class Filters:
    """Where to search: these transcripts, this speaker, transcripts of this time. None leaves all."""

    transcript_ids: Sequence[str] | None = None
    speaker: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def allows(self, transcript: IndexedTranscript) -> bool:
        """Whether a transcript may be searched; one of unknown date is of no time."""
        if self.transcript_ids is not None and transcript.id not in self.transcript_ids:
            return False
        at = transcript.created_at
        if self.since is not None and (at is None or at < self.since.astimezone()):
            return False
        return self.until is None or (at is not None and at <= self.until.astimezone())


def windows_of_speaker(
    library: Library, speaker: str, transcripts: Sequence[IndexedTranscript]
) -> set[tuple[int, int]]:
    """Keys and numbers of the windows in which a speaker says something."""
    by_key = {transcript.key: transcript for transcript in transcripts}
    spoken = library.spoken_by(speaker, by_key)
    return {
        (key, number)
        for key, sentence in spoken
        for number in range(max(0, sentence // STEP - 1), min(sentence // STEP + 1, by_key[key].windows))
        if _holds(number, sentence, by_key[key].sentences)
    }


def _holds(number: int, sentence: int, sentences: int) -> bool:
    first, last = window_span(number, sentences)
    return first <= sentence <= last


def nearest(
    store: VectorIndex,
    vector: Matrix,
    n: int,
    transcripts: Sequence[IndexedTranscript],
    wanted: Wanted | None = None,
    *,
    on_notice: Callable[[str], None],
) -> list[WindowHit]:
    """The `n` windows nearest to a vector: by Chroma where they are many, else one by one."""
    many = sum(one.windows for one in transcripts) > EXACT_UP_TO
    if wanted is None and many and store.trusted():
        try:
            return store.nearest(vector, n)
        except (StoreBroken, IndexUnavailable) as error:
            on_notice(f"Searched without Chroma, in the library itself: {error}")
    return scan(store.library, store.model, vector, n, transcripts, wanted)


def scan(
    library: Library,
    model: str,
    vector: Matrix,
    n: int,
    transcripts: Sequence[IndexedTranscript],
    wanted: Wanted | None = None,
) -> list[WindowHit]:
    """The `n` windows of these transcripts nearest to a vector, exact, best first."""
    keys = tuple(transcript.key for transcript in transcripts)
    ends = list(accumulate(transcript.windows for transcript in transcripts))
    if not ends or not ends[-1]:
        return []
    name = ("windows", library.id, model, keys)
    scores = MATRICES.get(name, lambda: library.window_vectors(keys, model)) @ vector
    rows = np.arange(len(scores)) if wanted else np.argpartition(-scores, min(n, len(scores)) - 1)[:n]
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    hits: list[WindowHit] = []
    for row, place in zip(rows.tolist(), np.searchsorted(ends, rows, side="right").tolist(), strict=True):
        number = row - (ends[place] - transcripts[place].windows)
        if wanted is None or wanted(keys[place], number):
            hits.append(WindowHit(keys[place], number, float(scores[row])))
            if len(hits) == n:
                break
    return hits


def any_word(text: str) -> str:
    """An FTS5 expression for windows with any word of `text`; empty where it has none."""
    words = dict.fromkeys(re.findall(r"\w+", text.casefold()))
    return " OR ".join(f'"{word}"' for word in words)


def window_quote(library: Library, transcript: IndexedTranscript, number: int, cosine: float) -> Quote:
    """A window as a passage, with the sentences around it."""
    first, last = window_span(number, transcript.sentences)
    near = library.sentences(transcript.key, first - AROUND, last + AROUND)
    window = Window(tuple(sentence for sentence in near if first <= sentence.index <= last))
    return Quote(
        transcript_id=transcript.id,
        region=transcript.region,
        start=window.start,
        end=window.end,
        text=window.text,
        speakers=window.speakers,
        confidence=confidence_of(cosine),
        first=first,
        last=last,
        before=" ".join(sentence.text for sentence in near if sentence.index < first),
        after=" ".join(sentence.text for sentence in near if sentence.index > last),
    )

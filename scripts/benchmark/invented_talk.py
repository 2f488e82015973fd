"""Talk that is made up, and vectors for it: a large library in minutes, the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.embedder import Embedder
from aai_gateway.quotes.windows import Sentence

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

DIMENSIONS = 384
VOCABULARY, COMMON, SUBJECTS, SUBJECT_WORDS = 8_000, 200, 400, 40
WORD_MS = 380
_SYLLABLES = [first + vowel for first in "bdfghjklmnprstvw" for vowel in "aeiou"]


class InventedTalk:
    """Transcripts by number: sentences of a common vocabulary, and of the subject that they are about."""

    def __init__(self) -> None:
        chance = np.random.default_rng(20)
        self.words = np.array(
            ["".join(chance.choice(_SYLLABLES, size=3)) + str(number % 7) for number in range(VOCABULARY)]
        )
        weights = 1 / (10 + np.arange(VOCABULARY))
        self._weights = weights / weights.sum()
        self.subjects = chance.integers(COMMON, VOCABULARY, (SUBJECTS, SUBJECT_WORDS))

    def sentences(self, transcript: int, count: int) -> list[Sentence]:
        """`count` sentences of 6 to 18 words, about a third of them of what the recording is about."""
        chance = np.random.default_rng([transcript, count])
        lengths = chance.integers(6, 19, count)
        drawn = chance.choice(VOCABULARY, int(lengths.sum()), p=self._weights)
        # A recording passes from one subject to another.
        subjects = np.repeat(chance.integers(0, SUBJECTS, count // 12 + 1), 12)[:count]
        of_subject = self.subjects[
            np.repeat(subjects, lengths), chance.integers(0, SUBJECT_WORDS, len(drawn))
        ]
        chosen = np.where(chance.random(len(drawn)) < 0.35, of_subject, drawn)
        texts = np.split(self.words[chosen], np.cumsum(lengths)[:-1])
        ends = np.cumsum(lengths) * WORD_MS
        return [
            Sentence(
                place,
                f"{' '.join(words).capitalize()}.",
                int(end - len(words) * WORD_MS),
                int(end),
                "AB"[place % 2],
            )
            for place, (words, end) in enumerate(zip(texts, ends, strict=True))
        ]

    def question(self, number: int) -> str:
        """Five words of one subject."""
        chance = np.random.default_rng([7, number])
        subject = self.subjects[chance.integers(0, SUBJECTS)]
        return " ".join(self.words[chance.choice(subject, 5, replace=False)])


class InventedVectors:
    """Stands in for an embedding model: a text is the sum of its words, and a little of its own.

    How many texts were encoded is appended to `count_file`, a line for each call.
    """

    def __init__(self, talk: InventedTalk, count_file: Path | None = None) -> None:
        chance = np.random.default_rng(21)
        vectors = chance.standard_normal((VOCABULARY, DIMENSIONS)).astype(np.float32)
        # Words that everybody uses say little; those of one subject are alike.
        vectors[:COMMON] *= 0.3
        for subject in talk.subjects:
            vectors[subject] += 0.5 * chance.standard_normal(DIMENSIONS).astype(np.float32)
        self._vectors = dict(zip(talk.words.tolist(), vectors, strict=True))
        self._count_file = count_file

    def encode(self, texts: Sequence[str]) -> Matrix:
        """One normalised float32 row for each text, in order."""
        rows = [self._vector(text) for text in texts]
        if self._count_file is not None:
            with self._count_file.open("a", encoding="utf-8") as stream:
                stream.write(f"{len(texts)}\n")
        return np.stack(rows)

    def _vector(self, text: str) -> Matrix:
        words = text.casefold().rstrip(".").split()
        own = np.random.default_rng(list(text.encode())).standard_normal(DIMENSIONS).astype(np.float32)
        vector = sum((self._vectors[word] for word in words if word in self._vectors), start=own)
        unit: Matrix = (vector / np.linalg.norm(vector)).astype(np.float32)
        return unit


def invented_embedder(talk: InventedTalk, count_file: Path | None = None) -> Embedder:
    """An embedder of invented vectors."""
    vectors = InventedVectors(talk, count_file)
    return Embedder("invented", lambda on_notice: vectors)

"""What the ranking looks at closely: whole transcripts where they are few, else what is around the finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from aai_gateway.quotes.library import IndexedTranscript, Library
from aai_gateway.quotes.matrix_cache import MATRICES
from aai_gateway.quotes.packing import window_span
from aai_gateway.quotes.ranking import Lines, Stretch

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

# Transcripts whose sentences' lengths and speakers are kept in memory.
MOST_LINES = 10_000


class StretchReader:
    """Reads stretches of one library's transcripts; keeps what it read of whole ones."""

    def __init__(self, library: Library, model: str) -> None:
        self._library = library
        self._model = model
        self._lines: dict[int, Lines] = {}

    def lines(self, key: int) -> Lines:
        """The lines of a whole transcript."""
        if key not in self._lines:
            if len(self._lines) >= MOST_LINES:
                self._lines.clear()
            self._lines[key] = Lines.of(self._library.lines(key))
        return self._lines[key]

    def speakers(self, keys: Iterable[int]) -> list[str]:
        """Everybody who speaks in these transcripts, each once."""
        return list(dict.fromkeys(who for key in keys for who in self.lines(key).speakers if who is not None))

    def vectors(self, key: int) -> Matrix:
        """A row for each sentence of a whole transcript."""
        name = ("sentences", self._library.id, self._model, key)
        return MATRICES.get(name, lambda: self._library.vectors(key, self._model))

    def whole(
        self, found: Iterable[tuple[int, int]], transcripts: Mapping[int, IndexedTranscript]
    ) -> Iterator[Stretch]:
        """The transcripts in which windows were found, by key and number, from end to end."""
        for key, numbers in _by_key(found).items():
            size = transcripts[key].sentences
            yield Stretch(key, size, 0, numbers, self.lines(key), self.vectors(key))

    def near(
        self, found: Iterable[tuple[int, int]], transcripts: Mapping[int, IndexedTranscript], reach: int
    ) -> Iterator[Stretch]:
        """The windows that were found, with `reach` sentences before and after each."""
        for key, numbers in _by_key(found).items():
            size = transcripts[key].sentences
            for first, last, some in _merged(numbers, size, reach):
                lines = Lines.of(self._library.lines(key, first, last))
                vectors = self._library.some_vectors(key, self._model, first, last)
                yield Stretch(key, size, first, some, lines, vectors)


def _by_key(found: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    numbers: dict[int, list[int]] = {}
    for key, number in dict.fromkeys(found):
        numbers.setdefault(key, []).append(number)
    return numbers


def _merged(numbers: list[int], sentences: int, reach: int) -> Iterator[tuple[int, int, list[int]]]:
    """First and last sentence, inclusive, of stretches that hold these windows, and which each holds."""
    begin, end, some = 0, -1, list[int]()
    for number in sorted(numbers):
        first, last = window_span(number, sentences)
        if some and first - reach > end + 1:
            yield begin, end, some
            some = []
        if not some:
            begin = max(0, first - reach)
        end = min(sentences - 1, last + reach)
        some.append(number)
    if some:
        yield begin, end, some

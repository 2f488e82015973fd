"""Sentences and the windows over them that are embedded, stored and found. Pure.

Five sentences, overlapping by two, as in AssemblyAI's guide "Find the best quotes in your audio"; unlike the
guide's loop, the tail is kept and a transcript of five sentences or fewer is one window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

WINDOW_SIZE = 5
WINDOW_OVERLAP = 2


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was said, with its punctuation; `start` and `end` in ms."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a transcript: its place in it (from 0), its text, `start` and `end` in ms.

    `words` are its words in order, empty where only the sentence's own times are known.
    """

    index: int
    text: str
    start: int
    end: int
    speaker: str | None = None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive sentences, at least one."""

    sentences: tuple[Sentence, ...]

    @property
    def first(self) -> int:
        """Index of the first sentence."""
        return self.sentences[0].index

    @property
    def last(self) -> int:
        """Index of the last sentence, inclusive."""
        return self.sentences[-1].index

    @property
    def text(self) -> str:
        """The sentences' text, joined by spaces."""
        return " ".join(sentence.text for sentence in self.sentences)

    @property
    def start(self) -> int:
        """Where the first word begins, in ms: channels can talk over one another, so not always the first."""
        return min(sentence.start for sentence in self.sentences)

    @property
    def end(self) -> int:
        """Where the last word ends, in ms."""
        return max(sentence.end for sentence in self.sentences)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who speaks, each once, in order; empty when the transcript has no speakers."""
        return tuple(dict.fromkeys(s.speaker for s in self.sentences if s.speaker is not None))


class SpokenWord(Protocol):
    """What a word of AssemblyAI's has (`assemblyai.Word`)."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class SpokenSentence(Protocol):
    """What a sentence of AssemblyAI's `/sentences` has (`assemblyai.Sentence`)."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def speaker(self) -> str | None: ...
    @property
    def channel(self) -> str | None: ...
    @property
    def words(self) -> Sequence[SpokenWord]: ...


def numbered(spoken: Iterable[SpokenSentence]) -> list[Sentence]:
    """AssemblyAI's sentences with their numbers. The channel stands for the speaker where there is none."""
    return [
        Sentence(
            index,
            one.text.strip(),
            one.start,
            one.end,
            one.speaker or one.channel,
            tuple(Word(word.text, word.start, word.end) for word in one.words),
        )
        for index, one in enumerate(one for one in spoken if one.text.strip())
    ]


def windows(
    sentences: Sequence[Sentence], *, size: int = WINDOW_SIZE, overlap: int = WINDOW_OVERLAP
) -> list[Window]:
    """Windows of `size` sentences, each sharing `overlap` with the one before; the last may be shorter.

    Every sentence is in a window and no window lies inside another. No sentences give no windows.
    Raises ValueError unless 0 <= overlap < size.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"overlap must be at least 0 and below size, not {overlap} of {size}")
    starts = range(0, max(len(sentences) - overlap, min(len(sentences), 1)), size - overlap)
    return [Window(tuple(sentences[start : start + size])) for start in starts]

"""The parts of a transcript that can be labelled on their own: its chapters, or what each speaker said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from aai_gateway.errors import ConfigurationError

By = Literal["chapter", "speaker"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part's name and text, and from when to when it goes, in ms. A speaker's lies among the others'."""

    name: str
    text: str
    start: int
    end: int


class Timed(Protocol):
    """What has a place in the recording, in ms."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class ChapterLike(Timed, Protocol):
    """What a chapter has (`assemblyai.Chapter`)."""

    @property
    def headline(self) -> str: ...


class WordLike(Timed, Protocol):
    """What a word has (`assemblyai.Word`)."""

    @property
    def text(self) -> str: ...


class TurnLike(WordLike, Protocol):
    """What an utterance has (`assemblyai.Utterance`)."""

    @property
    def speaker(self) -> str | None: ...


def chapters_of(transcript_id: str, chapters: Iterable[ChapterLike], words: Sequence[WordLike]) -> list[Part]:
    """Each chapter with the words that begin in it; one without words is left out.

    Raises ConfigurationError when there are none.
    """
    parts = [
        Part(chapter.headline, " ".join(_said(words, chapter)), chapter.start, chapter.end)
        for chapter in chapters
    ]
    found = [part for part in parts if part.text]
    if not found:
        raise ConfigurationError(
            f"Transcript {transcript_id} has no chapters: they are made when audio is transcribed with "
            "auto_chapters."
        )
    return found


def speakers_of(transcript_id: str, turns: Iterable[TurnLike]) -> list[Part]:
    """All that each speaker said, in the order in which they first speak.

    Raises ConfigurationError when the transcript tells no speakers apart.
    """
    said: dict[str, list[TurnLike]] = {}
    for turn in turns:
        if turn.speaker is not None:
            said.setdefault(turn.speaker, []).append(turn)
    if not said:
        raise ConfigurationError(
            f"Transcript {transcript_id} has no speakers: transcribe the audio with --speakers."
        )
    return [
        Part(speaker, " ".join(turn.text.strip() for turn in own), own[0].start, own[-1].end)
        for speaker, own in said.items()
    ]


def _said(words: Sequence[WordLike], chapter: ChapterLike) -> Iterable[str]:
    return (word.text for word in words if chapter.start <= word.start < chapter.end)

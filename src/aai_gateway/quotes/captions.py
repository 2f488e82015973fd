"""Quotes as captions: SRT and WebVTT of only what is quoted, cut between words. Pure.

Two lines of 42 characters at most, as broadcasters set them.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.tokens import spaced
from aai_gateway.quotes.windows import Sentence, Word

LINE = 42
LINES = 2
# A caption that is this long ends with its sentence rather than taking words of the next.
LONG_ENOUGH = 30

_ENDS_SENTENCE = re.compile(r"[.!?…][\"'”’)]*$")


@dataclass(frozen=True, slots=True)
class Caption:
    """What is shown from `start` to `end`, in ms; lines parted by newlines."""

    start: int
    end: int
    text: str
    speaker: str | None = None


def captions_of(quotes: Iterable[Quote], sentences: Sequence[Sentence]) -> list[Caption]:
    """The captions of a transcript's quotes, in the order of the recording.

    A quote whose sentences tell no times of words is one caption.
    """
    return [
        caption
        for quote in sorted(quotes, key=lambda quote: quote.start)
        for caption in _captions(quote, sentences)
    ]


def to_srt(captions: Iterable[Caption]) -> str:
    """SubRip; a speaker's name stands before the words where it changes."""
    blocks = []
    speaker = None
    for number, caption in enumerate(captions, start=1):
        name = f"{_in_line(caption.speaker)}: " if caption.speaker and caption.speaker != speaker else ""
        speaker = caption.speaker
        times = f"{_time(caption.start, ',')} --> {_time(caption.end, ',')}"
        blocks.append(f"{number}\n{times}\n{name}{caption.text}\n")
    return "\n".join(blocks)


def to_vtt(captions: Iterable[Caption]) -> str:
    """WebVTT, with the speaker as the voice."""
    blocks = ["WEBVTT\n"]
    for caption in captions:
        voice = f"<v {_escaped(_in_line(caption.speaker))}>" if caption.speaker else ""
        times = f"{_time(caption.start, '.')} --> {_time(caption.end, '.')}"
        blocks.append(f"{times}\n{voice}{_escaped(caption.text)}\n")
    return "\n".join(blocks)


def _captions(quote: Quote, sentences: Sequence[Sentence]) -> Iterator[Caption]:
    said = sentences[quote.first : quote.last + 1]
    if not said or not all(sentence.words for sentence in said):
        speaker = quote.speakers[0] if quote.speakers else None
        yield Caption(quote.start, quote.end, _wrapped(quote.text), speaker)
        return
    for sentence in said:
        parts = zip(sentence.words, spaced(sentence.words, sentence.text), strict=True)
        inside = [part for part in parts if quote.start <= part[0].start and part[0].end <= quote.end]
        for line in _cut(inside):
            text = "\n".join(_lines([part for _, part in line]))
            yield Caption(line[0][0].start, line[-1][0].end, text, sentence.speaker)


def _cut(parts: Sequence[tuple[Word, str]]) -> Iterator[list[tuple[Word, str]]]:
    """Words, each with its text as it is spaced, in captions."""
    line: list[tuple[Word, str]] = []
    length = 0
    for word, part in parts:
        length += _width(part)
        if line and (length > LINE * LINES - 8 or len(_lines([*(one for _, one in line), part])) > LINES):
            yield line
            line, length = [], _width(part)
        line.append((word, part))
        if length >= LONG_ENOUGH and _ENDS_SENTENCE.search(word.text):
            yield line
            line, length = [], 0
    if line:
        yield line


def _lines(parts: Iterable[str]) -> list[str]:
    """Words as they are spaced, in lines that are as full as they may be."""
    lines = [""]
    for part in parts:
        if lines[-1] and _width(f"{lines[-1]}{part}".rstrip()) > LINE:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines]


def _width(text: str) -> int:
    """How many letters wide a text is: a Chinese one is as wide as two others."""
    return len(text) + sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False))


def _time(milliseconds: int, point: str) -> str:
    seconds, millis = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{millis:03}"


def _in_line(name: str) -> str:
    """A name without line breaks: an empty line would end the caption."""
    return " ".join(name.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""Meetings to measure on: QMSum's validation split, or three invented ones where that is not at hand.

Turns are split into sentences, and words get times of 380 ms each, so that every run gives the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aai_gateway.quotes.windows import Sentence, Word

WORD_MS = 380
REPOSITORY = Path(__file__).resolve().parents[2]
QMSUM = REPOSITORY.parent / "shared" / "quotes" / "qmsum-val.jsonl"
INVENTED = Path(__file__).with_name("invented.yaml")

_MARKER = re.compile(r"\{[^}]*\}")
_SPACE_BEFORE = re.compile(r"\s+(?=[.,?!;:](?:\s|$)|'(?:s|re|ve|ll|d|m|t)\b|n't\b)")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z\"'“])")


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody wants to know, and the turns that tell it: (first, last) of each span, inclusive."""

    text: str
    answer: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Meeting:
    """One meeting. `turns[i]` is the turn of the data that sentence i is of; `project` is the series that it
    belongs to: its meetings share speakers and vocabulary.
    """

    name: str
    project: str
    sentences: tuple[Sentence, ...]
    turns: tuple[int, ...]
    queries: tuple[Query, ...]


def load_meetings(limit: int | None = None) -> tuple[list[Meeting], str]:
    """The meetings, at most `limit`, and what they are called. QMSum is in ../shared beside the project."""
    if QMSUM.exists():
        path, name = QMSUM, "QMSum, validation split"
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    else:
        path, name = INVENTED, "three invented meetings"
        records = yaml.safe_load(path.read_text(encoding="utf-8"))
    named = enumerate(records[:limit])
    return [meeting_of(f"{path.stem}-{number}", record) for number, record in named], name


def meeting_of(name: str, record: Mapping[str, Any]) -> Meeting:
    """A meeting of one record in QMSum's form: `meeting_transcripts` and `specific_query_list`."""
    said = [
        (number, turn["speaker"], text)
        for number, turn in enumerate(record["meeting_transcripts"])
        for text in _SENTENCE_END.split(tidy(turn["content"]))
        if any(letter.isalnum() for letter in text)
    ]
    return Meeting(
        name,
        _project({turn["speaker"] for turn in record["meeting_transcripts"]}),
        tuple(timed((speaker, text) for _, speaker, text in said)),
        tuple(number for number, _, _ in said),
        tuple(
            Query(
                query["query"],
                query["answer"],
                tuple((int(first), int(last)) for first, last in query["relevant_text_span"]),
            )
            for query in record["specific_query_list"]
        ),
    )


def tidy(content: str) -> str:
    """A turn as AssemblyAI writes it: no `{vocalsound}`, no space before punctuation and clitics."""
    return " ".join(_SPACE_BEFORE.sub("", _MARKER.sub(" ", content)).split())


def timed(said: Iterable[tuple[str, str]]) -> list[Sentence]:
    """Sentences of (speaker, text), one after another, each word taking WORD_MS."""
    sentences, clock = [], 0
    for index, (speaker, text) in enumerate(said):
        parts = text.split()
        words = tuple(
            Word(part, clock + place * WORD_MS, clock + (place + 1) * WORD_MS)
            for place, part in enumerate(parts)
        )
        start, clock = clock, clock + len(parts) * WORD_MS
        sentences.append(Sentence(index, " ".join(parts), start, clock, speaker, words))
    return sentences


def _project(speakers: set[str]) -> str:
    """QMSum does not name its series, but each has speakers of its own."""
    if "Project Manager" in speakers:
        return "product"
    if any(re.match(r"(Professor|PhD|Grad|Undergrad|Postdoc)\b", speaker) for speaker in speakers):
        return "academic"
    return "committee"

"""A recording on one page: a timeline of its speakers, topics and quotes, and a player that jumps to each.

The page is one HTML file that loads nothing but the audio. It reads, and prints, without a script.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aai_gateway.quotes.passages import Quote

MOST_LANES = 8
"""Speakers that have a lane of their own, those who speak most; the others share one."""
COLOURS = 6
PAUSE_MS = 1500
"""Turns of a speaker that are nearer to each other are drawn as one."""
_TICK_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120)
_MOST_TICKS = 8
MARK_WIDTH = 0.066
"""The share of a narrow line that a number takes: of nearer quotes, each has a row of its own."""
_LABEL = re.compile(r"[A-Z]|\d+")
"""A speaker that has no name: AssemblyAI's letter, or the number of a channel."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks, from `start` to `end`, in ms."""

    speaker: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TopicSpan:
    """What a part of the recording is about; `start` and `end` in ms."""

    topics: tuple[str, ...]
    start: int
    end: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What the page shows. `duration` in ms; `audio` is what the player plays, an address or a path."""

    title: str
    duration: int
    quotes: Sequence[Quote]
    turns: Sequence[Turn] = ()
    topics: Sequence[TopicSpan] = ()
    note: str = ""
    audio: str | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A speaker's line: the share of all that is said, in per cent, and the spans drawn, in ms."""

    name: str
    colour: int
    percent: int
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A quote's number (from 1) on the line, and the row of numbers (from 0) that it stands on."""

    number: int
    row: int
    quote: Quote


def to_html(report: Report) -> str:
    """The page."""
    script = _text("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            lanes=lanes_of(report.turns),
            speakers=len({turn.speaker for turn in report.turns}),
            ticks=ticks_of(report.duration),
            marks=marks_of(report.quotes, report.duration),
            style=Markup(_text("report.css")),  # noqa: S704 - our own
            script=Markup(script),  # noqa: S704 - our own
            script_hash=digest,
        )
    )


def lanes_of(turns: Iterable[Turn]) -> list[Lane]:
    """A lane for each speaker, in the order in which they first speak."""
    spans: dict[str, list[tuple[int, int]]] = {}
    spoken: dict[str, int] = {}
    for turn in turns:
        spoken[turn.speaker] = spoken.get(turn.speaker, 0) + turn.end - turn.start
        spans.setdefault(turn.speaker, []).append((turn.start, turn.end))
    whole = max(1, sum(spoken.values()))
    most = sorted(spoken, key=lambda name: -spoken[name])
    own = set(most if len(most) <= MOST_LANES else most[: MOST_LANES - 1])
    lanes = [
        Lane(name, place % COLOURS + 1, round(100 * spoken[name] / whole), _joined(spans[name]))
        for place, name in enumerate(name for name in spans if name in own)
    ]
    rest = [name for name in spans if name not in own]
    if rest:
        together = sorted(span for name in rest for span in spans[name])
        percent = round(100 * sum(spoken[name] for name in rest) / whole)
        lanes.append(Lane(f"{len(rest)} others", 0, percent, _joined(together)))
    return lanes


def marks_of(quotes: Sequence[Quote], duration: int) -> list[Mark]:
    """The quotes in the order of the recording, numbered as they are given, none on top of another."""
    ends: list[float] = []
    marks = []
    for number, quote in sorted(enumerate(quotes, start=1), key=lambda one: one[1].start):
        place = (quote.start + quote.end) / 2
        row = next((row for row, end in enumerate(ends) if end <= place), len(ends))
        ends[row : row + 1] = [place + MARK_WIDTH * duration]
        marks.append(Mark(number, row, quote))
    return marks


def ticks_of(duration: int) -> list[int]:
    """Where the timeline is marked, in ms: whole minutes, few enough to be read."""
    for minutes in _TICK_MINUTES:
        if duration <= minutes * 60_000 * _MOST_TICKS:
            return list(range(minutes * 60_000, duration, minutes * 60_000))
    return []


def clock(milliseconds: int) -> str:
    """A place in the recording for people: `1:02:03`, `2:03`."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def speakers_named(names: Sequence[str]) -> str:
    """Speakers for people: `Ana`, `Speaker B`, `Ana, Speaker B`."""
    return ", ".join(f"Speaker {name}" if _LABEL.fullmatch(name) else name for name in names)


def _joined(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start - joined[-1][1] <= PAUSE_MS:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("aai_gateway.quotes"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters["clock"] = clock
    made.filters["named"] = speakers_named
    return made


@cache
def _text(name: str) -> str:
    return (files("aai_gateway.quotes") / "templates" / name).read_text(encoding="utf-8")

"""A made-up recording for the pictures of a report: a public hearing, who speaks when, and its quotes."""

from __future__ import annotations

import math
import random
import wave
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.report import Report, TopicSpan, Turn, to_html

SEED = 27
RATE = 8000
PITCHES = {"A": 196, "B": 131, "C": 165, "D": 110}
"""The tone that stands for each voice, in Hz."""


@dataclass(frozen=True)
class Chapter:
    """A part of the hearing: until when, in s, what it is about, and who speaks in it how much."""

    until: int
    topics: tuple[str, ...]
    headline: str
    shares: dict[str, int]


@dataclass(frozen=True)
class Said:
    """A quote: from and until when, in s, by whom, and how surely those were the words."""

    start: float
    end: float
    speaker: str
    confidence: float
    text: str


CHAPTERS = (
    Chapter(172, ("Politics",), "The chair opens the hearing on the weir at Alder Bridge", {"A": 8, "B": 1}),
    Chapter(590, ("Environment",), "What thirty years of measurements say about the Alder", {"B": 8, "A": 2}),
    Chapter(942, ("Business", "Environment"), "Farms below the weir", {"C": 8, "A": 2, "D": 1}),
    Chapter(1210, ("Science",), "How fast a river comes back", {"B": 6, "A": 2, "C": 1}),
    Chapter(1466, ("Politics", "Finance"), "What the town would pay, and when", {"D": 6, "A": 2, "C": 1}),
)
QUOTES = (
    Said(431.2, 438.9, "B", 0.99, "We did not lose this river in a flood. We lost it one permit at a time, "
         "and every permit was reasonable."),
    Said(702.6, 710.1, "C", 0.98, "My father drew water here for forty years and never asked how deep it "
         "was. I ask every morning."),
    Said(1093.4, 1100.8, "B", 0.97, "Take the weir out and the trout are back in three summers. We have seen "
         "it on the Lynd and on the Arrow."),
    Said(1318.0, 1326.4, "D", 0.97, "Two million is a great deal of money for a town of nine thousand. Doing "
         "nothing costs us that every four years."),
    Said(458.3, 464.0, "B", 0.94, "At the bridge the summer flow is a fifth of what it was when I began."),
    Said(58.5, 64.7, "A", 0.93, "Nobody in this room is against farming, and nobody in this room is against "
         "fish."),
    Said(868.9, 874.6, "C", 0.86, "Give me five years and a fixed price, and I will plant what needs half "
         "the water."),
)  # fmt: skip


PLAYED_UNTIL = 434.5
"""Where the player stands, in s."""


def write_report(folder: Path) -> Path:
    """The report's page and its audio in `folder`; where the page is."""
    turns = list(_turns())
    audio = folder / "hearing.wav"
    _write_audio(audio, turns)
    quotes = [
        Quote("made-up", "us", *_ms(said), said.text, (said.speaker,), said.confidence, 0, 0)
        for said in QUOTES
    ]
    starts = (0, *(chapter.until for chapter in CHAPTERS))
    topics = [
        TopicSpan(chapter.topics, 1000 * start, 1000 * chapter.until, chapter.headline)
        for start, chapter in zip(starts, CHAPTERS, strict=False)
    ]
    page = folder / "report.html"
    report = Report(
        title="Hearing on the weir at Alder Bridge",
        duration=1000 * CHAPTERS[-1].until,
        quotes=quotes,
        turns=turns,
        topics=topics,
        note="Quotes proposed by claude-sonnet-4-6, 6,214 tokens in, 871 out, $0.031707",
        audio=audio.name,
    )
    page.write_text(to_html(report), encoding="utf-8")
    return page


def _ms(said: Said) -> tuple[int, int]:
    return round(1000 * said.start), round(1000 * said.end)


def _turns() -> Iterator[Turn]:
    """Who speaks when: as the chapters tell, and whoever is quoted while it is said."""
    chance = random.Random(SEED)  # noqa: S311 - a picture's
    quoted = sorted((*_ms(said), said.speaker) for said in QUOTES)
    at, last = 800, ""
    for chapter in CHAPTERS:
        while at < 1000 * chapter.until - 4000:
            others = {name: share for name, share in chapter.shares.items() if name != last}
            (speaker,) = chance.choices(list(others), list(others.values()))
            longest = 52_000 if chapter.shares[speaker] > 2 else 11_000
            end = min(at + round(chance.triangular(2500, longest)), 1000 * chapter.until - 900)
            if quoted and quoted[0][0] - 9000 < end:
                _, until, speaker = quoted.pop(0)
                end = until + round(chance.uniform(3000, 9000))
            yield Turn(speaker, at, end)
            at, last = end + round(chance.uniform(300, 1900)), speaker


def _write_audio(path: Path, turns: list[Turn]) -> None:
    """A tone for each voice, that comes and goes as syllables do, and silence between."""
    samples = array("h", bytes(2 * RATE * CHAPTERS[-1].until))
    for turn in turns:
        # A second of the voice, repeated: whole periods fit in it, so that nothing clicks.
        hum = array("h", (_sample(PITCHES[turn.speaker], place / RATE) for place in range(RATE)))
        for start in range(turn.start * RATE // 1000, turn.end * RATE // 1000, RATE):
            length = min(RATE, turn.end * RATE // 1000 - start)
            samples[start : start + length] = hum[:length]
    with wave.open(str(path), "wb") as recording:
        recording.setparams((1, 2, RATE, 0, "NONE", ""))
        recording.writeframes(samples.tobytes())


def _sample(pitch: int, second: float) -> int:
    syllable = math.sin(math.pi * 4 * second) ** 2
    return round(6000 * syllable * math.sin(2 * math.pi * pitch * second))

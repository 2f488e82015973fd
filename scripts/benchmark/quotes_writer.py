"""`python -m benchmark.quotes_writer`: fill the libraries of some teams, going on where it was stopped."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from aai_gateway.quotes.index import QuoteIndex
from benchmark.invented_talk import InventedTalk, invented_embedder

COUNTS = "encoded-{}.txt"


@dataclass(frozen=True, slots=True)
class Teams:
    """The teams of these numbers, each with so many transcripts of so many sentences."""

    numbers: range
    transcripts: int
    sentences: int

    @property
    def arguments(self) -> list[str]:
        """What the writer is called with, after the folder."""
        return [*map(str, (self.numbers.start, self.numbers.stop, self.transcripts, self.sentences))]


def namespace(team: int) -> str:
    """A team's namespace."""
    return f"team-{team}"


def fill(folder: Path, teams: Teams) -> None:
    """Add what is missing. A line for each finished team is printed."""
    talk = InventedTalk()
    embedder = invented_embedder(talk, folder / COUNTS.format(teams.numbers.start))
    for team in teams.numbers:
        with QuoteIndex(folder, embedder, namespace=namespace(team)) as index:
            there = {transcript.id for transcript in index.transcripts()}
            for number in range(teams.transcripts):
                if f"transcript-{number}" not in there:
                    said = talk.sentences(team * 100_000 + number, teams.sentences)
                    index.add(f"transcript-{number}", said)
            index.resume()
        print(team, flush=True)


if __name__ == "__main__":
    place, first, end, transcripts, sentences = sys.argv[1:]
    fill(Path(place), Teams(range(int(first), int(end)), int(transcripts), int(sentences)))

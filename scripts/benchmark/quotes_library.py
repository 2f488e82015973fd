"""Searching a million windows of 200 teams, and a large team's by Chroma; writers are killed on the way."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import psutil  # type: ignore[import-untyped]  # has no types
from evaluation.tables import Table

from aai_gateway.errors import GatewayError
from aai_gateway.quotes.embedder import Embedder
from aai_gateway.quotes.index import DEPTH, QuoteIndex
from aai_gateway.quotes.index_folder import LIBRARY_FILE, STORE_FOLDER
from aai_gateway.quotes.library import Library
from aai_gateway.quotes.packing import window_count
from aai_gateway.quotes.vector_index import VectorIndex
from aai_gateway.quotes.window_search import nearest, scan
from benchmark.dashboard_table import percentile
from benchmark.invented_talk import InventedTalk, invented_embedder
from benchmark.quotes_writer import COUNTS, Teams, namespace

SENTENCES = 302
"""Of a transcript: a hundred windows, some twenty minutes."""
KILLS = 3
KILLED_AFTER = 20.0
WRITERS = 2
QUESTIONS = 400
RECALLED = 20
DEEPEST = 10


@dataclass(frozen=True, slots=True)
class Filling:
    """What filling took: seconds of work, sentences there are and were encoded, kills."""

    seconds: float
    sentences: int
    encoded: int
    kills: int


def measure(tell: Callable[[str], None], folder: Path, numbers: range, windows: int) -> Table:
    """`windows` in all, of the teams of these numbers: filled by writers that are killed, then asked."""
    per_transcript = window_count(SENTENCES)
    teams = Teams(numbers, max(1, windows // len(numbers) // per_transcript), SENTENCES)
    name = f"{len(numbers)} teams" if len(numbers) > 1 else "one team"
    filling = _filled(tell, folder, teams)
    tell(f"asking {name}")
    talk = InventedTalk()
    embedder = invented_embedder(talk)
    chance = np.random.default_rng(1)
    with ExitStack() as stack:
        indexes = [
            stack.enter_context(QuoteIndex(folder, embedder, namespace=namespace(team)))
            for team in teams.numbers
        ]
        total = sum(index.count() for index in indexes)
        if total != (expected := len(indexes) * teams.transcripts * window_count(teams.sentences)):
            raise GatewayError(f"{total} windows are there, not {expected}.")
        size = sum(file.stat().st_size for index in indexes for file in index.home.rglob("*"))
        first = [_ask(index, talk.question(place)) for place, index in enumerate(indexes)]
        asked = [indexes[place] for place in chance.integers(0, len(indexes), QUESTIONS)]
        times = [_ask(index, talk.question(1000 + number)) for number, index in enumerate(asked)]
        again = [_ask(indexes[0], talk.question(3000 + number)) for number in range(QUESTIONS)]
        recall = [share for index in indexes[:RECALLED] for share in _recall(index, embedder, talk)]
    figures = {
        "p50, ms": f"{1000 * median(times):.1f}",
        "p95, ms": f"{1000 * percentile(times, 0.95):.1f}",
        "one team again, p95": f"{1000 * percentile(again, 0.95):.1f}",
        "first, at most": f"{1000 * max(first):.0f}",
        "recall@10": f"{np.mean(recall):.3f}",
        "filled in, s": f"{filling.seconds:,.0f}",
        "kills": f"{filling.kills}",
        "sentences": f"{filling.sentences:,}",
        "encoded twice": f"{filling.encoded - filling.sentences:,}",
        "GB": f"{size / 1e9:.1f}",
    }
    title = f"Searching {name} with {total // len(indexes):,} windows each, {total:,} in all"
    return Table(title, ("", *figures), (("", *figures.values()),))


def _ask(index: QuoteIndex, question: str) -> float:
    began = time.perf_counter()
    found = index.search(question, DEEPEST)
    seconds = time.perf_counter() - began
    if not found:
        raise GatewayError(f"Nothing was found in {index.namespace}.")
    return seconds


def _recall(index: QuoteIndex, embedder: Embedder, talk: InventedTalk) -> Iterator[float]:
    """The share of the ten windows nearest by all vectors that the index finds nearest, by question."""
    library = Library(index.home / LIBRARY_FILE, 10.0)
    store = VectorIndex(library, embedder.name, index.home / STORE_FOLDER, None, _refuse)
    listed = library.transcripts(embedder.name)
    try:
        for vector in embedder.encode([talk.question(5000 + number) for number in range(RECALLED)]):
            found = nearest(store, vector, DEPTH, listed, on_notice=_refuse)[:DEEPEST]
            exact = scan(library, embedder.name, vector, DEEPEST, listed)
            both = {(hit.key, hit.number) for hit in exact} & {(hit.key, hit.number) for hit in found}
            yield len(both) / len(exact)
    finally:
        store.close()
        library.close()


def _refuse(notice: str) -> None:
    raise GatewayError(notice)


def _filled(tell: Callable[[str], None], folder: Path, teams: Teams) -> Filling:
    """Fill the libraries by writers that are killed on the way, each going on where it was."""
    began = time.perf_counter()
    parts = [part for part in _parts(teams) if part.numbers]
    kills = 0
    for number in range(KILLS):
        tell(f"filling {len(teams.numbers)} teams, to be killed: {number + 1} of {KILLS}")
        with _writers(folder, parts) as writers:
            deadline = time.monotonic() + KILLED_AFTER
            while time.monotonic() < deadline and any(writer.poll() is None for writer in writers):
                time.sleep(0.1)
            kills += sum(writer.poll() is None for writer in writers)
    with _writers(folder, parts) as writers:
        while any(writer.poll() is None for writer in writers):
            time.sleep(5.0)
            tell(f"filling {len(teams.numbers)} teams: {_encoded(folder, parts):,} sentences encoded")
        if any(writer.returncode for writer in writers):
            raise GatewayError("A writer failed.")
    sentences = len(teams.numbers) * teams.transcripts * teams.sentences
    return Filling(time.perf_counter() - began, sentences, _encoded(folder, parts), kills)


def _parts(teams: Teams) -> Iterator[Teams]:
    numbers = teams.numbers
    share = -(-len(numbers) // WRITERS)
    for begin in range(numbers.start, numbers.stop, share):
        yield Teams(range(begin, min(begin + share, numbers.stop)), teams.transcripts, teams.sentences)


@contextmanager
def _writers(folder: Path, parts: Sequence[Teams]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Writers, a process for each part; those that still run in the end are killed."""
    command = [sys.executable, "-m", "benchmark.quotes_writer", str(folder)]
    writers = [
        subprocess.Popen([*command, *part.arguments], stdout=subprocess.DEVNULL)  # noqa: S603  # our own
        for part in parts
    ]
    try:
        yield writers
    finally:
        for writer in writers:
            for child in psutil.Process(writer.pid).children(recursive=True) if writer.poll() is None else ():
                child.kill()
            writer.kill()
            writer.wait()


def _encoded(folder: Path, parts: Sequence[Teams]) -> int:
    files = [folder / COUNTS.format(part.numbers.start) for part in parts]
    return sum(int(line) for file in files if file.exists() for line in file.read_text("utf-8").split())

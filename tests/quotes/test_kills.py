"""Writers that are killed and stores that are broken: nothing acknowledged is lost, and search goes on."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import spoken_lines
from spoken_lines import BANK, GARDEN, made_of

from aai_gateway.quotes.index import QuoteIndex
from aai_gateway.quotes.vector_index import VectorIndex

WRITER = """
import sys
from pathlib import Path
from spoken_lines import BANK, GARDEN, made_of
from aai_gateway.quotes.embedder import load_embedder
from aai_gateway.quotes.index import QuoteIndex

folder, name, url, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3] or None, int(sys.argv[4])
with QuoteIndex(folder, load_embedder(), chroma_url=url, lock_wait=60) as index:
    for number in range(count):
        lines = [f"{line} That was meeting {number} of {name}." for line in GARDEN + BANK]
        index.add(f"{name}-{number}", made_of(lines, "AB"))
        print(f"{name}-{number}", flush=True)
"""


def writer(folder: Path, name: str, url: str = "", count: int = 200) -> subprocess.Popen[str]:
    """A process that adds transcripts one after the other, and prints the id of each that it has added."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, url, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(spoken_lines.__file__).parent,
    )


@pytest.fixture(scope="module")
def filled(tmp_path_factory, embedder):
    folder = tmp_path_factory.mktemp("filled")
    with QuoteIndex(folder, embedder) as index:
        index.add("garden", made_of(GARDEN, "AB"))
        index.add("bank", made_of(BANK))
    return folder


def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(tmp_path, embedder):
    acknowledged: set[str] = set()
    for kill in range(2):
        with writer(tmp_path, f"run{kill}") as process:
            assert process.stdout is not None
            acknowledged.add(process.stdout.readline().strip())
            time.sleep(random.uniform(0.05, 1.5))
            process.send_signal(signal.SIGKILL)
            # A line that was cut off is of one that was not acknowledged.
            acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        with QuoteIndex(tmp_path, embedder) as index:
            index.resume()
            assert acknowledged <= {transcript.id for transcript in index.transcripts()}
            assert index.search("slugs after the rain", 3)
            library, store, _ = index._open()
            assert index.count() == store.count()
            assert [] == library.unfinished(embedder.name)


@pytest.mark.parametrize("damage", ["deleted", "cut", "garbage"])
def test_a_broken_store_is_noticed_said_and_made_again_without_encoding(tmp_path, embedder, garden, damage):
    said: list[str] = []
    with QuoteIndex(tmp_path, embedder) as index:
        index.add("garden", garden)
        home = index.home
    for path in (home / "chroma").rglob("*"):
        if path.is_file():
            _damage(path, damage)
    with QuoteIndex(tmp_path, Unable(embedder), on_notice=said.append) as index:
        index.resume()
        library, store, _ = index._open()
        assert 4 == store.count()
        hits = store.nearest(library.window_vectors([1], embedder.name)[2], 1)
        assert [(1, 2)] == [(hit.key, hit.number) for hit in hits]
    assert 1 == len(said)
    assert "is made again from the library" in said[0]
    assert str(home) in said[0]


def test_a_search_needs_no_store_that_works(filled, embedder, monkeypatch):
    def broken(self: VectorIndex, *args: object) -> None:
        raise AssertionError("asked for the store")

    monkeypatch.setattr(VectorIndex, "nearest", broken)
    with QuoteIndex(filled, embedder) as index:
        assert "garden" == index.search("how to get rid of slugs", 1)[0].transcript_id


def test_rebuilding_encodes_nothing(filled, embedder):
    with QuoteIndex(filled, Unable(embedder)) as index:
        assert 6 == index.rebuild()
        assert 6 == index._open()[1].count()


def test_what_the_gateway_no_longer_has_is_removed(tmp_path, embedder, garden, bank):
    with QuoteIndex(tmp_path, embedder) as index:
        index.add("garden", garden)
        index.add("bank", bank)
        assert ["garden"] == index.keep_only(["bank", "never-indexed"])
        assert ["bank"] == [transcript.id for transcript in index.transcripts()]
        assert {"bank"} == {quote.transcript_id for quote in index.search("slugs and tomatoes", 5)}


@pytest.fixture
def chroma_server(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "chroma"), "run", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--path", str(tmp_path / "server")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(300):
                try:
                    httpx.get(f"{url}/api/v2/heartbeat").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def test_three_writers_share_a_chroma_server(tmp_path, embedder, chroma_server):
    writers = [writer(tmp_path / "index", name, chroma_server, count=3) for name in "abc"]
    for process in writers:
        process.communicate(timeout=120)
    assert [0, 0, 0] == [process.returncode for process in writers]
    with QuoteIndex(tmp_path / "index", embedder, chroma_url=chroma_server) as index:
        names = sorted(f"{name}-{number}" for name in "abc" for number in range(3))
        assert names == sorted(transcript.id for transcript in index.transcripts())
        assert index.count() == index._open()[1].count()


class Unable:
    """An embedder that can encode nothing."""

    def __init__(self, embedder):
        self.name = embedder.name

    def encode(self, texts, on_notice):
        raise AssertionError(f"encoded {texts}")


def _damage(path: Path, damage: str) -> None:
    if damage == "deleted":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(random.Random(1).randbytes(max(path.stat().st_size, 100)))

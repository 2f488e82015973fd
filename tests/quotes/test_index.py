from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from itertools import combinations

import pytest

from aai_gateway.errors import IndexUnavailable
from aai_gateway.quotes import store_guard
from aai_gateway.quotes.index import QuoteIndex
from aai_gateway.quotes.index_folder import LIBRARY_FILE, LOCK_FILE, STORE_FOLDER
from aai_gateway.quotes.passages import overlap
from aai_gateway.quotes.vector_index import VectorIndex


class CountingEmbedder:
    """The real embedder, counting the texts that it encodes."""

    def __init__(self, embedder):
        self.name = embedder.name
        self._embedder = embedder
        self.encoded = 0

    def encode(self, texts, on_notice):
        self.encoded += len(texts)
        return self._embedder.encode(texts, on_notice)


def test_a_passage_is_found_by_meaning_with_its_place(index, garden, bank):
    assert (4, 2) == (index.add("garden", garden), index.add("bank", bank, region="eu"))
    (found,) = index.search("how do I get rid of snails", 1)
    assert "garden" == found.transcript_id
    assert "Slugs come out after rain." in found.text
    assert (garden[found.first].start, garden[found.last].end) == (found.start, found.end)
    assert {"A", "B"} == set(found.speakers)
    assert "us" == found.region
    assert 0 < found.confidence <= 1
    (found,) = index.search("payment to shareholders", 1)
    assert ("bank", "eu", ()) == (found.transcript_id, found.region, found.speakers)


def test_results_are_best_first_and_never_overlap(index, garden, bank):
    index.add("garden", garden)
    index.add("bank", bank)
    found = index.search("money", 10)
    assert not any(overlap(a, b) for a, b in combinations(found, 2))
    # Six windows, of which neighbours share sentences: at least one of two transcripts gives two.
    assert 3 <= len(found) <= 4


def test_a_verbatim_window_is_found_as_it_is(index, garden):
    index.add("garden", garden)
    text = " ".join(sentence.text for sentence in garden[3:8])
    (found,) = index.search(text, 1)
    assert (3, 7) == (found.first, found.last)
    assert 0.8 < found.confidence <= 1.0


def test_a_search_can_stay_inside_one_transcript(index, garden, bank):
    index.add("garden", garden)
    index.add("bank", bank)
    found = index.search("how do I get rid of snails", 5, transcript_ids=["bank"])
    assert {"bank"} == {quote.transcript_id for quote in found}
    assert index.search("anything", 5, transcript_ids=["unknown"]) == []


def test_adding_again_changes_nothing_and_encodes_nothing(tmp_path, embedder, garden):
    counting = CountingEmbedder(embedder)
    with QuoteIndex(tmp_path, counting) as index:
        index.add("garden", garden)
        index.add("garden", garden)
        assert 4 == index.count()
        assert 12 == counting.encoded


def test_windows_that_a_transcript_no_longer_has_are_removed(index, garden, bank):
    index.add("garden", garden)
    index.add("garden", bank)
    assert 2 == index.count()
    assert "revenue" in index.search("growth", 1)[0].text
    assert 0 == index.add("garden", [])
    assert 0 == index.count()


def test_a_transcript_can_be_deleted(index, garden, bank):
    index.add("garden", garden)
    index.add("bank", bank)
    assert 4 == index.delete("garden")
    assert 0 == index.delete("garden")
    assert {"bank"} == {quote.transcript_id for quote in index.search("tomatoes", 5)}


def test_the_last_transcript_leaves_without_a_fuss(tmp_path, embedder, garden, bank):
    told: list[str] = []
    for added in ("garden", "bank"):
        with QuoteIndex(tmp_path, embedder, on_notice=told.append) as index:
            index.add(added, garden if added == "garden" else bank)
        with QuoteIndex(tmp_path, embedder, on_notice=told.append) as index:
            index.delete(added)
            assert [] == index.search("tomatoes", 5)
            index.add("garden", garden)
            assert ["garden"] == [quote.transcript_id for quote in index.search("tomatoes", 1)]
            index.delete("garden")
    assert [] == told


def test_an_empty_index_finds_nothing_and_makes_nothing(index):
    assert index.search("anything") == []
    assert 0 == index.count()
    assert 0 == index.delete("garden")
    assert not index.folder.exists()


def test_nothing_to_look_for_finds_nothing(index, garden):
    index.add("garden", garden)
    assert index.search("   ") == []
    assert index.search("tomatoes", 0) == []


def test_namespaces_do_not_find_each_others_windows(tmp_path, embedder, garden, bank):
    with QuoteIndex(tmp_path, embedder, namespace="research") as research:
        research.add("garden", garden)
        with QuoteIndex(tmp_path, embedder, namespace="newsroom") as newsroom:
            newsroom.add("bank", bank)
            assert {"bank"} == {quote.transcript_id for quote in newsroom.search("tomatoes", 9)}
        assert {"garden"} == {quote.transcript_id for quote in research.search("dividend", 9)}


def test_what_was_added_is_there_after_closing(tmp_path, embedder, garden):
    with QuoteIndex(tmp_path, embedder) as index:
        index.add("garden", garden)
    with QuoteIndex(tmp_path, embedder) as index:
        assert 4 == index.count()
        index.close()
        assert 4 == index.count()


def test_more_windows_than_one_batch_takes(index, garden, monkeypatch):
    index.add("other", garden[:2])
    monkeypatch.setattr("chromadb.api.client.Client.get_max_batch_size", lambda self: 3)
    assert 4 == index.add("garden", garden)
    assert 5 == index.count()
    assert 4 == index.delete("garden")


def test_a_second_writer_is_told_to_wait(index, garden, tmp_path):
    hold = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    index.home.mkdir(parents=True)
    command = [sys.executable, "-c", hold, str(index.home / LOCK_FILE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(IndexUnavailable, match=r"Another process is writing.*one writer at a time"):
            index.add("garden", garden)
        other.communicate()
    assert 4 == index.add("garden", garden)


def test_two_processes_that_write_in_turn_lose_nothing(index, garden, bank):
    """Each with its store open all the while: a write begins from what the other one left."""
    write = (
        "import sys; from pathlib import Path\n"
        "from aai_gateway.quotes import QuoteIndex\n"
        "from aai_gateway.quotes.embedder import load_embedder\n"
        "from aai_gateway.quotes.windows import Sentence\n"
        "with QuoteIndex(Path(sys.argv[1]), load_embedder()) as index:\n"
        "    for name in sys.stdin:\n"
        "        index.add(name.strip(), [Sentence(0, 'Written by ' + name.strip() + '.', 0, 900)])\n"
        "        print(index.count(), flush=True)\n"
    )
    index.add("garden", garden)
    command = [sys.executable, "-c", write, str(index.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        for turn in range(3):
            other.stdin.write(f"theirs-{turn}\n")
            other.stdin.flush()
            assert f"{5 + 2 * turn}\n" == other.stdout.readline()
            index.add(f"ours-{turn}", bank[:1])
        other.stdin.close()
    index.close()
    assert 10 == index.count()
    assert {"theirs-0", "theirs-1", "theirs-2"} == {
        q.transcript_id for q in index.search("Written by theirs", 3)
    }


def test_a_library_that_cannot_be_read_says_what_to_do(index):
    index.home.mkdir(parents=True)
    (index.home / LIBRARY_FILE).write_bytes(b"not a database " * 500)
    with pytest.raises(IndexUnavailable, match="quotes index"):
        index.count()


def test_a_folder_that_cannot_be_made_says_so(tmp_path, embedder, garden):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(IndexUnavailable, match=r"cannot be used \(.*\)\.$"):
        QuoteIndex(tmp_path / "file" / "quotes", embedder).add("garden", garden)


def test_a_folder_that_is_read_only_is_said_to_be(index, monkeypatch):
    (index.home / LIBRARY_FILE).mkdir(parents=True)
    # Nothing is read-only to root, who may run this.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(IndexUnavailable, match="must be writable, also to search"):
        index.count()


def test_a_fork_of_a_process_that_has_used_it_says_so(index, garden):
    index.add("garden", garden)
    said, telling = os.pipe()
    if (child := os.fork()) == 0:
        try:
            index.search("slugs", 1)
        except IndexUnavailable as error:
            os.write(telling, str(error).encode())
        finally:
            index.close()
            os._exit(0)
    os.close(telling)
    with os.fdopen(said) as reading:
        assert "cannot be used in a fork" in reading.read()
    os.waitpid(child, 0)
    assert index.search("slugs", 1)


def test_a_full_disk_is_no_reason_to_begin_again(index, garden, monkeypatch):
    index.add("garden", garden)

    def full(*arguments):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("aai_gateway.quotes.library.Library.begin", full)
    with pytest.raises(IndexUnavailable, match=r"\(database or disk is full\)\.$"):
        index.add("bank", garden)
    assert ["garden"] == [one.id for one in index.transcripts()]


def test_what_is_near_is_enough_to_rank(index, garden, bank, monkeypatch):
    index.add("garden", garden * 8)
    index.add("bank", bank)
    questions = ["how do I get rid of snails", "what did B say about tomatoes", "growth of revenue"]
    whole = [index.search(question, 6) for question in questions]
    monkeypatch.setattr("aai_gateway.quotes.index.RANKED_WHOLE", 0)
    assert whole == [index.search(question, 6) for question in questions]


def test_a_store_that_was_closed_is_not_looked_into_again(tmp_path, embedder, garden, monkeypatch):
    with QuoteIndex(tmp_path, embedder) as index:
        index.add("garden", garden)
    monkeypatch.setattr(VectorIndex, "_connected", lambda store: pytest.fail("Chroma was opened"))
    with QuoteIndex(tmp_path, embedder, on_notice=pytest.fail) as index:
        assert "Slugs" in index.search("snails", 1)[0].text


def test_a_store_whose_files_were_touched_is_looked_into_once(tmp_path, embedder, garden, monkeypatch):
    with QuoteIndex(tmp_path, embedder) as index:
        index.add("garden", garden)
        os.utime(index.home / STORE_FOLDER / "chroma.sqlite3", (1, 1))
    probes = []
    monkeypatch.setattr(store_guard, "probe", lambda *args: probes.append(args) or "")
    for _ in range(3):
        with QuoteIndex(tmp_path, embedder, on_notice=pytest.fail) as index:
            index.search("snails", 1)
    assert 1 == len(probes)


def test_some_vectors_are_those_of_the_whole(index, garden, monkeypatch):
    monkeypatch.setattr("aai_gateway.quotes.index.SLICE", 5)
    index.add("garden", garden)
    library, _, reader = index._open()
    (key,) = (transcript.key for transcript in index.transcripts())
    whole = reader.vectors(key)
    for first, last in combinations(range(len(garden)), 2):
        part = library.some_vectors(key, index.embedder.name, first, last)
        assert part.tolist() == whole[first : last + 1].tolist()

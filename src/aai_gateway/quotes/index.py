"""The quote index: what was said in many transcripts, to be found by meaning and by its words.

Each namespace has a folder of its own: nobody's windows are another's business, and a store that breaks is
one team's. In it `library.db` is the truth (`library.py`), and `chroma` the index over it (`vector_index.py`)
unless that is on a Chroma server. What is added is saved as it is encoded: a run that is killed goes on where
it was. In one process, share one QuoteIndex for a namespace.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Concatenate, NamedTuple, ParamSpec, TypeVar

from aai_gateway.errors import IndexUnavailable
from aai_gateway.quotes.index_folder import (
    LIBRARY_FILE,
    STORE_FOLDER,
    clear_former,
    namespace_folder,
    one_writer,
)
from aai_gateway.quotes.library import IndexedTranscript, Library
from aai_gateway.quotes.packing import window_span
from aai_gateway.quotes.passages import Quote, without_overlaps
from aai_gateway.quotes.query_reading import read_query
from aai_gateway.quotes.ranking import query_vector, reach_of, score_windows, spread, window_cosine
from aai_gateway.quotes.stretches import StretchReader
from aai_gateway.quotes.vector_index import VectorIndex
from aai_gateway.quotes.window_search import (
    Filters,
    Wanted,
    any_word,
    nearest,
    window_quote,
    windows_of_speaker,
)
from aai_gateway.quotes.windows import Sentence

if TYPE_CHECKING:
    from types import TracebackType

    from aai_gateway.quotes.embedder import Embedder, Matrix

T = TypeVar("T")
P = ParamSpec("P")

LOCK_WAIT = 10.0
# Sentences that are encoded and saved at a time: what a kill can cost, some seconds' work.
SLICE = 512
# A store with more windows than this is made again by the next write, not while somebody waits for a search.
MEND_UP_TO = 10_000
# Windows that each way of looking hands to the ranking, where there are too many to rank them all.
DEPTH = 50
RANKED_WHOLE = 2_000


def _reported(
    method: Callable[Concatenate[QuoteIndex, P], T],
) -> Callable[Concatenate[QuoteIndex, P], T]:
    """One call at a time; what SQLite and the file system raise becomes IndexUnavailable with advice.

    So is use in a fork: it has the locks of the encoder's threads, but not the threads.
    """

    @wraps(method)
    def call(self: QuoteIndex, /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._require_own_process()
        with self._mutex:
            try:
                return method(self, *args, **kwargs)
            except (sqlite3.Error, OSError) as error:
                raise _unusable(self.home, error) from error

    return call


class _Opened(NamedTuple):
    library: Library
    store: VectorIndex
    reader: StretchReader


class QuoteIndex:
    """What was said in many transcripts. Use it as a context manager, or `close()` it.

    `folder` is made when the first transcript is added. `namespace` separates those who must not find each
    other's windows. `chroma_url` is a Chroma server that several may write to; without it, one process at a
    time writes, and another waits `lock_wait` seconds for it to end. `on_notice` is told, in a sentence each,
    what was found broken and mended, and what takes long. Every method may raise IndexUnavailable.
    """

    def __init__(
        self,
        folder: Path,
        embedder: Embedder,
        *,
        namespace: str = "default",
        chroma_url: str | None = None,
        lock_wait: float = LOCK_WAIT,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        if find_spec("chromadb") is None:
            raise IndexUnavailable("Quotes need the extra packages: pip install 'aai-gateway[quotes]'.")
        self.folder = folder
        self.embedder = embedder
        self.namespace = namespace
        self.home = namespace_folder(folder, namespace)
        self._chroma_url = chroma_url
        self._lock_wait = lock_wait
        self._on_notice = on_notice or (lambda text: None)
        self._opened: _Opened | None = None
        self._looked_after = False
        self._mutex = RLock()
        self._used_in: int | None = None

    def __enter__(self) -> QuoteIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files. The index opens them again when it is used again. Does nothing in a fork."""
        if self._used_in not in (None, os.getpid()):
            return
        with self._mutex:
            if self._opened is not None:
                opened, self._opened = self._opened, None
                opened.store.close()
                opened.library.close()

    def _require_own_process(self) -> None:
        if self._used_in is None:
            self._used_in = os.getpid()
        if self._used_in != os.getpid():
            raise IndexUnavailable(
                "A quote index cannot be used in a fork of a process that has used it: start the other "
                "process with multiprocessing's `spawn`, and open the index there."
            )

    @_reported
    def add(
        self,
        transcript_id: str,
        sentences: Sequence[Sentence],
        *,
        region: str = "us",
        created_at: datetime | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Store a transcript and return how many windows it has.

        Adding it again encodes only sentences whose text is new: none when nothing changed, the rest when an
        earlier run was killed. Its former version is found until all is encoded. `on_progress` is told how
        many sentences are encoded, and of how many.
        """
        if not sentences:
            self.delete(transcript_id)
            return 0
        with self._writing() as (library, store):
            key = library.begin(transcript_id, sentences, region, created_at)
            windows = self._encode(library, key, on_progress)
            store.settle()
        return windows

    @_reported
    def resume(self, on_progress: Callable[[int, int], None] | None = None) -> list[str]:
        """Finish what a killed run has left, and return the ids of the transcripts that were finished."""
        if self._reading() is None:
            return []
        with self._writing() as (library, store):
            keys = library.unfinished(self.embedder.name)
            ids = [library.transcript_id(key) for key in keys]
            for key in keys:
                self._encode(library, key, on_progress)
            store.settle()
        return ids

    @_reported
    def delete(self, transcript_id: str) -> int:
        """Remove a transcript and return how many windows it had."""
        return self.remove([transcript_id])

    @_reported
    def remove(self, transcript_ids: Collection[str]) -> int:
        """Remove transcripts, those that are not there too, and return how many windows they had."""
        before = self.count()
        if self._reading() is None:
            return 0
        with self._writing() as (library, store):
            for transcript_id in transcript_ids:
                library.delete(transcript_id)
            store.settle()
        return before - self.count()

    @_reported
    def keep_only(self, transcript_ids: Collection[str]) -> list[str]:
        """Remove every transcript that is not among these, and return the ids of those removed."""
        library = self._reading()
        kept = set(transcript_ids)
        gone = [id_ for id_ in library.ids() if id_ not in kept] if library is not None else []
        if gone:
            self.remove(gone)
        return gone

    @_reported
    def rebuild(self) -> int:
        """Make the vector store again from the library, encoding nothing; how many windows it has."""
        if self._reading() is None:
            return 0
        with self._writing() as (_, store):
            store.start_over()
        return self.count()

    @_reported
    def count(self) -> int:
        """How many windows this namespace has for this embedding model."""
        return sum(transcript.windows for transcript in self.transcripts())

    @_reported
    def transcripts(self) -> list[IndexedTranscript]:
        """The transcripts that can be found, those that were added first first."""
        library = self._reading()
        return library.transcripts(self.embedder.name) if library is not None else []

    @_reported
    def sentences(self, transcript_id: str) -> list[Sentence]:
        """A transcript's sentences with their words; none when it is not in the index."""
        library = self._reading()
        key = library.current_key(transcript_id, self.embedder.name) if library is not None else None
        return library.sentences(key) if library is not None and key is not None else []

    @_reported
    def vectors(self, transcript_id: str) -> Matrix | None:
        """A normalised float32 row for each of a transcript's sentences; None when it is not in the index."""
        library = self._reading()
        key = library.current_key(transcript_id, self.embedder.name) if library is not None else None
        return self._open().reader.vectors(key) if key is not None else None

    @_reported
    def search(
        self,
        text: str,
        n: int = 5,
        *,
        transcript_ids: Sequence[str] | None = None,
        speaker: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Quote]:
        """The `n` passages that are most about `text`, best first, none overlapping another.

        Over every transcript of the namespace, or of some ids, one speaker, a time (from `since` to `until`).
        """
        library = self._reading()
        if n < 1 or not text.strip() or library is None:
            return []
        self._look_after()
        filters = Filters(transcript_ids, speaker, since, until)
        _, store, reader = self._open()
        every = library.transcripts(self.embedder.name)
        chosen = {transcript.key: transcript for transcript in every if filters.allows(transcript)}
        wanted = _wanted(library, speaker, chosen, every=len(chosen) == len(every))
        windows = sum(transcript.windows for transcript in chosen.values())
        few = windows <= RANKED_WHOLE
        reading = read_query(text, reader.speakers(chosen) if few else library.speakers())
        vector = query_vector(*self.embedder.encode([reading.subject, text], self._on_notice))
        depth = windows if few else max(DEPTH, 3 * n)
        listed = list(chosen.values())
        dense = nearest(store, vector, depth, listed, wanted, on_notice=self._on_notice)
        only = next(iter(chosen)) if len(chosen) == 1 else None
        lexical = library.lexical(any_word(reading.subject), depth, wanted, only=only)
        by_words = {(hit.key, hit.number): hit.score for hit in lexical if hit.key in chosen}
        found = [*((hit.key, hit.number) for hit in dense if hit.key in chosen), *by_words]
        named = reading.speakers
        stretches = reader.whole(found, chosen) if few else reader.near(found, chosen, reach_of(named))
        scored = score_windows(stretches, by_words, vector, named)
        spread_out = spread(scored, {key: one.sentences for key, one in chosen.items()})
        return without_overlaps(
            (self._quote(library, chosen[one.key], one.number, vector) for one in spread_out), n
        )

    def _encode(
        self, library: Library, key: int, on_progress: Callable[[int, int], None] | None = None
    ) -> int:
        """Encode what is left of a version, saving slice by slice; how many windows it has."""
        model = self.embedder.name
        sentences = library.sentences(key)
        done, total = library.encoded(key, model), len(sentences)
        known = library.known_vectors(library.transcript_id(key), model) if done < total else {}
        while done < total:
            texts = [sentence.text for sentence in sentences[done : done + SLICE]]
            new = list(dict.fromkeys(text for text in texts if text not in known))
            if new:
                known.update(zip(new, self.embedder.encode(new, self._on_notice), strict=True))
            library.save_vectors(key, model, done, [known[text] for text in texts])
            done += len(texts)
            if on_progress is not None:
                on_progress(done, total)
        return library.finish(key, model)

    def _quote(self, library: Library, transcript: IndexedTranscript, number: int, vector: Matrix) -> Quote:
        first, last = window_span(number, transcript.sentences)
        vectors = library.some_vectors(transcript.key, self.embedder.name, first, last)
        cosine = window_cosine(vectors, vector)
        return window_quote(library, transcript, number, cosine)

    def _reading(self) -> Library | None:
        """The library, or None while nothing has been stored. Makes nothing."""
        if self._opened is None and not (self.home / LIBRARY_FILE).exists():
            return None
        return self._open().library

    def _open(self) -> _Opened:
        if self._opened is None:
            library = Library(self.home / LIBRARY_FILE, self._lock_wait)
            store = VectorIndex(
                library, self.embedder.name, self.home / STORE_FOLDER, self._chroma_url, self._on_notice
            )
            self._opened = _Opened(library, store, StretchReader(library, self.embedder.name))
        return self._opened

    def _look_after(self) -> None:
        """Once, when the store is not as it should be, nobody writes and it is small: bring it in order."""
        if self._looked_after:
            return
        self._looked_after = True
        library, store, _ = self._open()
        windows = sum(transcript.windows for transcript in library.transcripts(self.embedder.name))
        if windows <= MEND_UP_TO and not store.trusted():
            with suppress(IndexUnavailable), one_writer(self.home, 0.0):
                store.settle()

    @contextmanager
    def _writing(self) -> Iterator[tuple[Library, VectorIndex]]:
        """The library and the store, made if need be, while no other process may write."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with one_writer(self.home, self._lock_wait) if self._chroma_url is None else nullcontext():
            clear_former(self.folder, self._on_notice)
            library, store, _ = self._open()
            yield library, store


def _unusable(home: Path, error: sqlite3.Error | OSError) -> IndexUnavailable:
    """The error with advice: a full disk, or a folder that is read-only, is no reason to begin again."""
    said = f"The quote index in {home} cannot be used ({error})."
    if any(one.exists() and not os.access(one, os.W_OK) for one in (home, home / LIBRARY_FILE)):
        # SQLite needs that to read, and a search takes out what may no longer be read at the gateway.
        return IndexUnavailable(f"{said} The folder and its files must be writable, also to search.")
    of_the_moment = (OSError, sqlite3.OperationalError, sqlite3.IntegrityError)
    if isinstance(error, of_the_moment) and "no such" not in str(error):
        return IndexUnavailable(said)
    return IndexUnavailable(
        f"{said} It can be made again: move the folder away, then run `aai-gateway quotes index` on the "
        "transcripts."
    )


def _wanted(
    library: Library, speaker: str | None, chosen: Mapping[int, IndexedTranscript], *, every: bool
) -> Wanted | None:
    """Which windows may be found, None where all may."""
    if speaker is not None:
        places = windows_of_speaker(library, speaker, list(chosen.values()))
        return lambda key, number: (key, number) in places
    return None if every else lambda key, number: key in chosen

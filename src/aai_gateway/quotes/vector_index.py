"""Chroma over the library: the window vectors of one namespace and model in one collection.

The library is the truth and says what a store should hold; a store that does not open, or holds something
else, is emptied and filled again from it, and nothing has to be encoded. A store in process takes one writer
at a time (the caller holds the lock); a Chroma server takes several.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aai_gateway.errors import IndexUnavailable
from aai_gateway.quotes import store_guard
from aai_gateway.quotes.library import Library, WindowHit
from aai_gateway.quotes.placements import Placement
from aai_gateway.quotes.windows import Window, windows

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

# With these, 0.997 of the exact ten nearest are found among 5,000 windows and 0.99 among 100,000.
HNSW = {"space": "cosine", "max_neighbors": 32, "ef_construction": 200, "ef_search": 200}
SAMPLES = 20
IN_PROCESS = "in process"


class StoreBroken(Exception):
    """A Chroma store did not do what it was asked to; the message says what it answered."""


class VectorIndex:
    """A namespace's windows in Chroma: in `folder` in process, or on the server at `url`.

    `on_notice` is told, in a sentence, when the store had to be made again.
    """

    def __init__(
        self, library: Library, model: str, folder: Path, url: str | None, on_notice: Callable[[str], None]
    ) -> None:
        self.library = library
        self.model = model
        self.folder = folder
        self.url = url
        self.placements = library.placements(url or IN_PROCESS, model)
        self._on_notice = on_notice
        self._client: Any = None
        self._collection: Any = None

    @property
    def collection_name(self) -> str:
        """Of the library and the model: on a server, nobody else's windows are in it."""
        model = re.sub(r"[^A-Za-z0-9]+", "-", Path(self.model).name).strip("-")[:40]
        identity = hashlib.sha256(f"{self.model}\0{self.library.id}".encode()).hexdigest()[:16]
        return f"quotes-{model}-{identity}"

    def close(self) -> None:
        """Close the store. It is opened again when it is used again."""
        client, self._client, self._collection = self._client, None, None
        if client is None:
            return
        sealed = self.url is None and self._sealed()
        with _reported():
            client.close()
        if sealed:
            # To close a store is to touch it.
            self._seal()

    def settle(self) -> None:
        """Bring the store in line with the library: what is new in, what is gone out.

        Raises IndexUnavailable where the server cannot be reached, or a store made anew fails as well.
        """
        try:
            self._settle()
        except StoreBroken as error:
            self._start_over(str(error))
            try:
                self._settle()
            except StoreBroken as again:
                raise IndexUnavailable(
                    f"The vector store in {self.folder} fails even when it is made anew ({again}). The "
                    "transcripts are saved in the library and can be searched."
                ) from again

    def start_over(self) -> None:
        """Empty the store and fill it from the library. Raises IndexUnavailable."""
        self._empty()
        self.settle()

    def trusted(self) -> bool:
        """Whether the store, as far as can be seen without opening it, is as its last writer left it."""
        if not self.placements.read().settled:
            return False
        return self.url is not None or self._sealed()

    def nearest(self, vector: Matrix, n: int) -> list[WindowHit]:
        """The `n` windows nearest to a vector, best first; about one of a hundred is missed.

        Raises StoreBroken.
        """
        opened = self._client is not None
        collection = self._opened()
        with _reported():
            found = collection.query(query_embeddings=[vector], n_results=n, include=["distances"])
        if not opened and self.url is None:
            # To open a store is to touch it.
            self._seal()
        pairs = zip(found["ids"][0], found["distances"][0], strict=True)
        return [WindowHit(*_place_of(id_), 1.0 - float(distance)) for id_, distance in pairs]

    def count(self) -> int:
        """How many windows the store holds. Raises StoreBroken."""
        collection = self._opened()
        with _reported():
            return int(collection.count())

    def _settle(self) -> None:
        if self._client is None:
            self._check()
        placements = self.placements.read()
        if placements.settled:
            if self._touched():
                # It was looked into, and is whole.
                self._seal()
            return
        if self.url is None:
            self.library.note("seal", "unfinished")
        for key, count in placements.stale:
            self._remove(key, count)
        for key, count in placements.missing:
            self._put(key, count)
        if self.url is None:
            self._write_out()
            self._seal()

    def _write_out(self) -> None:
        """Have Chroma write out what it has only logged, so that the seal is of whole files."""
        vector = self.library.any_window_vector(self.model)
        collection = self._opened()
        with _reported():
            if vector is not None:
                collection.query(query_embeddings=[vector], n_results=1, include=[])
                return
            # There is nothing to ask for; an empty collection is made again when it is wanted.
            self._client.delete_collection(self.collection_name)
        self._collection = None

    def _check(self) -> None:
        """Raise StoreBroken unless the store opens and holds what the library says that it does."""
        before = self.placements.read()
        if self._touched():
            self._probe(before)
        count = self.count()
        unchanged = before == self.placements.read()
        if unchanged and not before.writing and count != before.placed:
            raise StoreBroken(f"it holds {count} windows where {before.placed} were stored")

    def _probe(self, placements: Placement) -> None:
        """A damaged store can end the process that opens it, so another process looks first."""
        samples = {
            f"{key}:{count - 1}": self.library.window_vectors([key], self.model)[-1].tolist()
            for key, count in placements.kept[-SAMPLES:]
            if count
        }
        complaint = store_guard.probe(self.folder, self.collection_name, samples)
        if complaint:
            raise StoreBroken(complaint)

    def _touched(self) -> bool:
        """Whether there are files in process, and somebody else has had a hand in them."""
        return self.url is None and self.folder.exists() and not self._sealed()

    def _sealed(self) -> bool:
        """Whether the files are as they were when the library was last told that they are whole."""
        return store_guard.seal(self.folder) == self.library.meta("seal")

    def _seal(self) -> None:
        self.library.note("seal", store_guard.seal(self.folder))

    def _put(self, key: int, count: int) -> None:
        collection = self._opened()
        made = windows(self.library.sentences(key))
        vectors = self.library.window_vectors([key], self.model)
        transcript_id = self.library.transcript_id(key)
        self.placements.writing(key, count)
        for part in self._batches(range(count)):
            with _reported():
                collection.upsert(
                    ids=[f"{key}:{number}" for number in part],
                    embeddings=vectors[part.start : part.stop],
                    metadatas=[_metadata(transcript_id, made[number]) for number in part],
                )
        self.placements.placed(key, count)

    def _remove(self, key: int, count: int) -> None:
        collection = self._opened()
        self.placements.writing(key, count)
        for part in self._batches(range(count)):
            with _reported():
                collection.delete(ids=[f"{key}:{number}" for number in part])
        self.placements.gone(key)

    def _batches(self, numbers: range) -> Iterator[range]:
        size: int = self._client.get_max_batch_size()
        return (numbers[start : start + size] for start in range(0, len(numbers), size))

    def _start_over(self, reason: str) -> None:
        self._on_notice(
            f"The vector store at {self.url or self.folder} cannot be used ({reason}). "
            "It is made again from the library; nothing has to be encoded."
        )
        self._empty()

    def _empty(self) -> None:
        if self.url is None:
            with suppress(StoreBroken):
                self.close()
            self.placements.nothing(of_any_model=True)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.library.note("seal", "")
            return
        client = self._connected()
        self.placements.nothing(of_any_model=False)
        with suppress(StoreBroken), _reported():
            client.delete_collection(self.collection_name)
        self._collection = None

    def _opened(self) -> Any:
        """The collection, made if need be."""
        if self._collection is None:
            client = self._connected()
            with _reported():
                self._collection = client.get_or_create_collection(
                    self.collection_name,
                    embedding_function=None,
                    configuration={"hnsw": HNSW},
                    metadata={"embedding_model": self.model, "library": self.library.id},
                )
        return self._collection

    def _connected(self) -> Any:
        if self._client is None:
            self._client = _server(self.url) if self.url else _in_process(self.folder)
        return self._client


def _in_process(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _reported():
        return chromadb.PersistentClient(path=str(folder), settings=Settings(anonymized_telemetry=False))


def _server(url: str) -> Any:
    import chromadb
    from chromadb.config import Settings

    parts = urlsplit(url)
    secure = parts.scheme == "https"
    try:
        return chromadb.HttpClient(
            host=parts.hostname or "localhost",
            port=parts.port or (443 if secure else 80),
            ssl=secure,
            settings=Settings(anonymized_telemetry=False),
        )
    except Exception as error:
        raise IndexUnavailable(
            f"The Chroma server at {url} cannot be reached ({error}). What was encoded is saved in the "
            "library, and is stored there when it answers again."
        ) from error


@contextmanager
def _reported() -> Iterator[None]:
    """What Chroma raises as StoreBroken: errors of its own, of the network, and panics of its Rust."""
    try:
        yield
    except Exception as error:
        raise StoreBroken(_first_line(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise StoreBroken(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _metadata(transcript_id: str, window: Window) -> dict[str, str | int]:
    # Chroma takes no empty list.
    return {
        "transcript_id": transcript_id,
        "first": window.first,
        "last": window.last,
        "start": window.start,
        "end": window.end,
        "speakers": json.dumps(window.speakers),
    }


def _place_of(id_: str) -> tuple[int, int]:
    key, _, number = id_.partition(":")
    return int(key), int(number)

"""The quote index: sentence windows and their vectors in Chroma, in process, under one folder.

One collection for each embedding model and namespace: a `where` over everybody's windows is slow, and
nobody's windows are another's business. Chroma's in-process store takes one writer: two processes that
write lose vectors without an error. So each write holds a file lock and opens the store afresh, to begin from
what the last writer left. In one process, share one QuoteIndex for a folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from aai_gateway.errors import IndexUnavailable
from aai_gateway.quotes.passages import Quote, confidence_of, without_overlaps
from aai_gateway.quotes.windows import Sentence, Window, windows

if TYPE_CHECKING:
    from types import TracebackType

    from aai_gateway.quotes.embedder import Embedder, Matrix

T = TypeVar("T")
P = ParamSpec("P")

STORE_FILE = "chroma.sqlite3"
LOCK_FILE = "writer.lock"
LOCK_WAIT = 10.0


def namespace_of(key: str) -> str:
    """The namespace of a virtual key's holder: 16 hex digits from which the key cannot be told."""
    return hashlib.sha256(key.removeprefix("Bearer ").strip().encode()).hexdigest()[:16]


def _reported(
    method: Callable[Concatenate[QuoteIndex, P], T],
) -> Callable[Concatenate[QuoteIndex, P], T]:
    """Turn what Chroma and the file system raise into IndexUnavailable with advice."""

    @wraps(method)
    def call(self: QuoteIndex, /, *args: P.args, **kwargs: P.kwargs) -> T:
        from chromadb.errors import ChromaError

        try:
            return method(self, *args, **kwargs)
        except (ChromaError, OSError, ValueError) as error:
            raise IndexUnavailable(
                f"The quote index in {self.folder} cannot be used ({error}). It can be made again: move the "
                "folder away, then run `aai-gateway quotes index` on the transcripts."
            ) from error

    return call


class QuoteIndex:
    """Windows of many transcripts, to be found by meaning. Use it as a context manager, or `close()` it.

    `folder` is made when the first transcript is added. `namespace` separates those who must not find each
    other's windows; `lock_wait` is how many seconds a write waits for another process's write to end.
    """

    def __init__(
        self,
        folder: Path,
        embedder: Embedder,
        *,
        namespace: str = "default",
        lock_wait: float = LOCK_WAIT,
    ) -> None:
        if find_spec("chromadb") is None:
            raise IndexUnavailable("Quotes need the extra packages: pip install 'aai-gateway[quotes]'.")
        self.folder = folder
        self.embedder = embedder
        self.namespace = namespace
        self._lock_wait = lock_wait
        self._client: Any = None

    def __enter__(self) -> QuoteIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store. The index opens it again when it is used again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @_reported
    def add(self, transcript_id: str, sentences: Sequence[Sentence], *, region: str = "us") -> int:
        """Store a transcript's windows and return how many it has.

        Adding it again changes nothing, encodes only windows whose text is new, and removes windows that it
        no longer has. Raises IndexUnavailable when the store cannot be used or another process keeps writing.
        """
        entries = {entry.id: entry for entry in _entries(transcript_id, region, sentences)}
        vectors = self._encode(_changed(entries, _stored(self._reading(), transcript_id)))
        with self._writing() as collection:
            stored = _stored(collection, transcript_id)
            changed = _changed(entries, stored)
            vectors |= self._encode([entry for entry in changed if entry.id not in vectors])
            # New windows first: a transcript that is cut short here is found twice rather than not at all.
            for batch in self._batches(changed):
                collection.upsert(
                    ids=[entry.id for entry in batch],
                    embeddings=[vectors[entry.id] for entry in batch],
                    documents=[entry.text for entry in batch],
                    metadatas=[entry.metadata for entry in batch],
                )
            self._delete(collection, [id_ for id_ in stored if id_ not in entries])
        return len(entries)

    @_reported
    def delete(self, transcript_id: str) -> int:
        """Remove a transcript's windows and return how many there were. Raises IndexUnavailable."""
        if self._reading() is None:
            return 0
        with self._writing() as collection:
            ids: list[str] = collection.get(where={"transcript_id": transcript_id}, include=[])["ids"]
            self._delete(collection, ids)
        return len(ids)

    @_reported
    def count(self) -> int:
        """How many windows this namespace has for this embedding model. Raises IndexUnavailable."""
        collection = self._reading()
        return int(collection.count()) if collection is not None else 0

    @_reported
    def search(self, text: str, n: int = 5, *, transcript_id: str | None = None) -> list[Quote]:
        """The `n` passages nearest in meaning to `text`, best first, none overlapping another.

        Over every transcript of the namespace, or inside one. Raises IndexUnavailable.
        """
        if n < 1 or not text.strip():
            return []
        if transcript_id is not None:
            return without_overlaps(self.candidates(transcript_id, [text])[0], n)
        collection = self._reading()
        total = collection.count() if collection is not None else 0
        if total == 0:
            return []
        vectors = self.embedder.encode([text])
        # A window overlaps two others, so this many leave n; channels that talk at once may need more.
        wanted = min(total, 3 * n)
        while True:
            found = without_overlaps(_nearest(collection, vectors, wanted), n)
            if len(found) == n or wanted == total:
                return found
            wanted = min(total, wanted * 2)

    @_reported
    def candidates(self, transcript_id: str, texts: Sequence[str]) -> list[list[Quote]]:
        """For each text, every window of one transcript, best first; exact, not approximate.

        Raises IndexUnavailable.
        """
        collection = self._reading()
        if collection is None or not texts:
            return [[] for _ in texts]
        stored = collection.get(
            where={"transcript_id": transcript_id}, include=["documents", "metadatas", "embeddings"]
        )
        if not stored["ids"]:
            return [[] for _ in texts]
        cosines = self.embedder.encode(texts) @ stored["embeddings"].T
        return [_ranked(stored["documents"], stored["metadatas"], row) for row in cosines]

    def _encode(self, entries: Sequence[_Entry]) -> dict[str, Any]:
        if not entries:
            return {}
        vectors = self.embedder.encode([entry.text for entry in entries])
        return {entry.id: vector for entry, vector in zip(entries, vectors, strict=True)}

    def _delete(self, collection: Any, ids: Sequence[str]) -> None:
        for batch in self._batches(ids):
            collection.delete(ids=list(batch))

    def _batches(self, items: Sequence[T]) -> Iterator[Sequence[T]]:
        size: int = self._client.get_max_batch_size()
        return (items[start : start + size] for start in range(0, len(items), size))

    @property
    def _collection_name(self) -> str:
        identity = f"{self.embedder.name}\0{self.namespace}".encode()
        model = re.sub(r"[^A-Za-z0-9]+", "-", Path(self.embedder.name).name).strip("-")[:40]
        return f"quotes-{model}-{hashlib.sha256(identity).hexdigest()[:16]}"

    def _open(self) -> Any:
        """The store's client, opened if it is not open."""
        import chromadb
        from chromadb.config import Settings

        if self._client is None:
            self._client = chromadb.PersistentClient(
                path=str(self.folder), settings=Settings(anonymized_telemetry=False)
            )
        return self._client

    def _reading(self) -> Any | None:
        """The collection, or None while nothing has been stored. Makes nothing."""
        from chromadb.errors import NotFoundError

        if not (self.folder / STORE_FILE).exists():
            return None
        client = self._open()
        try:
            return client.get_collection(self._collection_name, embedding_function=None)
        except NotFoundError:
            return None

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """The collection, made if need be, while no other process may write."""
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(self.folder / LOCK_FILE, timeout=self._lock_wait)
        try:
            lock.acquire()
        except Timeout:
            raise IndexUnavailable(
                f"Another process is writing to the quote index in {self.folder}, which takes one writer "
                "at a time. Try again when it has finished."
            ) from None
        try:
            self.close()
            yield self._open().get_or_create_collection(
                self._collection_name,
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine"}},
                metadata={"embedding_model": self.embedder.name, "namespace": self.namespace},
            )
        finally:
            lock.release()


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is stored of a window."""

    id: str
    text: str
    metadata: dict[str, str | int]


def _entries(transcript_id: str, region: str, sentences: Sequence[Sentence]) -> list[_Entry]:
    return [
        _Entry(f"{transcript_id}:{w.first}-{w.last}", w.text, _metadata(transcript_id, region, w))
        for w in windows(sentences)
    ]


def _metadata(transcript_id: str, region: str, window: Window) -> dict[str, str | int]:
    # Always the same keys: an upsert merges metadata into what is there. Chroma takes no empty list.
    return {
        "transcript_id": transcript_id,
        "region": region,
        "start": window.start,
        "end": window.end,
        "first": window.first,
        "last": window.last,
        "speakers": json.dumps(window.speakers),
    }


def _stored(collection: Any | None, transcript_id: str) -> dict[str, tuple[str, dict[str, str | int]]]:
    """Text and metadata of a transcript's stored windows, by id."""
    if collection is None:
        return {}
    found = collection.get(where={"transcript_id": transcript_id}, include=["documents", "metadatas"])
    return {
        id_: (text, metadata)
        for id_, text, metadata in zip(found["ids"], found["documents"], found["metadatas"], strict=True)
    }


def _changed(entries: dict[str, _Entry], stored: dict[str, tuple[str, dict[str, str | int]]]) -> list[_Entry]:
    return [entry for entry in entries.values() if stored.get(entry.id) != (entry.text, entry.metadata)]


def _nearest(collection: Any, vectors: Matrix, wanted: int) -> list[Quote]:
    found = collection.query(
        query_embeddings=vectors, n_results=wanted, include=["documents", "metadatas", "distances"]
    )
    return _ranked(found["documents"][0], found["metadatas"][0], [1 - d for d in found["distances"][0]])


def _ranked(texts: Iterable[str], metadatas: Iterable[Any], cosines: Iterable[float]) -> list[Quote]:
    quotes = [
        Quote(
            transcript_id=metadata["transcript_id"],
            region=metadata["region"],
            start=metadata["start"],
            end=metadata["end"],
            text=text,
            speakers=tuple(json.loads(metadata["speakers"])),
            confidence=confidence_of(cosine),
            first=metadata["first"],
            last=metadata["last"],
        )
        for text, metadata, cosine in zip(texts, metadatas, cosines, strict=True)
    ]
    return sorted(quotes, key=lambda quote: (-quote.confidence, quote.transcript_id, quote.first))

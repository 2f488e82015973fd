"""The library: the sentences of one namespace's transcripts and their vectors, in one SQLite file. The truth.

Everything else, Chroma's index first of all, is made of what is here and can be made again without encoding
anything. A transcript is found when all its sentences are encoded; until then its former version is.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aai_gateway.quotes import library_schema
from aai_gateway.quotes.packing import (
    packed_vectors,
    packed_words,
    pooled,
    unpacked_vectors,
    unpacked_words,
)
from aai_gateway.quotes.placements import Placements
from aai_gateway.quotes.windows import Sentence, windows

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix

# A window's row in the lexical table: its transcript's key, then its number in 20 bits.
NUMBER_BITS = 20


@dataclass(frozen=True, slots=True)
class IndexedTranscript:
    """A transcript in the index; `created_at` is when it was transcribed, where that is known (UTC)."""

    key: int
    id: str
    region: str
    created_at: datetime | None
    sentences: int
    windows: int


@dataclass(frozen=True, slots=True)
class WindowHit:
    """A window by its transcript's key and its number; `score` is higher for better."""

    key: int
    number: int
    score: float


class Library:
    """One SQLite file. Raises sqlite3.Error where it cannot be used, and IndexUnavailable as `connect`."""

    def __init__(self, path: Path, wait: float) -> None:
        self.path = path
        self._db = library_schema.connect(path, wait)
        self.id = self.meta("id")
        self._listed: tuple[tuple[str, str], list[IndexedTranscript]] | None = None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def meta(self, name: str) -> str:
        """A noted value, empty where there is none."""
        found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    def note(self, name: str, value: str) -> None:
        """Note a value."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; who has cached something sees by the generation that it changed."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("UPDATE meta SET value = value + 1 WHERE name = 'generation'")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def begin(
        self, transcript_id: str, sentences: Sequence[Sentence], region: str, created_at: datetime | None
    ) -> int:
        """The key of this version of a transcript, saved with its sentences unless it is there already."""
        mark = fingerprint(sentences)
        at = None if created_at is None else _utc(created_at)
        with self._changing() as db:
            found = db.execute(
                "SELECT key FROM transcripts WHERE transcript_id = ? AND fingerprint = ?",
                (transcript_id, mark),
            ).fetchone()
            if found:
                db.execute(
                    "UPDATE transcripts SET region = ?, created_at = coalesce(?, created_at) WHERE key = ?",
                    (region, at, found[0]),
                )
                return int(found[0])
            row = (transcript_id, mark, region, at, _utc(datetime.now(timezone.utc)), len(sentences))
            key = db.execute(
                "INSERT INTO transcripts (transcript_id, fingerprint, region, created_at, indexed_at, "
                "sentences) VALUES (?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            assert key is not None
            db.executemany(
                "INSERT INTO sentences VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (key, n, s.text, s.start, s.end, s.speaker, packed_words(s.words, s.text))
                    for n, s in enumerate(sentences)
                ),
            )
        return key

    def save_vectors(self, key: int, model: str, first: int, vectors: Sequence[Any]) -> None:
        """Save the vectors of the sentences from `first` on."""
        row = (key, model, first, len(vectors), packed_vectors(np.asarray(vectors, np.float32)))
        self._db.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)", row)

    def encoded(self, key: int, model: str) -> int:
        """How many sentences of a transcript, from the first on, have a vector."""
        found = self._db.execute(
            "SELECT coalesce(sum(count), 0) FROM vectors WHERE transcript = ? AND model = ?", (key, model)
        )
        return int(found.fetchone()[0])

    def known_vectors(self, transcript_id: str, model: str) -> dict[str, Any]:
        """The vector of each text of a transcript's current version, so that only new text is encoded."""
        key = self.current_key(transcript_id, model)
        if key is None:
            return {}
        return dict(zip((s.text for s in self.sentences(key)), self.vectors(key, model), strict=True))

    def finish(self, key: int, model: str) -> int:
        """Make a wholly encoded version the current one, to be found by meaning and by its words.

        Returns how many windows it has.
        """
        with self._changing() as db:
            transcript_id, current = db.execute(
                "SELECT transcript_id, current FROM transcripts WHERE key = ?", (key,)
            ).fetchone()
            ready = db.execute(
                "SELECT count FROM windows WHERE transcript = ? AND model = ?", (key, model)
            ).fetchone()
            if current and ready:
                return int(ready[0])
            made = pooled(self.vectors(key, model))
            row = (key, model, len(made), packed_vectors(made))
            db.execute("INSERT OR REPLACE INTO windows VALUES (?, ?, ?, ?)", row)
            if current:
                return len(made)
            db.executemany("INSERT INTO window_words (rowid, text) VALUES (?, ?)", self._texts(key))
            db.execute("UPDATE transcripts SET current = 1 WHERE key = ?", (key,))
            former = db.execute(
                "SELECT key FROM transcripts WHERE transcript_id = ? AND key <> ?", (transcript_id, key)
            )
            for (other,) in former.fetchall():
                self._forget(other)
        return len(made)

    def delete(self, transcript_id: str) -> bool:
        """Remove a transcript, every version and model of it; whether there was one."""
        with self._changing() as db:
            found = db.execute(
                "SELECT key FROM transcripts WHERE transcript_id = ?", (transcript_id,)
            ).fetchall()
            for (key,) in found:
                self._forget(key)
        return bool(found)

    def _forget(self, key: int) -> None:
        (current,) = self._db.execute("SELECT current FROM transcripts WHERE key = ?", (key,)).fetchone()
        if current:
            # A table without text has to be told what it forgets.
            self._db.executemany(
                "INSERT INTO window_words (window_words, rowid, text) VALUES ('delete', ?, ?)",
                self._texts(key),
            )
        for table in ("sentences", "vectors", "windows"):
            self._db.execute(f"DELETE FROM {table} WHERE transcript = ?", (key,))  # noqa: S608  # names above
        self._db.execute("DELETE FROM transcripts WHERE key = ?", (key,))

    def _texts(self, key: int) -> list[tuple[int, str]]:
        made = windows(self.sentences(key))
        return [(key << NUMBER_BITS | number, window.text) for number, window in enumerate(made)]

    def transcripts(self, model: str) -> list[IndexedTranscript]:
        """The transcripts that are found with this model, those that came first first."""
        now = model, self.meta("generation")
        if self._listed is None or self._listed[0] != now:
            self._listed = now, self._list(model)
        return list(self._listed[1])

    def _list(self, model: str) -> list[IndexedTranscript]:
        rows = self._db.execute(
            "SELECT t.key, t.transcript_id, t.region, t.created_at, t.sentences, w.count "
            "FROM transcripts t JOIN windows w ON w.transcript = t.key AND w.model = ? "
            "WHERE t.current ORDER BY t.key",
            (model,),
        )
        return [
            IndexedTranscript(k, id_, region, None if at is None else datetime.fromisoformat(at), n, count)
            for k, id_, region, at, n, count in rows
        ]

    def unfinished(self, model: str) -> list[int]:
        """Keys of the versions that a run has begun with this model and not finished."""
        rows = self._db.execute(
            "SELECT key FROM transcripts t WHERE NOT current OR (EXISTS "
            "(SELECT 1 FROM vectors v WHERE v.transcript = t.key AND v.model = :model) AND NOT EXISTS "
            "(SELECT 1 FROM windows w WHERE w.transcript = t.key AND w.model = :model)) ORDER BY key",
            {"model": model},
        )
        return [int(key) for (key,) in rows]

    def transcript_id(self, key: int) -> str:
        """The id of the transcript of which `key` is a version. Raises LookupError."""
        found = self._db.execute("SELECT transcript_id FROM transcripts WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise LookupError(key)
        return str(found[0])

    def current_key(self, transcript_id: str, model: str) -> int | None:
        """The key of the version that is found with this model, None where there is none."""
        found = self._db.execute(
            "SELECT t.key FROM transcripts t JOIN windows w ON w.transcript = t.key AND w.model = ? "
            "WHERE t.transcript_id = ? AND t.current",
            (model, transcript_id),
        ).fetchone()
        return int(found[0]) if found else None

    def ids(self) -> list[str]:
        """The ids of all transcripts, those that are not finished too."""
        rows = self._db.execute(
            "SELECT transcript_id FROM transcripts GROUP BY transcript_id ORDER BY min(key)"
        )
        return [id_ for (id_,) in rows]

    def sentences(self, key: int, first: int = 0, last: int = 2**62) -> list[Sentence]:
        """A version's sentences with their words, those from `first` to `last`, inclusive."""
        rows = self._db.execute(
            "SELECT number, text, start, end, speaker, words FROM sentences "
            "WHERE transcript = ? AND number BETWEEN ? AND ? ORDER BY number",
            (key, first, last),
        )
        return [
            Sentence(n, text, a, b, who, unpacked_words(words, text)) for n, text, a, b, who, words in rows
        ]

    def lines(self, key: int, first: int = 0, last: int = 2**62) -> list[tuple[int, str | None]]:
        """How many words each sentence of a version has, from `first` to `last`, inclusive; its speaker."""
        return self._db.execute(
            "SELECT length(text) - length(replace(text, ' ', '')) + 1, speaker FROM sentences "
            "WHERE transcript = ? AND number BETWEEN ? AND ? ORDER BY number",
            (key, first, last),
        ).fetchall()

    def speakers(self) -> list[str]:
        """Everybody who speaks, each once."""
        return [
            name
            for (name,) in self._db.execute(
                "WITH RECURSIVE named(speaker) AS (SELECT min(speaker) FROM sentences UNION ALL SELECT "
                "(SELECT min(speaker) FROM sentences WHERE speaker > named.speaker) FROM named "
                "WHERE named.speaker IS NOT NULL) SELECT speaker FROM named WHERE speaker IS NOT NULL"
            )
        ]

    def vectors(self, key: int, model: str) -> Matrix:
        """A version's sentence vectors, a float32 row for each."""
        rows = self._db.execute(
            "SELECT count, vectors FROM vectors WHERE transcript = ? AND model = ? ORDER BY first",
            (key, model),
        ).fetchall()
        return _joined(rows)

    def some_vectors(self, key: int, model: str, first: int, last: int) -> Matrix:
        """The vectors of the sentences from `first` to `last`, inclusive, a float32 row for each."""
        rows = self._db.execute(
            "SELECT end - begin, substr(vectors, 1 + (begin - first) * width, (end - begin) * width) FROM "
            "(SELECT first, vectors, length(vectors) / count AS width, max(first, :first) AS begin, "
            "min(first + count, :last + 1) AS end FROM vectors WHERE transcript = :key AND model = :model "
            "AND first <= :last AND first + count > :first) ORDER BY first",
            {"key": key, "model": model, "first": first, "last": last},
        ).fetchall()
        return _joined(rows)

    def window_vectors(self, keys: Sequence[int], model: str) -> Matrix:
        """The window vectors of these versions, one after another, a float32 row for each."""
        query = "SELECT count, vectors FROM windows WHERE transcript = ? AND model = ?"
        return _joined([row for key in keys for row in self._db.execute(query, (key, model))])

    def spoken_by(self, speaker: str, keys: Collection[int]) -> set[tuple[int, int]]:
        """Transcript keys and numbers of a speaker's sentences in these transcripts."""
        rows = self._db.execute("SELECT transcript, number FROM sentences WHERE speaker = ?", (speaker,))
        return {(key, number) for key, number in rows if key in keys}

    def lexical(
        self,
        match: str,
        n: int,
        wanted: Callable[[int, int], bool] | None = None,
        *,
        only: int | None = None,
    ) -> list[WindowHit]:
        """The `n` windows that match an FTS5 expression best, by BM25, best first.

        `wanted` says of a transcript's key and a window's number whether it may be among them; `only` is the
        key of the one transcript to look in.
        """
        if not match:
            return []
        rows = self._db.execute(
            "SELECT rowid, rank FROM window_words WHERE window_words MATCH ? AND rowid BETWEEN ? AND ? "
            "ORDER BY rank LIMIT ?",
            (match, *_rowids(only), -1 if wanted else n),
        )
        hits: list[WindowHit] = []
        for rowid, rank in rows:
            key, number = rowid >> NUMBER_BITS, rowid & ((1 << NUMBER_BITS) - 1)
            if wanted is None or wanted(key, number):
                hits.append(WindowHit(key, number, -rank))
                if len(hits) == n:
                    break
        return hits

    def any_window_vector(self, model: str) -> list[float] | None:
        """Some window's vector, None where there is none."""
        found = self._db.execute(
            "SELECT transcript FROM windows WHERE model = ? AND count > 0", (model,)
        ).fetchone()
        vector: list[float] | None = self.window_vectors(found, model)[0].tolist() if found else None
        return vector

    def placements(self, store: str, model: str) -> Placements:
        """The notes about a Chroma store."""
        return Placements(self._db, store, model)


def fingerprint(sentences: Sequence[Sentence]) -> str:
    """A digest of all that is kept of the sentences: texts, times, speakers, words."""
    digest = hashlib.sha256()
    for s in sentences:
        digest.update(repr((s.text, s.start, s.end, s.speaker, len(s.words))).encode())
        digest.update(packed_words(s.words, s.text))
    return digest.hexdigest()


def _joined(rows: Sequence[tuple[int, bytes]]) -> Matrix:
    count = sum(count for count, _ in rows)
    if not count:
        return np.zeros((0, 0), np.float32)
    return unpacked_vectors([vectors for _, vectors in rows], count)


def _utc(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat()


def _rowids(key: int | None) -> tuple[int, int]:
    """The first and the last number that a window of a transcript, or of any, may have."""
    return (0, 2**62) if key is None else (key << NUMBER_BITS, ((key + 1) << NUMBER_BITS) - 1)

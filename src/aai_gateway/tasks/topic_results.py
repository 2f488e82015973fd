"""Topics that were found, kept in a SQLite file: nothing is asked twice, and a topic narrows a search."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from aai_gateway.errors import StoreError
from aai_gateway.tasks.parts import By

FILE_NAME = "topics.db"
BUSY_SECONDS = 30.0
WHOLE = ""
"""The part's name under which a whole transcript is labelled."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS labelled (
    namespace TEXT NOT NULL, transcript_id TEXT NOT NULL, question TEXT NOT NULL, place INTEGER NOT NULL,
    "by" TEXT, part TEXT NOT NULL, start INTEGER, "end" INTEGER,
    topics TEXT NOT NULL, created_at TEXT NOT NULL,
    PRIMARY KEY (namespace, transcript_id, question, place)
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A transcript, or the part of it at a `place` from 0, and its topics; `start` and `end` in ms."""

    by: By | None
    place: int
    part: str
    start: int | None
    end: int | None
    topics: tuple[str, ...]


def question_of(topics: Mapping[str, str], *, max_tags: int, by: By | None, model: str) -> str:
    """What stands for everything that an answer depends on but the transcript: 32 hex digits."""
    asked = json.dumps([list(topics.items()), max_tags, by, model], ensure_ascii=False)
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


class TopicResults:
    """The file, made when it is missing, for its owner's eyes only. `namespace` is whose results they are.

    Threads may share it, and processes the file. Raises StoreError when it cannot be used.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._namespace = namespace
        self._lock = threading.Lock()
        path = folder / FILE_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._file = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._file.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"The topics in {path} cannot be opened: {error}") from error

    def __enter__(self) -> TopicResults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def found(self, transcript_id: str, question: str) -> dict[int, Labelled]:
        """What was answered about a transcript's parts, by their places."""
        rows = self._run(
            'SELECT "by", place, part, start, "end", topics FROM labelled '
            "WHERE namespace = ? AND transcript_id = ? AND question = ? ORDER BY place",
            (self._namespace, transcript_id, question),
        )
        return {one.place: one for one in map(_labelled, rows)}

    def chapters_of(self, transcript_id: str) -> list[Labelled]:
        """A transcript's chapters as the latest question about them was answered; none without any."""
        rows = self._run(
            """SELECT "by", place, part, start, "end", topics FROM labelled
            WHERE namespace = :namespace AND transcript_id = :id AND question = (
                SELECT question FROM labelled WHERE namespace = :namespace AND transcript_id = :id
                AND "by" = 'chapter' ORDER BY created_at DESC, question LIMIT 1
            ) ORDER BY place""",
            {"namespace": self._namespace, "id": transcript_id},
        )
        return [_labelled(row) for row in rows]

    def keep(self, transcript_id: str, question: str, labelled: Labelled) -> None:
        """Write an answer down, over an earlier one of the same part."""
        self._run(
            "INSERT OR REPLACE INTO labelled VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(self._namespace, transcript_id, question, labelled.place, labelled.by, labelled.part),
                *(labelled.start, labelled.end, json.dumps(labelled.topics, ensure_ascii=False)),
                f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%fZ}",
            ),
        )

    def transcripts_with(self, topic: str) -> set[str]:
        """The transcripts of which all or a part was labelled with a topic, in whatever case."""
        rows = self._run(
            "SELECT transcript_id, value FROM labelled, json_each(labelled.topics) WHERE namespace = ?",
            (self._namespace,),
        )
        return {transcript_id for transcript_id, value in rows if value.casefold() == topic.casefold()}

    def forget(self, transcript_id: str) -> None:
        """Remove all that was answered about a transcript."""
        self._run(
            "DELETE FROM labelled WHERE namespace = ? AND transcript_id = ?", (self._namespace, transcript_id)
        )

    def _run(self, query: str, values: tuple[object, ...] | dict[str, object]) -> list[Any]:
        try:
            with self._lock:
                return self._file.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"The topics cannot be read or written: {error}") from error


def _labelled(row: tuple[Any, ...]) -> Labelled:
    by, place, part, start, end, topics = row
    return Labelled(by, place, part, start, end, tuple(json.loads(topics)))

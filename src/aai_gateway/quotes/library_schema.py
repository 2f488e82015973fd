"""The tables of `library.db`, and how the file is opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from uuid import uuid4

from aai_gateway.errors import IndexUnavailable

VERSION = 1

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- `current` is 0 while a version is being encoded: only then is it found, and the one before it goes.
-- AUTOINCREMENT: a key names one version of a transcript for ever, so what is cached by it stays true.
CREATE TABLE transcripts (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    transcript_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    region TEXT NOT NULL,
    created_at TEXT,
    indexed_at TEXT NOT NULL,
    sentences INTEGER NOT NULL,
    current INTEGER NOT NULL DEFAULT 0,
    UNIQUE (transcript_id, fingerprint)
);

CREATE TABLE sentences (
    transcript INTEGER NOT NULL,
    number INTEGER NOT NULL,
    text TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    speaker TEXT,
    words BLOB NOT NULL,
    PRIMARY KEY (transcript, number)
) WITHOUT ROWID;
CREATE INDEX sentences_by_speaker ON sentences (speaker, transcript, number);

-- float16 rows of the sentences from `first` on: a slice is saved as soon as it is encoded.
CREATE TABLE vectors (
    transcript INTEGER NOT NULL,
    model TEXT NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    vectors BLOB NOT NULL,
    PRIMARY KEY (transcript, model, first)
);

-- float16 rows of the windows, made of the sentences': there once all sentences are encoded.
CREATE TABLE windows (
    transcript INTEGER NOT NULL,
    model TEXT NOT NULL,
    count INTEGER NOT NULL,
    vectors BLOB NOT NULL,
    PRIMARY KEY (transcript, model)
);

-- What a Chroma store may hold: written as `writing` before it is asked to, `placed` once it has answered.
CREATE TABLE placed (
    store TEXT NOT NULL,
    model TEXT NOT NULL,
    transcript INTEGER NOT NULL,
    count INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('writing', 'placed')),
    PRIMARY KEY (store, model, transcript)
) WITHOUT ROWID;

-- Windows by their words; no text is kept twice. `rowid` is the transcript's key and the window's number.
CREATE VIRTUAL TABLE window_words USING fts5 (
    text, content='', tokenize="porter unicode61 remove_diacritics 2"
);
"""


def connect(path: Path, wait: float) -> sqlite3.Connection:
    """Open the file, made if need be; a write waits `wait` seconds for another's to end.

    Raises sqlite3.DatabaseError, and IndexUnavailable where a newer release has made the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # Nothing that was acknowledged is lost, whether the process or the machine goes.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA mmap_size = 1073741824")
        _migrate(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    if _version(db) == 0:
        path.chmod(0o600)
        db.execute("BEGIN IMMEDIATE")
        # Another process may have made it in the meantime.
        if _version(db) == 0:
            for statement in _statements():
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('id', ?), ('generation', '0')", (uuid4().hex,))
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    if _version(db) != VERSION:
        raise IndexUnavailable(
            f"{path} was made by another release of aai-gateway (schema {_version(db)}, not {VERSION}). "
            "Move it away, then run `aai-gateway quotes index` on the transcripts."
        )


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _statements() -> list[str]:
    lines = [line for line in SCHEMA.splitlines() if not line.startswith("--")]
    return [statement for statement in os.linesep.join(lines).split(";") if statement.strip()]

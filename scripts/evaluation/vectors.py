"""Sentence vectors that are kept between runs, in the system's folder for temporary files."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aai_gateway.quotes.embedder import Embedder, load_embedder

if TYPE_CHECKING:
    from aai_gateway.quotes.embedder import Matrix


class KeptVectors:
    """Encodes as an Embedder does, each text once on this machine."""

    def __init__(self) -> None:
        self._embedder: Embedder | None = None
        folder = Path(tempfile.gettempdir()) / "aai-gateway-eval"
        folder.mkdir(exist_ok=True)
        self._kept = sqlite3.connect(folder / "vectors.sqlite3", timeout=60)
        self._kept.execute("CREATE TABLE IF NOT EXISTS vectors (id TEXT PRIMARY KEY, vector BLOB)")

    def encode(self, texts: Sequence[str]) -> Matrix:
        """One normalised float32 row for each text, in order."""
        ids = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        known = self._known(set(ids))
        missing = {id_: text for id_, text in zip(ids, texts, strict=True) if id_ not in known}
        if missing:
            self._embedder = self._embedder or load_embedder()
            made = self._embedder.encode(list(missing.values()))
            known |= dict(zip(missing, made, strict=True))
            rows = [(id_, vector.tobytes()) for id_, vector in zip(missing, made, strict=True)]
            with self._kept:
                self._kept.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        return np.stack([known[id_] for id_ in ids]) if ids else np.zeros((0, 384), np.float32)

    def _known(self, ids: set[str]) -> dict[str, Matrix]:
        found: dict[str, Matrix] = {}
        listed = sorted(ids)
        for begin in range(0, len(listed), 500):
            part = listed[begin : begin + 500]
            marks = ",".join("?" * len(part))
            asked = f"SELECT id, vector FROM vectors WHERE id IN ({marks})"  # noqa: S608 - only marks
            rows = self._kept.execute(asked, part)
            found |= {id_: np.frombuffer(blob, np.float32) for id_, blob in rows}
        return found

"""What a Chroma store was asked to hold, noted in the library before it is asked and once it has answered."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """What a store holds beside what it should: transcript keys with their numbers of windows.

    `missing` is to be put in, `stale` to be taken out, `kept` is as it should be; `placed` windows were
    acknowledged, and `writing` says that there may be others, of a write that has not ended.
    """

    missing: tuple[tuple[int, int], ...]
    stale: tuple[tuple[int, int], ...]
    kept: tuple[tuple[int, int], ...]
    placed: int
    writing: bool

    @property
    def settled(self) -> bool:
        """Whether the store holds what it should."""
        return not self.missing and not self.stale


class Placements:
    """The notes about one store and one model's windows in it."""

    def __init__(self, db: sqlite3.Connection, store: str, model: str) -> None:
        self._db = db
        self._store = store
        self._model = model

    def read(self) -> Placement:
        """As things are now: what is in the library against what was noted."""
        with_windows = dict(
            self._db.execute(
                "SELECT w.transcript, w.count FROM windows w JOIN transcripts t ON t.key = w.transcript "
                "WHERE w.model = ? AND t.current ORDER BY w.transcript",
                (self._model,),
            ).fetchall()
        )
        noted = {
            key: (count, state == "placed")
            for key, count, state in self._db.execute(
                "SELECT transcript, count, state FROM placed WHERE store = ? AND model = ?",
                (self._store, self._model),
            )
        }
        placed = {key: count for key, (count, done) in noted.items() if done}
        return Placement(
            missing=tuple((key, n) for key, n in with_windows.items() if key not in placed),
            stale=tuple((key, n) for key, (n, _) in noted.items() if key not in with_windows),
            kept=tuple((key, n) for key, n in with_windows.items() if key in placed),
            placed=sum(placed.values()),
            writing=len(placed) < len(noted),
        )

    def writing(self, key: int, count: int) -> None:
        """Note that a transcript's windows are about to be put in or taken out."""
        self._mark(key, count, "writing")

    def placed(self, key: int, count: int) -> None:
        """Note that all of a transcript's windows are in."""
        self._mark(key, count, "placed")

    def gone(self, key: int) -> None:
        """Note that none of a transcript's windows is in."""
        self._db.execute(
            "DELETE FROM placed WHERE store = ? AND model = ? AND transcript = ?",
            (self._store, self._model, key),
        )

    def nothing(self, *, of_any_model: bool) -> None:
        """Note that the store holds nothing any more, of this model or of any."""
        self._db.execute(
            "DELETE FROM placed WHERE store = ? AND (model = ? OR ?)",
            (self._store, self._model, of_any_model),
        )

    def _mark(self, key: int, count: int, state: str) -> None:
        row = (self._store, self._model, key, count, state)
        self._db.execute("INSERT OR REPLACE INTO placed VALUES (?, ?, ?, ?, ?)", row)

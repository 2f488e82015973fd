"""SQLite behind a thread, with one trip to it for each statement.

aiosqlite makes a trip to its thread for a cursor, for executing, for fetching and for closing. A transaction
of the ledger has a dozen statements, and the trips cost it more than SQLite does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """What `aiosqlite.connect` gives, for SQLAlchemy; a process can end while it is open."""
    connection = _Connection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does with its own
    return connection


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a statement gave; rows only where it has some to give."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    rows: Sequence[Any] = ()


class _Cursor:
    """A cursor as SQLAlchemy's adapter uses it: executes once, and has everything then."""

    arraysize = 1

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._outcome = _Outcome()

    async def __aenter__(self) -> _Cursor:
        return self

    @property
    def description(self) -> Any:
        return self._outcome.description

    @property
    def rowcount(self) -> int:
        return self._outcome.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._outcome.lastrowid

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> _Cursor:
        self._outcome = await self._connection.run(lambda cursor: cursor.execute(sql, parameters))
        return self

    async def executemany(self, sql: str, parameters: Sequence[Any]) -> _Cursor:
        self._outcome = await self._connection.run(lambda cursor: cursor.executemany(sql, parameters))
        return self

    async def fetchall(self) -> Sequence[Any]:
        return self._outcome.rows

    async def close(self) -> None:
        """The statement's own cursor was closed when it had run."""


class _Connection(aiosqlite.Connection):
    """An aiosqlite connection with such cursors."""

    def cursor(self) -> _Cursor:  # type: ignore[override]  # what SQLAlchemy's adapter needs of one
        return _Cursor(self)

    async def run(self, statement: Callable[[sqlite3.Cursor], object]) -> _Outcome:
        """Run a statement and fetch all its rows, in one trip to the thread. Raises sqlite3.Error."""

        def trip() -> _Outcome:
            cursor = self._conn.cursor()
            try:
                statement(cursor)
                rows = cursor.fetchall() if cursor.description else ()
                return _Outcome(cursor.description, cursor.rowcount, cursor.lastrowid, rows)
            finally:
                # Here, because an unfinished statement would keep its lock.
                cursor.close()

        outcome: _Outcome = await self._execute(trip)  # type: ignore[no-untyped-call]  # as its own methods do
        return outcome

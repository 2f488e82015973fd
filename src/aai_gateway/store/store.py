"""The open store: its connections, its one writer at a time, and a counter that tells of changes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from aai_gateway.errors import StoreError
from aai_gateway.store import audit_log
from aai_gateway.store.engine import SNAPSHOT, WRITE, file_of, make_engine, parse_url, prepare_file, upgrade
from aai_gateway.store.reader import Reader
from aai_gateway.store.trouble import advice

T = TypeVar("T")


class Store:
    """Teams, keys, ownership and the ledger, in a SQLite file or in Postgres. Made by `Store.open`."""

    def __init__(
        self,
        engine: AsyncEngine,
        watch: sqlite3.Connection | None,
        reader: Reader | None,
        file: Path | None = None,
    ) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{WRITE: True})
        self._write_lock = asyncio.Lock() if watch is not None else None
        self._watch = watch
        self._reader = reader
        self._file = file
        self._identity = _identity(file) if file is not None else None

    @classmethod
    async def open(cls, url: str) -> Store:
        """Open the store at a SQLAlchemy URL, made and migrated where needed.

        A SQLite file is made readable by its owner only. Several processes may open a new store at once.
        Raises StoreError with a sentence that says what to do.
        """
        parsed = parse_url(url)
        engine = make_engine(parsed)
        file = file_of(parsed)
        shown = parsed.render_as_string(hide_password=True)
        try:
            watch = reader = None
            with _clear_errors(f"The store {shown} cannot be opened", file):
                if file is not None:
                    await asyncio.to_thread(prepare_file, file)
                await upgrade(engine)
                if file is not None:
                    watch = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
                    reader = Reader(parsed)
                return cls(engine, watch, reader, file)
        except BaseException:
            await engine.dispose()
            raise

    async def close(self) -> None:
        """Close every connection. A second call does nothing."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        if self._reader is not None:
            await asyncio.to_thread(self._reader.close)
        await self._engine.dispose()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with; on SQLite each statement sees the newest commit.

        Raises StoreError when the database fails.
        """
        with _clear_errors("The store cannot be read", self._file):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees the store as it was at its first read, so that sums and rows agree.

        For reports, not for requests: SQLite's log grows while it is open. Raises StoreError when the
        database fails.
        """
        # SQLite's transactions see one state anyway; Postgres's do when they are told to.
        options = {SNAPSHOT: True} if self._watch is not None else {"isolation_level": "REPEATABLE READ"}
        with _clear_errors("The store cannot be read", self._file):
            async with self._engine.execution_options(**options).connect() as connection:
                yield connection

    async def read_at_once(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What `work` makes of a snapshot, fast where it asks much: for pages.

        On SQLite it runs in a thread and awaits nothing but its connection: `execute`, `scalar`, `scalars`.
        Raises StoreError when the database fails.
        """
        if self._reader is None:
            async with self.snapshot() as connection:
                return await work(connection)
        with _clear_errors("The store cannot be read", self._file):
            return await self._reader.run(work)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed, on disk, when the block ends; undone when it raises.

        SQLite has one writer. Those of this process wait in line, those of others up to 30 s. What the block
        notes for the audit log is written last.
        Raises StoreError when the database fails, or its file is no longer the one that was opened.
        """
        if self._write_lock is None:
            async with self._begin() as connection:
                yield connection
        else:
            async with self._write_lock, self._begin() as connection:
                yield connection

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        with _clear_errors("The store cannot be written", self._file):
            async with self._writer.begin() as connection, audit_log.collecting(connection):
                yield connection
                self._require_in_place()

    def _require_in_place(self) -> None:
        """Raise StoreError when the SQLite file no longer has its name: what is written now would be lost."""
        if self._file is None or _identity(self._file) == self._identity:
            return
        raise StoreError(
            f"The store's file was moved, replaced or removed while it was open: {self._file}. "
            "Stop every gateway that uses it, put the file back, and start again."
        )

    def change_counter(self) -> int | None:
        """A number that differs once any connection, of any process, has committed; microseconds, no waiting.

        None when it cannot be known (Postgres, or a busy file): then nothing that was read may be kept.
        """
        if self._watch is None:
            return None
        try:
            # fetchall, because an unfinished statement would keep its snapshot and never see a change.
            return int(self._watch.execute("PRAGMA data_version").fetchall()[0][0])
        except sqlite3.Error:
            return None


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _clear_errors(what: str, file: Path | None) -> Iterator[None]:
    """Turn the database's errors into StoreError; their own text names no values."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StoreError(f"{what}: {cause}{advice(cause, file)}") from error

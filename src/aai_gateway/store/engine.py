"""How the store's database is opened: its file, its connections, its migrations."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from aai_gateway.errors import StoreError
from aai_gateway.store.schema import POSTGRES_SCHEMA, REVISION

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_SECONDS = 30.0
"""How long a writer waits for another process's."""

WRITE = "aai_gateway_write"
"""The execution option that makes a SQLite transaction take the write lock at its beginning."""

SNAPSHOT = "aai_gateway_snapshot"
"""The execution option that makes a SQLite connection read in a transaction, from one moment's state."""

_UPGRADE_LOCK = 0x6161_6967
"""Postgres's advisory lock around migrations: one process upgrades, the others wait."""


def parse_url(url: str) -> URL:
    """The store's URL with the driver that we use. Raises StoreError for another database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "The store's URL cannot be read; use for example sqlite:////var/lib/aai.db."
        ) from None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database in (None, "", ":memory:"):
            raise StoreError("The store's URL names no file; use for example sqlite:////var/lib/aai.db.")
        case "sqlite":
            file = str(Path(parsed.database or "").expanduser())
            return parsed.set(drivername="sqlite+aiosqlite", database=file)
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise StoreError(f"The store cannot be kept in {other}; use SQLite or Postgres.")


def file_of(url: URL) -> Path | None:
    """The SQLite file that a URL of `parse_url` names; None for Postgres."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def is_missing(url: URL) -> bool:
    """Whether a URL of `parse_url` names a SQLite file that is not there yet."""
    file = file_of(url)
    return file is not None and not file.exists()


def make_engine(url: URL) -> AsyncEngine:
    """An engine for a URL of `parse_url`. Raises StoreError when its driver is not installed."""
    options: dict[str, Any] = {"json_serializer": _to_json, "json_deserializer": orjson.loads}
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite_engine(url, options)
        search_path = {"options": f"-c search_path={POSTGRES_SCHEMA}"}
        return create_async_engine(url, connect_args=search_path, pool_pre_ping=True, **options)
    except ImportError as error:
        raise StoreError(f"The store needs the package {error.name}: pip install {error.name}") from None


def _to_json(value: Any) -> str:
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> Any:
    return dict(value) if hasattr(value, "keys") else str(value)


class _SQLiteCompiler(SQLiteCompiler):
    """Writes `INDEXED BY` where a query has it as a hint: SQLAlchemy leaves hints out for SQLite."""

    def get_from_hint_text(self, table: sa.FromClause, text: str | None) -> str | None:
        return text


# isolation_level None: the driver begins nothing by itself, so that we choose how to begin.
_SQLITE_ARGS = {"timeout": BUSY_SECONDS, "isolation_level": None}


def make_blocking_engine(url: URL, connections: int) -> sa.Engine:
    """An engine for a SQLite URL of `parse_url` whose connections block, for threads to read with."""
    engine = sa.create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={**_SQLITE_ARGS, "check_same_thread": False},
        json_deserializer=orjson.loads,
        pool_size=connections,
        max_overflow=0,
    )
    _prepare(engine)
    return engine


def _sqlite_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    engine = create_async_engine(url, connect_args=_SQLITE_ARGS, **options)
    _prepare(engine.sync_engine)

    @event.listens_for(engine.sync_engine, "invalidate")
    def end_transaction(connection: Any, _record: Any, _error: BaseException | None) -> None:
        # A cancelled statement gets its connection closed, but SQLite puts the close off, write lock and all,
        # while the statement's cursor lives in a traceback. The rollback is queued before that close.
        with suppress(asyncio.CancelledError, MissingGreenlet, sqlite3.Error):
            connection.rollback()

    return engine


def _prepare(engine: sa.Engine) -> None:
    engine.dialect.statement_compiler = _SQLiteCompiler

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # Reads stay outside transactions: each statement sees the newest commit and holds up no checkpoint.
        if connection.get_execution_options().get(WRITE):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif connection.get_execution_options().get(SNAPSHOT):
            connection.exec_driver_sql("BEGIN")


def prepare_file(path: Path) -> None:
    """Make the SQLite file, for its owner's eyes only, in WAL mode. Blocks; raises OSError or sqlite3.Error.

    SQLite gives `-wal` and `-shm` the file's own mode.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _use_wal(connection)
    finally:
        connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; when several processes do so at once, SQLite fails some without waiting."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database to REVISION: one process at a time, whole or not at all.

    Raises StoreError when a newer release has written it.
    """
    async with engine.connect() as connection:
        if await connection.run_sync(revision_of) == REVISION:
            return
    async with engine.execution_options(**{WRITE: True}).begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            await connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {POSTGRES_SCHEMA}"))
        await connection.run_sync(_run_migrations)


def revision_of(connection: sa.Connection) -> str | None:
    """The revision of the store's tables, None when there are none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision


def unknown_revision(found: str) -> str | None:
    """Why a store at this revision cannot be used; None when it can be, once it is upgraded."""
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    try:
        ScriptDirectory.from_config(_migrations()).get_revision(found)
    except CommandError:
        return (
            f"The store is at revision {found}, which this release does not know. "
            "Install the aai-gateway release that wrote it, or a newer one."
        )
    return None


def _run_migrations(connection: sa.Connection) -> None:
    from alembic import command

    if (found := revision_of(connection)) and (reason := unknown_revision(found)):
        raise StoreError(reason)
    command.upgrade(_migrations(connection=connection), "head")


def _migrations(**attributes: Any) -> Config:
    from alembic.config import Config

    config = Config(attributes=attributes)
    config.set_main_option("script_location", "aai_gateway.store:migrations")
    return config

"""A consistent copy of the SQLite store, made while gateways write to it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from aai_gateway.errors import StoreError
from aai_gateway.store.engine import BUSY_SECONDS, file_of, parse_url

PAGES_AT_ONCE = 4096
"""Pages (of 4 KiB) copied between two reports of progress."""


def backup_store(url: str, target: Path, *, overwrite: bool, progress: Callable[[int, int], None]) -> int:
    """Copy the store at a SQLAlchemy URL to the file `target`, and return its bytes. Blocks.

    The copy is the store as it was at one moment; writers are not held up. It is checked, on disk, readable
    by its owner only (the store's owner where root makes it), and takes its name at the end: an interrupted
    backup leaves nothing under it.
    `progress(done, pages)` is called as it goes. Raises StoreError.
    """
    source = file_of(parse_url(url))
    if source is None:
        raise StoreError("The store is in Postgres: back it up with pg_dump --schema=aai_gateway.")
    try:
        if not source.is_file():
            raise StoreError(f"There is no store at {source} to back up.")
        if target.exists() and not overwrite:
            raise StoreError(f"{target} exists already; choose another name or say --force.")
        if target.exists() and target.samefile(source):
            raise StoreError(f"{target} is the store itself.")
        return _copy(source, target, progress)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The store cannot be copied to {target}: {error}") from error


def _copy(source: Path, target: Path, progress: Callable[[int, int], None]) -> int:
    # mkstemp makes it for its owner only, beside the target, so that the rename stays on one disk.
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.absolute().parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        with closing(sqlite3.connect(source, timeout=BUSY_SECONDS, isolation_level=None)) as store:
            # An open read transaction keeps one moment's state: else each write would start the copy anew.
            store.execute("BEGIN")
            store.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
            with closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
                store.backup(
                    copy,
                    pages=PAGES_AT_ONCE,
                    progress=lambda _status, left, pages: progress(pages - left, pages),
                )
                [found] = copy.execute("PRAGMA integrity_check").fetchone()
                if found != "ok":
                    raise StoreError(f"The copy is damaged ({found}); look at the disk of {source}.")
                # One file, without a log beside it that could be forgotten; a start turns WAL on again.
                copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        if os.geteuid() == 0:
            # Else a gateway that runs as another user could not open the copy once it is put back.
            owner = source.stat()
            os.chown(unfinished, owner.st_uid, owner.st_gid)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(target)
        _sync_folder(target.absolute().parent)
        return target.stat().st_size
    finally:
        unfinished.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

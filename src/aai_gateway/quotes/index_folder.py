"""Where an index is kept: a folder for each namespace, one writer at a time in it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aai_gateway.errors import IndexUnavailable

LIBRARY_FILE = "library.db"
STORE_FOLDER = "chroma"
LOCK_FILE = "writer.lock"


def namespace_of(key: str) -> str:
    """The namespace of a virtual key's holder: 16 hex digits from which the key cannot be told."""
    return hashlib.sha256(key.removeprefix("Bearer ").strip().encode()).hexdigest()[:16]


def namespace_folder(folder: Path, namespace: str) -> Path:
    """Where a namespace is kept: the same for no two of them, whatever characters they have."""
    if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", namespace):
        return folder / namespace
    return folder / f"_{hashlib.sha256(namespace.encode()).hexdigest()[:32]}"


@contextmanager
def one_writer(home: Path, wait: float) -> Iterator[None]:
    """Hold a namespace's lock. Raises IndexUnavailable when another holds it for more than `wait` seconds."""
    from filelock import FileLock, Timeout

    lock = FileLock(home / LOCK_FILE, timeout=wait)
    try:
        lock.acquire()
    except Timeout:
        raise IndexUnavailable(
            f"Another process is writing to the quote index in {home}, which takes one writer at a time. "
            "Try again when it has finished, or use a Chroma server for several writers."
        ) from None
    try:
        yield
    finally:
        lock.release()


def clear_former(folder: Path, on_notice: Callable[[str], None]) -> None:
    """Remove what the first form of the index left: a Chroma store without a library, for all namespaces."""
    former = folder / "chroma.sqlite3"
    if not former.exists():
        return
    on_notice(
        f"The quote index in {folder} was made by an earlier release and is removed. "
        "Run `aai-gateway quotes index` on the transcripts again."
    )
    for segment in {path.parent for path in folder.glob("*/header.bin")}:
        shutil.rmtree(segment, ignore_errors=True)
    former.unlink()

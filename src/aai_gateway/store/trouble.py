"""What to do when the database fails: the sentence behind its own words."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

LEAST_BYTES = 10_000_000
"""Room on the store's disk below which the next writes may fail: its log alone takes half of that."""

_FULL = ("disk is full", "disk I/O error")
_DAMAGED = ("not a database", "malformed")
_FORBIDDEN = ("readonly database", "unable to open database file")
_FORBIDDEN_NUMBERS = (errno.EACCES, errno.EPERM, errno.EROFS)


def free_bytes(file: Path) -> int | None:
    """How much may still be written beside `file`; None when that cannot be told."""
    try:
        return shutil.disk_usage(file.parent).free
    except OSError:
        return None


def advice(cause: BaseException | None, file: Path | None) -> str:
    """What to do about a database's error, as a sentence with a space in front; empty when nothing is known.

    `file` is the SQLite store's.
    """
    said, number = str(cause), getattr(cause, "errno", None)
    if file is None:
        return ""
    if number == errno.ENOSPC or any(text in said for text in _FULL):
        room = free_bytes(file)
        if number == errno.ENOSPC or _FULL[0] in said or (room is not None and room < LEAST_BYTES):
            return f". Make room on the disk of {file}; a running gateway goes on by itself then."
        return f". Look at the disk of {file}, and put a backup back if it is damaged (see backup --help)."
    if any(text in said for text in _DAMAGED):
        return f". {file} is damaged: stop the gateway and put a backup back (aai-gateway backup --help)."
    if number in _FORBIDDEN_NUMBERS or any(text in said for text in _FORBIDDEN):
        return (
            f". Even to read it, {file} and its folder must be writable: run this as the gateway's own user, "
            "or see AAI_GATEWAY_DATA_DIR."
        )
    return ""

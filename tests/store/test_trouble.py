from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from aai_gateway.store.trouble import advice

FILE = Path(__file__)


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (sqlite3.OperationalError("database or disk is full"), "Make room on the disk of"),
        (OSError(errno.ENOSPC, "No space left on device"), "Make room on the disk of"),
        (sqlite3.OperationalError("disk I/O error"), "put a backup back if it is damaged"),
        (sqlite3.DatabaseError("database disk image is malformed"), "stop the gateway and put a backup back"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "the gateway's own user"),
        (PermissionError(errno.EACCES, "Permission denied"), "the gateway's own user"),
    ],
)
def test_what_to_do_is_said(cause: Exception, said: str) -> None:
    assert said in advice(cause, FILE)
    assert str(FILE) in advice(cause, FILE)


def test_an_input_error_on_a_full_disk_is_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aai_gateway.store.trouble.LEAST_BYTES", 10**18)

    assert "Make room" in advice(sqlite3.OperationalError("disk I/O error"), FILE)


def test_nothing_is_said_of_what_nothing_is_known_of() -> None:
    assert "" == advice(sqlite3.OperationalError("no such table: teams"), FILE)
    assert "" == advice(sqlite3.OperationalError("database or disk is full"), None)

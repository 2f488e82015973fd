"""A secret that is made once and kept in a file that only its owner reads."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from aai_gateway.errors import ConfigurationError


def stored_secret(path: Path, what: str, new: Callable[[], str]) -> tuple[str, bool]:
    """The secret in a file, and whether it was made just now, by `new`.

    Raises ConfigurationError when the file is empty, others may read it, or it cannot be read or made.
    """
    try:
        made = not path.exists() and _make(path, new())
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigurationError(f"{path} can be read by others: chmod 600 {path}")
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The {what} {path} cannot be used: {error}") from None
    if not secret:
        raise ConfigurationError(f"{path} is empty: delete it, and the next start makes a new {what}.")
    return secret, made


def _make(path: Path, secret: str) -> bool:
    """Write a new secret whole, unless another process was faster; whether this one wrote it."""
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secret}\n")
            file.flush()
            os.fsync(file.fileno())
        # A link fails where a rename would replace the secret of a process that started beside this one.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True

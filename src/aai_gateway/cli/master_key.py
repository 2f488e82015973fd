"""The master key: from the environment, or a strong one kept in a file that only its owner reads."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aai_gateway.errors import ConfigurationError

FILE_NAME = "master.key"
_VARIABLE = "LITELLM_MASTER_KEY"
_REFERENCE = "os.environ/"


def master_key_variable(config: Mapping[str, Any]) -> str | None:
    """The variable that a LiteLLM config takes its master key from; None when it holds the key itself."""
    general = config.get("general_settings")
    key = general.get("master_key") if isinstance(general, Mapping) else None
    if key is None:
        return _VARIABLE
    return key.removeprefix(_REFERENCE) if str(key).startswith(_REFERENCE) else None


def stored_master_key(folder: Path) -> tuple[str, bool]:
    """The key in `folder`/master.key, and whether it was made just now.

    Raises ConfigurationError when the file is empty, others may read it, or it cannot be read or made.
    """
    path = folder / FILE_NAME
    try:
        made = not path.exists() and _make(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigurationError(f"{path} can be read by others: chmod 600 {path}")
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The master key {path} cannot be used: {error}") from None
    if not key:
        raise ConfigurationError(f"{path} is empty: delete it, and the next start makes a new key.")
    return key, made


def _make(path: Path) -> bool:
    """Write a new key whole, unless another process was faster; whether this one wrote it."""
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    draft = path.with_name(f".{FILE_NAME}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"sk-{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())
        # A link fails where a rename would replace the key of a process that started beside this one.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True

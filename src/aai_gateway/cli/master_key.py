"""The master key: from the environment, or a strong one kept in a file that only its owner reads."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aai_gateway.secret_file import stored_secret

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
    return stored_secret(folder / FILE_NAME, "master key", lambda: f"sk-{secrets.token_urlsafe(32)}")

"""About how many tokens a text is to a chat model. Pure."""

from __future__ import annotations

import re

CHARACTERS_PER_TOKEN = 4
"""Of English text."""

_WHOLE = re.compile("[\u0e00-\u0eff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
"""Chinese, Japanese, Korean, Thai and Lao letters, which are about a token each."""


def estimated_tokens(text: str) -> int:
    """At least 1."""
    whole = 0 if text.isascii() else len(_WHOLE.findall(text))
    return whole + (len(text) - whole) // CHARACTERS_PER_TOKEN + 1

"""The ways in which a path or host can be written that some server reads as the same thing.

Two parsers that read one text differently are how a refused request gets through. Rules that must hold for
any spelling look at all of them; rules that grant something look at one, the plain one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

_MAX_DECODINGS = 8
_NESTED_PERCENT = re.compile(r"%(?:25)+(?=[0-9a-f]{2})", re.IGNORECASE)
_DOTS = str.maketrans({"\\": "/", "。": "."})
_IGNORED = ("Cc", "Cf", "Zs", "Zl", "Zp")


def decodings(text: str) -> Iterator[str]:
    """`text` folded (`folded`), as it is and percent-decoded once, twice and so on until nothing changes."""
    for _ in range(_MAX_DECODINGS):
        yield folded(text)
        decoded = unquote(_NESTED_PERCENT.sub("%", text))
        if decoded == text:
            return
        text = decoded


def folded(text: str) -> str:
    """Lower case, compatible characters made one, `\\` as `/`, without control characters and white space."""
    kept = unicodedata.normalize("NFKC", text).translate(_DOTS)
    return "".join(c for c in kept if unicodedata.category(c) not in _IGNORED).casefold()

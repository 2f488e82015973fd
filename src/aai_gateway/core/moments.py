"""Moments as others write them."""

from __future__ import annotations

import re
from datetime import datetime

_FRACTION = re.compile(r"\.([0-9]+)")


def from_iso(text: str) -> datetime:
    """A moment from ISO 8601 text, with a zone if the text has one. Raises ValueError.

    The same on every Python: 3.10's `fromisoformat` knows no Z, and no fractions but of three or six digits.
    """
    six_digits = _FRACTION.sub(lambda found: f".{found[1]:0<6.6}", text)
    return datetime.fromisoformat(six_digits.replace("Z", "+00:00"))

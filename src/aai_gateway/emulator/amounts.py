"""How the emulator reads what it is told of prices and models: known fields, amounts as text, moments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

_AMOUNT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?")


class PricesError(ValueError):
    """Prices or a model that cannot be; the text names the field."""


def amount(value: object, where: str) -> Decimal:
    """US dollars, or a share, from text such as "0.15". Raises PricesError for anything else."""
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise PricesError(f'{where}: {value!r} is no amount; write it as text, for example "0.15"')
    return Decimal(value)


def fields_of(value: object, where: str, known: Iterable[str] | None = None) -> Mapping[str, Any]:
    """A JSON object with no other fields than `known` (any when None). Raises PricesError."""
    if not isinstance(value, dict):
        raise PricesError(f"{where} is a JSON object")
    if known is not None and (unknown := sorted(set(value) - set(known))):
        raise PricesError(f"{where}: unknown field {', '.join(unknown)}")
    return value


def moment(value: object, where: str) -> datetime:
    """A moment from ISO 8601 text; UTC unless it says otherwise. Raises PricesError."""
    try:
        read = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        raise PricesError(f"{where}: {value!r} is no moment; write 2026-11-21T12:00:00Z") from None
    return read.astimezone(timezone.utc) if read.tzinfo else read.replace(tzinfo=timezone.utc)

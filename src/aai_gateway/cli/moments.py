"""Moments as options name them: dates, months, and how long ago."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import typer

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.durations import before
from aai_gateway.core.moments import from_iso
from aai_gateway.errors import ConfigurationError

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def parse_moment(text: str) -> datetime:
    """A UTC moment: a date, a date with time, or how long ago (`7d`, `12h`). Raises BadParameter."""
    try:
        return before(utc_now(), text)
    except ConfigurationError:
        pass
    try:
        moment = from_iso(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no date like 2026-11-01 and no time span like 7d.") from None


def parse_month(text: str) -> datetime:
    """The first moment of a UTC month like `2026-11`. Raises BadParameter."""
    if not _MONTH.fullmatch(text) or text.startswith(("0000", "9999")):
        raise typer.BadParameter(f"{text!r} is no month like 2026-11.")
    return datetime(int(text[:4]), int(text[5:]), 1, tzinfo=timezone.utc)

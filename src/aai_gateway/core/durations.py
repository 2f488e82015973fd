"""Spans of time in LiteLLM's spelling (`30s`, `30m`, `12h`, `30d`, `2w`, `1mo`), counted from a moment."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta

from aai_gateway.core.budgets import parse_duration

_NOTHING = re.compile(r"0+(?:[smhdw]|mo)?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def after(moment: datetime, duration: str) -> datetime:
    """`duration` later: `1mo` after the 31st is the next month's last day. Raises ConfigurationError."""
    return _shift(moment, duration, 1)


def grace_end(moment: datetime, duration: str) -> datetime:
    """When a grace of `duration` is over; one of 0 at once. Raises ConfigurationError."""
    return moment if _NOTHING.fullmatch(duration) else after(moment, duration)


def before(moment: datetime, duration: str) -> datetime:
    """`duration` earlier. Raises ConfigurationError."""
    return _shift(moment, duration, -1)


def _shift(moment: datetime, duration: str, sign: int) -> datetime:
    unit = parse_duration(duration).lstrip("0123456789")
    count = sign * int(duration.removesuffix(unit))
    if unit != "mo":
        return moment + timedelta(**{_UNITS[unit]: count})
    years, month = divmod(moment.month - 1 + count, 12)
    year = moment.year + years
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)

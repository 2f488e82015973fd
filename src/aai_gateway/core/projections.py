"""When a budget will be spent, if spending goes on as in the last seven days.

The rate is what was spent on the last seven UTC days, today's part of a day included, over that time: a week
has one of each weekday. A team that is younger is taken to have spent nothing before, so that its first jobs
are not read as its habit. What is held counts as gone: it is about to be charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Literal

from aai_gateway.core.budgets import Budget

Outlook = Literal["gone", "runs out", "lasts", "no limit"]
"""Nothing is left; it will be spent before it resets; it lasts until its reset, or for long; no limit."""

DAYS = 7
"""UTC days whose spend makes the rate, today among them."""

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_LONG = timedelta(days=366 * 100)
_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Projection:
    """How long a budget lasts. `runs_out_at` is when it is spent, where the outlook is that it runs out.

    `urgency` sorts teams: first those whose budget is gone, then those whose runs out, by when; then those
    that last, by when they would run out without a reset; then those without a limit, the dearest first.
    """

    outlook: Outlook
    micros_per_day: int
    runs_out_at: datetime | None
    urgency: tuple[int, int]


def rate_days(now: datetime) -> tuple[date, ...]:
    """The UTC days whose spend makes the rate, oldest first."""
    return _days_up_to(now.astimezone(timezone.utc).date())


@lru_cache(maxsize=4)
def _days_up_to(today: date) -> tuple[date, ...]:
    # Kept: a page asks this for each of hundreds of teams.
    return tuple(today - timedelta(days=back) for back in reversed(range(DAYS)))


def project(budget: Budget, recent_micros: int, now: datetime) -> Projection:
    """How long `budget` lasts after `now`, by the micro-dollars spent on `rate_days` together."""
    spent = max(0, recent_micros)
    window = (now - datetime.combine(rate_days(now)[0], time(), timezone.utc)) // _MICROSECOND
    per_day = spent * (_DAY // _MICROSECOND) // window
    current = budget.at(now)
    left = current.left_micros
    if left is None:
        return Projection("no limit", per_day, None, (3, -per_day))
    if left == 0:
        return Projection("gone", per_day, None, (0, 0))
    if spent == 0:
        return Projection("lasts", per_day, None, (2, _NEVER))
    # Rounded up: at that moment it is spent.
    lasts = -(-left * window // spent)
    until = _LONG if current.resets_at is None else current.resets_at - now
    if lasts >= until // _MICROSECOND:
        return Projection("lasts", per_day, None, (2, min(lasts, _NEVER)))
    return Projection("runs out", per_day, now + lasts * _MICROSECOND, (1, lasts))

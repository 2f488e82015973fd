"""Budgets: what a key or team may spend in a period, and what is left.

Amounts are integer micro-dollars. Periods use LiteLLM's `budget_duration` spelling (`30s`, `30m`, `30h`,
`30d`, `1mo`); a budget without one never resets. Spend is counted by our store: LiteLLM's own counters do
not see speech, and without its database they are never released.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from aai_gateway.errors import BudgetExceeded, ConfigurationError

_DURATION = re.compile(r"(\d{1,6})(s|m|h|d|w|mo)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MICROS_PER_DOLLAR = 1_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit and what has been spent of it in the current period; micro-dollars, UTC."""

    max_micros: int | None = None
    duration: str | None = None
    spent_micros: int = 0
    resets_at: datetime | None = None

    def at(self, now: datetime) -> Budget:
        """The budget as it stands at `now`: a period that has ended leaves nothing spent."""
        if self.resets_at is None or self.duration is None or now < self.resets_at:
            return self
        return replace(self, spent_micros=0, resets_at=next_reset(self.duration, self.resets_at, now))

    @property
    def left_micros(self) -> int | None:
        """What may still be spent, or None when there is no limit."""
        return None if self.max_micros is None else max(0, self.max_micros - self.spent_micros)


def require_left(owner: str, budget: Budget, now: datetime) -> None:
    """Raise BudgetExceeded when nothing is left of `owner`'s budget."""
    current = budget.at(now)
    if current.left_micros != 0 or current.max_micros is None:
        return
    when = f" It resets at {current.resets_at:%Y-%m-%d %H:%M} UTC." if current.resets_at else ""
    raise BudgetExceeded(
        f"Budget has been exceeded! {owner} has spent {dollars(current.spent_micros)} "
        f"of {dollars(current.max_micros)}.{when}"
    )


def parse_duration(text: str) -> str:
    """Check a LiteLLM budget duration and return it. Raises ConfigurationError."""
    if not (match := _DURATION.fullmatch(text)) or int(match[1]) == 0:
        raise ConfigurationError(f"{text!r} is no duration; use for example 30d, 12h or 1mo.")
    return text


def next_reset(duration: str, start: datetime, now: datetime) -> datetime:
    """The end of the period that `now` falls in, when periods of `duration` follow one another from `start`."""
    match = _DURATION.fullmatch(parse_duration(duration))
    assert match is not None
    count, unit = int(match[1]), match[2]
    if unit == "mo":
        months = count
        while (end := _add_months(start, months)) <= now:
            months += count
        return end
    length = timedelta(**{_UNITS[unit]: count})
    return start + ((now - start) // length + 1) * length


def _add_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.month - 1 + months, 12)
    year += moment.year
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(timezone.utc)


def dollars(micros: int) -> str:
    """Micro-dollars as text with six decimals: 1234567 is `$1.234567`."""
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS_PER_DOLLAR)
    return f"{sign}${whole:,}.{part:06d}"

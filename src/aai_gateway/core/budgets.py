"""Budgets: what a key, a team or the whole gateway may spend in a period, and what is left.

Three sums: what is *spent* in the period, what is *held* for jobs under way, and the limit. A job is let in
when its likely cost still fits below the limit; that sum is then held until the job is charged or comes to
nothing, so that jobs sent at once cannot spend the same dollar.

Amounts are integer micro-dollars. Periods use LiteLLM's `budget_duration` spelling (`30s`, `30m`, `30h`,
`30d`, `2w`, `1mo`), and months begin on the first, as LiteLLM's do; a budget without a period never resets.
Spend is counted by our store: LiteLLM's own counters do not see speech, and without its database they are
never released.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from aai_gateway.errors import BudgetExceeded, ConfigurationError

_DURATION = re.compile(r"([0-9]{1,10})(s|m|h|d|w|mo)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "mo": 31 * 86_400}
_LONGEST = 100 * 366 * 86_400
MICROS_PER_DOLLAR = 1_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit, and what is spent and held of it in the current period; micro-dollars, UTC.

    `soft_micros` warns instead of refusing; `warned` says that this period's warning has been given.
    """

    max_micros: int | None = None
    duration: str | None = None
    spent_micros: int = 0
    resets_at: datetime | None = None
    soft_micros: int | None = None
    held_micros: int = 0
    warned: bool = False

    def at(self, now: datetime) -> Budget:
        """The budget as it stands at `now`: a period that has ended leaves nothing spent.

        What is held stays: a job under way is charged to the period in which it ends.
        """
        if self.resets_at is None or self.duration is None or now < self.resets_at:
            return self
        resets_at = next_reset(self.duration, self.resets_at, now)
        return replace(self, spent_micros=0, warned=False, resets_at=resets_at)

    def holding(self, micros: int) -> Budget:
        """With so much more held; a negative sum gives back."""
        return replace(self, held_micros=self.held_micros + micros)

    def charged(self, micros: int) -> Budget:
        """With so much more spent. The charge that spends the soft budget sets `warned`."""
        budget = replace(self, spent_micros=self.spent_micros + micros)
        return replace(budget, warned=self.warned or budget.is_past_soft)

    def with_limits(self, limits: Budget, now: datetime) -> Budget:
        """The budget under the limits, soft limit and duration of `limits`, from `now` on.

        What is held stays. Another duration begins a period of its own, with nothing spent; taking the
        duration away keeps what is spent. A warning that was given is given again, once the soft budget is
        above what is spent.
        """
        budget = replace(self.at(now), max_micros=limits.max_micros, soft_micros=limits.soft_micros)
        if limits.duration is None:
            budget = replace(budget, duration=None, resets_at=None)
        elif limits.duration != budget.duration or budget.resets_at is None:
            ends = next_reset(limits.duration, now, now)
            budget = replace(budget, duration=limits.duration, resets_at=ends, spent_micros=0)
        return budget.rearmed()

    def rearmed(self) -> Budget:
        """The budget without its warning, unless its soft budget is spent."""
        return replace(self, warned=self.warned and self.is_past_soft)

    @property
    def left_micros(self) -> int | None:
        """What may still be spent or held, or None when there is no limit."""
        if self.max_micros is None:
            return None
        return max(0, self.max_micros - self.spent_micros - self.held_micros)

    @property
    def is_past_soft(self) -> bool:
        """Whether the soft budget has been spent."""
        return self.soft_micros is not None and self.spent_micros >= self.soft_micros


def require_left(owner: str, budget: Budget, now: datetime, micros: int = 0) -> None:
    """Raise BudgetExceeded when nothing is left of `owner`'s budget, or less than `micros`."""
    current = budget.at(now)
    if current.max_micros is None or current.left_micros is None:
        return
    if 0 < current.left_micros >= micros:
        return
    held = f" and holds {dollars(current.held_micros)} for jobs under way" if current.held_micros else ""
    needs = f" This job is likely to cost {dollars(micros)}." if micros else ""
    when = f" It resets at {current.resets_at:%Y-%m-%d %H:%M} UTC." if current.resets_at else ""
    raise BudgetExceeded(
        f"Budget has been exceeded! {owner} has spent {dollars(current.spent_micros)} "
        f"of {dollars(current.max_micros)}{held}.{needs}{when}"
    )


def require_sound_limits(limits: Budget) -> None:
    """Raise ConfigurationError for limits that contradict each other: nobody would be warned in time.

    LiteLLM asks the same of teams: `soft_budget` is strictly lower than `max_budget`.
    """
    hard, soft = limits.max_micros, limits.soft_micros
    if hard is not None and soft is not None and soft >= hard:
        raise ConfigurationError(
            f"The soft budget of {dollars(soft)} must be lower than the budget of {dollars(hard)}."
        )


def parse_duration(text: str) -> str:
    """Check a LiteLLM budget duration, of a second to a hundred years, and return it.

    Raises ConfigurationError.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not 0 < int(match[1]) * _SECONDS[match[2]] <= _LONGEST:
        raise ConfigurationError(f"{text!r} is no duration; use for example 30d, 12h or 1mo.")
    return text


def next_reset(duration: str, start: datetime, now: datetime) -> datetime:
    """The end of the period that `now` falls in, when periods of `duration` follow one another from `start`.

    Periods of months end on the first of a month at 00:00, however long the months are. Raises
    ConfigurationError for what is no duration.
    """
    match = _DURATION.fullmatch(parse_duration(duration))
    assert match is not None
    count, unit = int(match[1]), match[2]
    if unit == "mo":
        passed = (now.year - start.year) * 12 + now.month - start.month
        return _first_of_month(start, (passed // count + 1) * count)
    length = timedelta(seconds=count * _SECONDS[unit])
    return start + ((now - start) // length + 1) * length


def _first_of_month(moment: datetime, months: int) -> datetime:
    """The first of the month that is `months` after the month of `moment`, 00:00."""
    years, month = divmod(moment.month - 1 + months, 12)
    return moment.replace(
        year=moment.year + years, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(timezone.utc)


def dollars(micros: int) -> str:
    """Micro-dollars as text with six decimals: 1234567 is `$1.234567`."""
    sign = "-" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS_PER_DOLLAR)
    return f"{sign}${whole:,}.{part:06d}"


def usd(micros: int) -> str:
    """Micro-dollars as plain decimal text in USD: 1234567 is `1.234567`."""
    return f"{Decimal(micros) / MICROS_PER_DOLLAR:.6f}"

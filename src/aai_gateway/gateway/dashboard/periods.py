"""The days that a page is about, as its address says: `?month=2026-11` or `?from=2026-11-01&to=2026-11-30`.

Days and months are UTC, as the ledger's are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone

from aai_gateway.core.rollups import covering, days
from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway.dashboard.rendering import address, day_name, month_name

DAYS_BY_DAY = 92
"""Days up to which a chart has a column for each; beyond, one for each month."""
LONGEST = 731
"""Days of a range at most: two years."""
OWN = ("month", "from", "to")
"""The names in an address that this module reads."""


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `since` up to `until`, which is not among them. `keep` is the rest of the page's address."""

    since: date
    until: date
    keep: tuple[tuple[str, str], ...] = field(default=())
    today: date = field(default_factory=lambda: datetime.now(timezone.utc).date())

    @property
    def last(self) -> date:
        """The last day that is among them."""
        return self.until - timedelta(days=1)

    @property
    def month(self) -> str | None:
        """The one month that it is, or None."""
        is_month = self.since.day == 1 and self.until == _next_month(self.since)
        return f"{self.since:%Y-%m}" if is_month else None

    @property
    def title(self) -> str:
        """What the page is called."""
        if self.month is not None:
            return month_name(self.month)
        return f"{self.since.day} {self.since:%b %Y} to {self.last.day} {self.last:%b %Y}"

    @property
    def short(self) -> str:
        """What a column of amounts is headed with."""
        if self.month is None:
            return "then"
        return "this month" if self.since <= self.today < self.until else f"in {self.since:%B}"

    @property
    def moments(self) -> tuple[datetime, datetime]:
        """Its beginning, and its end, which does not belong to it."""
        since, until = (datetime.combine(day, time(), timezone.utc) for day in (self.since, self.until))
        return since, until

    @property
    def covering(self) -> list[str]:
        """The sums that make it up. Nothing is later than today, so the running month is a whole one."""
        until = max(self.until, _next_month(self.today)) if self.until > self.today else self.until
        return covering(self.since, until)

    @property
    def step(self) -> str:
        """What a column of its chart stands for."""
        return "day" if (self.until - self.since).days <= DAYS_BY_DAY else "month"

    @property
    def columns(self) -> list[str]:
        """The days or months of its chart."""
        if self.step == "day":
            return days(self.since, self.until)
        return list(dict.fromkeys(day[:7] for day in days(self.since, self.until)))

    def column_of(self, period: str) -> str:
        """The column that a day or a month counts in."""
        return period if self.step == "day" else period[:7]

    def label_of(self, column: str) -> str:
        """A column's label."""
        return day_name(column) if self.step == "day" else f"{date.fromisoformat(f'{column}-01'):%b %Y}"

    @property
    def before(self) -> Period:
        """The period before it: of a month the month, else as many days."""
        if self.month is not None:
            previous = (self.since - timedelta(days=1)).replace(day=1)
            return Period(previous, self.since, self.keep, self.today)
        return Period(self.since - (self.until - self.since), self.since, self.keep, self.today)

    @property
    def query(self) -> list[tuple[str, str]]:
        """Its part of an address."""
        if self.month is not None:
            return [("month", self.month)] if not self._is_current else []
        return [("from", self.since.isoformat()), ("to", self.last.isoformat())]

    @property
    def _is_current(self) -> bool:
        return self.since <= self.today < self.until

    @property
    def suffix(self) -> str:
        """Its part of an address, `?` and all; empty for the current month."""
        return address(self.query) if self.query else ""

    def link(self, *more: tuple[str, str]) -> str:
        """The address of this page and period, changed by `more`, of which empty values are left out."""
        kept = {**dict(self.keep), **dict(more)}
        return address([*self.query, *((name, value) for name, value in kept.items() if value)])

    @property
    def previous(self) -> str:
        """The address of the period before."""
        return self.before.link()

    @property
    def next(self) -> str | None:
        """The address of the period after; None when it has not begun."""
        if self.until > self.today:
            return None
        length = self.until - self.since
        until = _next_month(self.until) if self.month is not None else self.until + length
        return Period(self.until, until, self.keep, self.today).link()

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Periods that people ask for, and their addresses."""
        this = self.today.replace(day=1)
        tomorrow = self.today + timedelta(days=1)
        year = this.replace(year=this.year - 1)
        made = {
            "This month": (this, _next_month(this)),
            "Last month": ((this - timedelta(days=1)).replace(day=1), this),
            "Last 7 days": (tomorrow - timedelta(days=7), tomorrow),
            "Last 30 days": (tomorrow - timedelta(days=30), tomorrow),
            "Last 12 months": (_next_month(year), _next_month(this)),
        }
        return [(name, Period(*ends, self.keep, self.today).link()) for name, ends in made.items()]


def period_of(query: Mapping[str, str], kept: tuple[str, ...], today: date) -> Period:
    """The period that an address asks for: the current month unless it says otherwise.

    Of the address `kept` are the names that links to other periods keep. Raises InvalidRequest.
    """
    keep = tuple((name, query[name]) for name in kept if query.get(name))
    if query.get("from") or query.get("to"):
        since = _day(query.get("from") or query["to"])
        until = _day(query.get("to") or today.isoformat()) + timedelta(days=1)
        if until <= since:
            raise InvalidRequest("The period ends before it begins.")
        if (until - since).days > LONGEST:
            raise InvalidRequest(f"The period has more than {LONGEST} days.")
        return Period(since, until, keep, today)
    since = _month(query["month"]) if query.get("month") else today.replace(day=1)
    return Period(since, _next_month(since), keep, today)


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text!r} is no day; write it like 2026-11-26.") from None
    if not 2000 <= found.year <= 2200:
        raise InvalidRequest(f"{text!r} is too far away.")
    return found


def _month(text: str) -> date:
    if len(text) != len("2026-11"):
        raise InvalidRequest(f"{text!r} is no month; write it like 2026-11.")
    return _day(f"{text}-01")


def _next_month(first: date) -> date:
    return (first.replace(day=1) + timedelta(days=32)).replace(day=1)

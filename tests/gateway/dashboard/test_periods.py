from __future__ import annotations

from datetime import date
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway.dashboard.periods import Period, period_of

TODAY = date(2026, 11, 26)
ANY_DAY = st.dates(date(2010, 1, 1), date(2040, 12, 31))


def period(query: str = "", kept: tuple[str, ...] = ()) -> Period:
    return period_of(dict(parse_qsl(query)), kept, TODAY)


def test_the_current_month_unless_told_otherwise() -> None:
    shown = period()

    assert (date(2026, 11, 1), date(2026, 12, 1), "November 2026") == (shown.since, shown.until, shown.title)
    assert "this month" == shown.short
    assert "" == shown.suffix
    assert "?month=2026-10" == shown.previous
    assert None is shown.next


def test_a_month_that_is_over_leads_back_to_this_one() -> None:
    shown = period("month=2026-10")

    assert ("October 2026", "in October") == (shown.title, shown.short)
    assert ("?month=2026-09", "?") == (shown.previous, shown.next)


def test_any_days_and_as_many_before_and_after() -> None:
    shown = period("from=2026-11-03&to=2026-11-09")

    assert (date(2026, 11, 3), date(2026, 11, 10)) == (shown.since, shown.until)
    assert "?from=2026-10-27&to=2026-11-02" == shown.previous
    assert "?from=2026-11-10&to=2026-11-16" == shown.next
    assert "3 Nov 2026 to 9 Nov 2026" == shown.title


def test_a_whole_month_by_its_days_is_the_month() -> None:
    assert "2026-02" == period("from=2026-02-01&to=2026-02-28").month


def test_long_periods_have_a_column_for_each_month() -> None:
    shown = period("from=2025-12-15&to=2026-11-14")

    assert "month" == shown.step
    assert ("2025-12", "2026-11", 12) == (shown.columns[0], shown.columns[-1], len(shown.columns))
    assert "2025-12" == shown.column_of("2025-12-31")


def test_links_keep_the_rest_of_the_address() -> None:
    shown = period("month=2026-10&q=re+search&page=3&other=1", kept=("q", "page"))

    assert [("month", "2026-09"), ("q", "re search"), ("page", "3")] == parse_qsl(shown.previous[1:])
    assert [("month", "2026-10"), ("q", "re search")] == parse_qsl(shown.link(("page", ""))[1:])


@given(ANY_DAY, st.integers(1, 700))
def test_an_address_leads_to_the_period_that_it_was_made_from(since: date, length: int) -> None:
    until = date.fromordinal(since.toordinal() + length)
    shown = Period(since, until, today=TODAY)

    again = period_of(dict(parse_qsl(shown.link()[1:])), (), TODAY)
    assert (since, until) == (again.since, again.until)
    assert shown.before.until == since


@pytest.mark.parametrize("number", range(5))
def test_the_periods_that_are_offered_can_be_had(number: int) -> None:
    name, link = period().choices[number]
    shown = period(link[1:])

    assert shown.since <= TODAY
    if name == "Last 7 days":
        assert (date(2026, 11, 20), date(2026, 11, 27)) == (shown.since, shown.until)
    if name == "Last 12 months":
        assert (date(2025, 12, 1), date(2026, 12, 1)) == (shown.since, shown.until)


@pytest.mark.parametrize(
    "query",
    [
        "month=2026",
        "month=2026-13",
        "month=2026-1",
        "from=yesterday",
        "from=2026-11-09&to=2026-11-03",
        "from=2020-01-01&to=2026-01-01",
        "month=0001-01",
        "month=9999-12",
    ],
)
def test_periods_that_there_are_not(query: str) -> None:
    with pytest.raises(InvalidRequest):
        period(query)

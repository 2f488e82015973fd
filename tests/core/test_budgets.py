"""When budgets reset, and when they are spent."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.budgets import Budget, dollars, next_reset, parse_duration, require_left
from aai_gateway.errors import BudgetExceeded, ConfigurationError


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


START = utc(2026, 1, 31, 15, 30)


@pytest.mark.parametrize(
    ("duration", "now", "end"),
    [
        ("30s", START, START + timedelta(seconds=30)),
        ("30m", START + timedelta(minutes=29), START + timedelta(minutes=30)),
        ("12h", START + timedelta(hours=12), START + timedelta(hours=24)),
        ("30d", START + timedelta(days=95), START + timedelta(days=120)),
        ("2w", START + timedelta(days=1), START + timedelta(days=14)),
        ("2592000s", START, START + timedelta(days=30)),
        ("1mo", START, utc(2026, 2, 1)),
        ("1mo", utc(2026, 2, 1), utc(2026, 3, 1)),
        ("1mo", utc(2026, 2, 28, 23, 59, 59), utc(2026, 3, 1)),
        ("1mo", utc(2026, 12, 31), utc(2027, 1, 1)),
        ("3mo", utc(2026, 3, 31), utc(2026, 4, 1)),
        ("3mo", utc(2026, 4, 1), utc(2026, 7, 1)),
        ("12mo", utc(2027, 6, 1), utc(2028, 1, 1)),
    ],
)
def test_a_period_ends(duration, now, end):
    assert end == next_reset(duration, START, now)


durations = st.one_of(
    st.tuples(st.integers(1, 5000), st.sampled_from(["s", "m", "h", "d", "w"])),
    st.tuples(st.integers(1, 48), st.just("mo")),
).map(lambda pair: f"{pair[0]}{pair[1]}")
moments = st.datetimes(datetime(2026, 1, 1), datetime(2036, 1, 1), timezones=st.just(timezone.utc))


@given(durations, moments, moments)
def test_a_period_ends_after_now_and_the_next_begins_there(duration, start, later):
    now = max(start, later)

    end = next_reset(duration, start, now)

    assert end > now
    assert end == next_reset(duration, start, end - timedelta(microseconds=1))
    assert next_reset(duration, start, end) == next_reset(duration, end, end)


@pytest.mark.parametrize(
    "text", ["", "30", "d", "0d", "-1d", "1.5h", "1y", "30 d", "30D", "1mo ", "٣d", "9999999999w", "1201mo"]
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ConfigurationError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1s", "86400s", "90d", "5200w", "1180mo"])
def test_a_duration_may_be_a_second_or_a_lifetime(text):
    assert text == parse_duration(text)
    assert next_reset(text, START, START) > START


def test_a_budget_resets_when_its_period_has_ended():
    budget = Budget(max_micros=100, duration="1mo", spent_micros=90, resets_at=utc(2026, 2, 1))

    assert budget == budget.at(utc(2026, 1, 31, 23, 59, 59))
    assert Budget(100, "1mo", 0, utc(2026, 3, 1)) == budget.at(utc(2026, 2, 1))
    assert Budget(100, "1mo", 0, utc(2027, 1, 1)) == budget.at(utc(2026, 12, 31))


def test_a_monthly_budget_keeps_its_day_for_years():
    budget = Budget(max_micros=100, duration="1mo", resets_at=next_reset("1mo", START, START))

    for _ in range(36):
        assert budget.resets_at is not None
        assert (1, 0) == (budget.resets_at.day, budget.resets_at.hour)
        budget = budget.at(budget.resets_at)
    assert utc(2029, 2, 1) == budget.resets_at


def test_a_budget_without_a_period_never_resets():
    budget = Budget(max_micros=100, spent_micros=100)

    assert budget == budget.at(utc(2126, 1, 1))


@pytest.mark.parametrize(
    ("limit", "spent", "left"), [(None, 10**12, None), (100, 40, 60), (100, 100, 0), (100, 140, 0)]
)
def test_what_is_left(limit, spent, left):
    assert left == Budget(max_micros=limit, spent_micros=spent).left_micros


@pytest.mark.parametrize("budget", [Budget(), Budget(spent_micros=10**12), Budget(max_micros=1)])
def test_a_budget_with_something_left_lets_through(budget):
    require_left("Team research", budget, START)


@pytest.mark.parametrize(("limit", "spent"), [(2_500_000, 2_500_000), (2_500_000, 2_500_001), (0, 0)])
def test_an_exhausted_budget_refuses(limit, spent):
    with pytest.raises(BudgetExceeded) as refused:
        require_left("Team research", Budget(max_micros=limit, spent_micros=spent), START)

    assert (
        f"Budget has been exceeded! Team research has spent {dollars(spent)} of {dollars(limit)}."
        == refused.value.text
    )


def test_an_exhausted_budget_says_when_it_resets_and_lets_through_then():
    budget = Budget(max_micros=1, duration="1mo", spent_micros=1, resets_at=utc(2026, 2, 1))

    with pytest.raises(BudgetExceeded, match="It resets at 2026-02-01 00:00 UTC"):
        require_left("Key demo", budget, START)
    require_left("Key demo", budget, utc(2026, 2, 1))


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "$0.000000"), (1, "$0.000001"), (1_234_567_890, "$1,234.567890"), (-1_500_000, "-$1.500000")],
)
def test_dollars(micros, text):
    assert text == dollars(micros)

"""When budgets reset, and when they are spent."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.budgets import (
    Budget,
    dollars,
    next_reset,
    parse_duration,
    require_left,
    require_sound_limits,
)
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


def test_a_period_that_has_ended_takes_the_warning_along_and_leaves_what_is_held():
    budget = Budget(100, "1d", 90, START, soft_micros=80, held_micros=7, warned=True)

    assert Budget(100, "1d", 0, START + timedelta(days=3), 80, 7) == budget.at(
        START + timedelta(days=2, seconds=1)
    )


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        # Another limit: the period goes on.
        (Budget(200, "30d"), Budget(200, "30d", 90, START + timedelta(days=9), None, 7)),
        # The soft budget is above what is spent: it may warn again.
        (Budget(200, "30d", soft_micros=91), Budget(200, "30d", 90, START + timedelta(days=9), 91, 7)),
        # It is still spent: once is enough.
        (
            Budget(200, "30d", soft_micros=90),
            Budget(200, "30d", 90, START + timedelta(days=9), 90, 7, warned=True),
        ),
        # Another duration begins its own period; no duration keeps what is spent.
        (
            Budget(100, "7d", soft_micros=80),
            Budget(100, "7d", 0, START + timedelta(days=7), 80, 7),
        ),
        (Budget(100, soft_micros=80), Budget(100, None, 90, None, 80, 7, warned=True)),
    ],
)
def test_other_limits(limits, expected):
    budget = Budget(100, "30d", 90, START + timedelta(days=9), 80, 7, warned=True)

    assert expected == budget.with_limits(limits, START)


def test_limits_set_after_a_long_sleep_find_the_period_over():
    budget = Budget(100, "1d", 90, START, soft_micros=80, warned=True)

    found = budget.with_limits(Budget(50, "1d", soft_micros=40), START + timedelta(days=400, hours=1))

    assert Budget(50, "1d", 0, START + timedelta(days=401), 40) == found


@pytest.mark.parametrize(
    "limits", [Budget(), Budget(5), Budget(soft_micros=5), Budget(6, soft_micros=5), Budget(1, soft_micros=0)]
)
def test_limits_that_agree(limits):
    require_sound_limits(limits)


@pytest.mark.parametrize(
    "limits", [Budget(5, soft_micros=5), Budget(5, soft_micros=6), Budget(0, soft_micros=0)]
)
def test_a_soft_budget_that_could_not_warn_in_time_is_refused(limits):
    with pytest.raises(ConfigurationError, match="must be lower than the budget of"):
        require_sound_limits(limits)


@pytest.mark.parametrize(
    ("duration", "resets_at", "now", "end"),
    [
        # The moment itself belongs to the new period.
        ("1d", utc(2026, 3, 29), utc(2026, 3, 29), utc(2026, 3, 30)),
        # Clocks change in Europe and America; UTC's days all have 24 hours.
        ("1d", utc(2026, 3, 29, 0, 30), utc(2026, 3, 29, 12), utc(2026, 3, 30, 0, 30)),
        ("7d", utc(2026, 10, 24, 9), utc(2026, 11, 3), utc(2026, 11, 7, 9)),
        ("1mo", utc(2028, 2, 1), utc(2028, 2, 29, 23, 59, 59), utc(2028, 3, 1)),
        ("1mo", utc(2027, 2, 1), utc(2027, 2, 28, 23, 59, 59), utc(2027, 3, 1)),
        ("1mo", utc(2026, 12, 1), utc(2027, 1, 1), utc(2027, 2, 1)),
        ("1mo", utc(2026, 2, 1), utc(2029, 7, 15), utc(2029, 8, 1)),
        ("30d", utc(2028, 2, 1), utc(2028, 2, 1), utc(2028, 3, 2)),
    ],
)
def test_resets_at_the_moment_over_leap_years_month_ends_and_long_sleeps(duration, resets_at, now, end):
    budget = Budget(100, duration, 100, resets_at, held_micros=9)

    assert budget == budget.at(resets_at - timedelta(microseconds=1))
    assert Budget(100, duration, 0, end, held_micros=9) == budget.at(now)


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

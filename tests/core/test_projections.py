from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.budgets import Budget
from aai_gateway.core.projections import DAYS, project, rate_days

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
DOLLAR = 1_000_000
DAY = timedelta(days=1)
STEADY = (2 * (DAYS - 1) + 1) * DOLLAR
"""Two dollars a day; half of today is over."""


def test_a_week_has_seven_days_and_today_is_the_last() -> None:
    assert [15, 16, 17, 18, 19, 20, 21] == [day.day for day in rate_days(NOON)]
    late_in_new_york = datetime(2026, 11, 20, 22, tzinfo=timezone(timedelta(hours=-5)))
    assert 21 == rate_days(late_in_new_york)[-1].day


def test_a_budget_runs_out_when_its_rest_is_spent_at_the_rate() -> None:
    found = project(Budget(max_micros=10 * DOLLAR, spent_micros=4 * DOLLAR), STEADY, NOON)
    assert ("runs out", 2 * DOLLAR, NOON + 3 * DAY) == (
        found.outlook,
        found.micros_per_day,
        found.runs_out_at,
    )


def test_what_is_held_is_as_good_as_spent() -> None:
    budget = Budget(max_micros=10 * DOLLAR, spent_micros=4 * DOLLAR, held_micros=2 * DOLLAR)
    assert NOON + 2 * DAY == project(budget, STEADY, NOON).runs_out_at
    assert "gone" == project(replace(budget, held_micros=6 * DOLLAR), STEADY, NOON).outlook


def test_a_budget_that_resets_first_lasts() -> None:
    budget = Budget(10 * DOLLAR, "30d", 4 * DOLLAR, resets_at=NOON + 3 * DAY)
    assert "lasts" == project(budget, STEADY, NOON).outlook
    assert "runs out" == project(replace(budget, resets_at=NOON + 3.01 * DAY), STEADY, NOON).outlook


def test_a_period_that_has_ended_leaves_nothing_spent() -> None:
    over = Budget(10 * DOLLAR, "30d", 10 * DOLLAR, resets_at=NOON - DAY)
    assert NOON + 5 * DAY == project(over, STEADY, NOON).runs_out_at


def test_without_a_limit_or_spending_nothing_runs_out() -> None:
    assert ("no limit", 2 * DOLLAR) == _said(project(Budget(), STEADY, NOON))
    assert ("lasts", 0) == _said(project(Budget(max_micros=1), 0, NOON))
    assert "lasts" == project(Budget(max_micros=10**18), STEADY, NOON).outlook


def test_who_runs_out_first_comes_first() -> None:
    budgets = {
        "gone": Budget(max_micros=DOLLAR, spent_micros=DOLLAR),
        "soon": Budget(max_micros=2 * DOLLAR),
        "later": Budget(max_micros=9 * DOLLAR),
        "resets": Budget(8 * DOLLAR, "1d", resets_at=NOON + DAY),
        "resets, with more": Budget(99 * DOLLAR, "1d", resets_at=NOON + DAY),
        "no limit": Budget(),
    }
    found = {name: project(budget, STEADY, NOON).urgency for name, budget in budgets.items()}
    assert sorted(set(found.values())) == list(found.values())
    idle = project(Budget(max_micros=1), 0, NOON).urgency
    assert found["resets, with more"] < idle < found["no limit"]
    assert project(Budget(), STEADY, NOON).urgency < project(Budget(), 0, NOON).urgency


MICROS = st.integers(0, 10**15)


@given(
    limit=MICROS,
    spent=MICROS,
    held=MICROS,
    week=MICROS,
    second=st.integers(0, 86_399),
    resets=st.none() | st.integers(1, 10**9),
)
def test_a_budget_is_spent_when_it_was_said_to_be(
    limit: int, spent: int, held: int, week: int, second: int, resets: int | None
) -> None:
    now = datetime(2026, 11, 21, tzinfo=timezone.utc) + timedelta(seconds=second)
    ends = None if resets is None else now + timedelta(seconds=resets)
    budget = Budget(limit, None if ends is None else "30d", spent, ends, held_micros=held)
    found = project(budget, week, now)

    left = limit - spent - held
    window = timedelta(days=DAYS - 1, seconds=second)
    if left <= 0:
        assert "gone" == found.outlook
        return
    reached = [moment for moment in (found.runs_out_at, ends) if moment is not None]
    if found.runs_out_at is not None:
        assert ("runs out", found.runs_out_at) == (found.outlook, min(reached))
        # Spent at that moment, and not a microsecond before.
        lasted = (found.runs_out_at - now) // timedelta(microseconds=1)
        whole = window // timedelta(microseconds=1)
        assert (lasted - 1) * week < left * whole <= lasted * week
    else:
        assert "lasts" == found.outlook
        if ends is not None:
            assert week * ((ends - now) / window) <= left * (1 + 1e-9)


def _said(projection: object) -> tuple[str, int]:
    return projection.outlook, projection.micros_per_day  # type: ignore[attr-defined]  # a Projection

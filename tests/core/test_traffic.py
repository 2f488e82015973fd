from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.traffic import (
    BOUNDS,
    BUCKETS,
    KEPT_MINUTES,
    TOTAL_ONLY,
    Counted,
    Counts,
    Place,
    Served,
    Tally,
    minute_of,
    outcome_of,
    quantile,
)

POLL = Place("get", "us", 200)


def poll(added: int | None, bytes_in: int = 1, bytes_out: int = 10) -> Served:
    return Served("get", "us", 200, bytes_in, bytes_out, added)


def buckets(**filled: int) -> tuple[int, ...]:
    return tuple(filled.get(f"b{number}", 0) for number in range(BUCKETS))


def total(counted: Counted) -> Counts:
    return sum(counted.served.values(), Counts())


def test_the_bounds_rise_and_leave_one_bucket_without_an_end() -> None:
    assert sorted(set(BOUNDS)) == list(BOUNDS)
    assert (0.00025, 10.0, len(BOUNDS) + 1) == (BOUNDS[0], BOUNDS[-1], BUCKETS)


def test_requests_are_added_up_by_place_and_minute() -> None:
    tally = Tally()
    tally.count(poll(250), "2026-10-01T10:00")
    tally.count(poll(251), "2026-10-01T10:00")
    tally.count(poll(None), "2026-10-01T10:00")
    tally.count(poll(60_000_000), "2026-10-01T10:01")
    tally.count(Served("upload", "eu", 413, 7, 8, None), "2026-10-01T10:01")
    tally.count_asked("api.assemblyai.com", "ok", "2026-10-01T10:01")
    tally.count_asked("api.assemblyai.com", "ok", "2026-10-01T10:01")

    assert (
        Counted(
            {
                ("2026-10-01T10:00", POLL): Counts(3, 3, 30, 2, 501, buckets(b0=1, b1=1)),
                ("2026-10-01T10:01", POLL): Counts(1, 1, 10, 1, 60_000_000, buckets(b15=1)),
                ("2026-10-01T10:01", Place("upload", "eu", 413)): Counts(1, 7, 8),
            },
            {("2026-10-01T10:01", ("api.assemblyai.com", "ok")): 2},
        )
        == tally.take()
    )
    assert not tally.take()


def test_what_could_not_be_written_is_counted_again() -> None:
    tally = Tally()
    tally.count(poll(100), "2026-10-01T10:00")
    tally.count_asked("h", "429", "2026-10-01T10:00")
    taken = tally.take()
    tally.count(poll(200), "2026-10-01T10:00")
    tally.count_asked("h", "429", "2026-10-01T10:00")
    tally.put_back(taken)

    assert (
        Counted(
            {("2026-10-01T10:00", POLL): Counts(2, 2, 20, 2, 300, buckets(b0=2))},
            {("2026-10-01T10:00", ("h", "429")): 2},
        )
        == tally.take()
    )


def test_minutes_that_pile_up_become_a_total_and_nothing_is_lost() -> None:
    tally = Tally()
    first = datetime(2026, 10, 1, 23, 30, tzinfo=timezone.utc)
    minutes = [minute_of(first + timedelta(minutes=number)) for number in range(3 * KEPT_MINUTES)]
    for minute in minutes:
        tally.count(poll(1000), minute)
        tally.count_asked("h", "ok", minute)
    late = Counted({(minutes[0], POLL): Counts(1)}, {(minutes[0], ("h", "ok")): 1})
    tally.put_back(late)
    tally.put_back(tally.take())

    counted = tally.take()
    told_apart = {TOTAL_ONLY, *minutes[-KEPT_MINUTES:]}
    assert told_apart == {minute for minute, _ in counted.served} == {minute for minute, _ in counted.asked}
    assert len(minutes) + 1 == total(counted).requests == sum(counted.asked.values())


def test_a_minute_is_named_in_utc() -> None:
    there = timezone(timedelta(hours=2))
    assert "2026-09-30T23:59" == minute_of(datetime(2026, 10, 1, 1, 59, 59, tzinfo=there))


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (204, "ok"), (302, "302"), (429, "429")])
def test_an_answer_that_is_no_success_goes_by_its_status(status: int, outcome: str) -> None:
    assert outcome == outcome_of(status)


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile(buckets(), 0.5) is None
    assert quantile((), 0.5) is None


@pytest.mark.parametrize(
    ("filled", "q", "seconds"),
    [
        (buckets(b2=4), 0.5, 0.00075),
        (buckets(b2=4), 1.0, 0.001),
        (buckets(b2=4), 0.0, 0.0005),
        (buckets(b0=1), 0.5, 0.000125),
        (buckets(b0=2, b3=2), 0.5, 0.00025),
        (buckets(b0=2, b3=2), 0.75, 0.0015),
        (buckets(b0=98, b15=2), 0.99, 10.0),
    ],
)
def test_a_quantile_lies_between_the_bounds_of_its_bucket(
    filled: tuple[int, ...], q: float, seconds: float
) -> None:
    assert quantile(filled, q) == pytest.approx(seconds)


@given(st.lists(st.integers(0, 9_999_999), min_size=1), st.floats(0, 1))
def test_a_quantile_is_in_the_bucket_that_holds_it(added: list[int], q: float) -> None:
    tally = Tally()
    for microseconds in added:
        tally.count(poll(microseconds), "2026-10-01T10:00")
    found = quantile(total(tally.take()).buckets, q)
    exact = sorted(added)[min(len(added) - 1, max(0, -int(-q * len(added) // 1) - 1))] / 1_000_000
    number = next(n for n, bound in enumerate(BOUNDS) if exact <= bound)
    assert found is not None
    assert (BOUNDS[number - 1] if number else 0.0) <= found + 1e-12
    assert found <= BOUNDS[number] + 1e-12

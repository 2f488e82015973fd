from __future__ import annotations

from calendar import monthrange
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_usage import random_rows

from aai_gateway.core.rollups import ALL_TEAMS, Place, Sums, contributions, covering, days

NOVEMBER = date(2026, 11, 1)
ANY_DAY = st.dates(date(2020, 1, 1), date(2030, 12, 31))


def test_whole_months_stand_for_their_days() -> None:
    assert ["2026-10-30", "2026-10-31", "2026-11", "2026-12-01"] == covering(
        date(2026, 10, 30), date(2026, 12, 2)
    )


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (NOVEMBER, NOVEMBER, []),
        (NOVEMBER, date(2026, 11, 2), ["2026-11-01"]),
        (date(2026, 12, 1), date(2027, 1, 1), ["2026-12"]),
        (date(2024, 2, 1), date(2024, 3, 1), ["2024-02"]),
        (date(2024, 2, 2), date(2024, 2, 1), []),
    ],
)
def test_edges_of_a_range(since: date, until: date, expected: list[str]) -> None:
    assert expected == covering(since, until)


@given(ANY_DAY, st.integers(0, 500))
def test_every_day_of_a_range_is_covered_once(since: date, length: int) -> None:
    until = date.fromordinal(since.toordinal() + length)
    covered = [day for period in covering(since, until) for day in days_of(period)]

    assert days(since, until) == covered


def days_of(period: str) -> list[str]:
    if len(period) == len("2026-11-26"):
        return [period]
    year, month = map(int, period.split("-"))
    return [f"{period}-{day:02}" for day in range(1, monthrange(year, month)[1] + 1)]


def test_a_row_counts_in_every_part_for_its_team_and_for_all() -> None:
    for row in random_rows(1, 200):
        found = contributions(row, row.created_at.date())
        team = row.team_id or ""
        for team_id in (team, ALL_TEAMS):
            for period in (f"{row.created_at:%Y-%m-%d}", f"{row.created_at:%Y-%m}"):
                mine = {
                    place: sums
                    for place, sums in found.items()
                    if (place.team_id, place.period) == (team_id, period)
                }
                whole = mine[Place(team_id, "total", period)]
                assert (row.micros, 1) == (whole.micros, whole.jobs)
                assert row.micros == sum(sums.micros for place, sums in mine.items() if place.part == "item")
                assert set(row.tags) == {place.name for place in mine if place.part == "tag"}
                assert {row.key_hash or ""} == {place.name for place in mine if place.part == "key"}
        assert {team, ALL_TEAMS} == {place.team_id for place in found}


def test_sums_cancel_out() -> None:
    sums = Sums(micros=5, jobs=1, quantity=7)

    assert Sums() == sums + -sums

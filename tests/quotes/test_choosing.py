from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.quotes.choosing import Candidate, choose, merit_in_order
from aai_gateway.quotes.passages import Quote, overlap

HOUR = 3_600_000


def candidate(start, merit, length=5_000):
    place = start // 1000
    quote = Quote("t", "us", start, start + length, f"At {start}.", ("A",), 1.0, place, place)
    return Candidate(quote, merit)


def test_a_models_first_is_worth_its_confidence_and_its_last_more_than_half_of_it():
    assert 0.9 == merit_in_order(0, 8, 0.9)
    assert 0.45 < merit_in_order(7, 8, 0.9) < 0.9


def test_the_best_come_first():
    found = choose([candidate(0, 0.6), candidate(1_200_000, 0.9), candidate(2_400_000, 0.8)], 2, HOUR)
    assert [1_200_000, 2_400_000] == [quote.start for quote in found]


def test_of_two_as_good_the_one_further_from_the_rest_is_taken():
    found = choose([candidate(0, 1.0), candidate(10_000, 0.9), candidate(3_000_000, 0.8)], 2, HOUR)
    assert [0, 3_000_000] == [quote.start for quote in found]


def test_of_equals_the_first_is_taken():
    assert [5_000] == [quote.start for quote in choose([candidate(5_000, 0.7), candidate(0, 0.7)], 1, HOUR)]


def test_nothing_is_chosen_of_nothing():
    assert choose([], 3, 0) == []


@given(
    st.lists(st.tuples(st.integers(0, HOUR), st.floats(0, 1), st.integers(1, 60_000)), max_size=30),
    st.integers(0, 12),
)
def test_no_two_overlap_and_all_that_fit_are_taken(drawn, n):
    candidates = [candidate(*one) for one in drawn]
    chosen = choose(candidates, n, HOUR)
    assert len(chosen) <= n
    assert not any(overlap(one, other) for one, other in combinations(chosen, 2))
    if len(chosen) < n:
        assert all(any(overlap(one.quote, other) for other in chosen) for one in candidates)

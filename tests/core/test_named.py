"""Names from outside: the first so many are told apart, and who is not among them never will be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.named import first_named

SEEN = st.lists(st.tuples(st.sampled_from(["2026-01", "2026-02", "2026-03"]), st.sampled_from("abcdefg")))


def test_the_earliest_are_named_and_of_a_month_the_first_by_the_alphabet():
    seen = [("2026-02", "a"), ("2026-01", "z"), ("2026-02", "y"), ("2026-02", "z"), ("2026-02", "b")]

    assert {"z", "a", "b"} == first_named(seen, 3)
    assert frozenset() == first_named([], 3)


@given(SEEN, SEEN, st.integers(0, 7))
def test_what_is_seen_later_names_nobody_who_had_no_name(before, after, most):
    # Time goes on: nothing new is seen in a month before the last one.
    last = max((period for period, _ in before), default="")
    later = [*before, *((max(period, last), name) for period, name in after)]
    unnamed = {name for _, name in before} - first_named(before, most)

    assert not unnamed & first_named(later, most)

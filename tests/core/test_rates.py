"""Requests per minute, held in every window of sixty seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.limits import Limits
from aai_gateway.core.rates import MINUTE, Rates, Standing
from aai_gateway.core.tenancy import MASTER, Caller, Team, VirtualKey
from aai_gateway.errors import TooManyRequests


def caller(key: int | None, team: int | None, name: str = "k") -> Caller:
    return Caller(
        VirtualKey(hash=name, masked=f"sk-...{name}", limits=Limits(requests_per_minute=key)),
        Team(id="t", alias="newsroom", limits=Limits(requests_per_minute=team)),
    )


def test_who_has_no_limit_is_not_counted() -> None:
    rates = Rates()
    assert [None] * 3 == [rates.count(c, 0.0) for c in (MASTER, caller(None, None), Caller(None, None))]


def test_a_refusal_says_which_limit_and_when_to_come_again() -> None:
    rates = Rates()
    assert [Standing(2, 1), Standing(2, 0)] == [rates.count(caller(2, None), at) for at in (10.0, 15.0)]
    with pytest.raises(TooManyRequests) as refused:
        rates.count(caller(2, None), 40.5)
    assert "Too Many Requests: Key sk-...k may make 2 requests a minute." == refused.value.text
    told = {"retry-after": "30", "x-ratelimit-limit-requests": "2", "x-ratelimit-remaining-requests": "0"}
    assert (429, told) == (refused.value.status, refused.value.headers)
    assert Standing(2, 0) == rates.count(caller(2, None), 10.0 + MINUTE)


def test_keys_share_their_teams_limit_and_the_tighter_one_is_told() -> None:
    rates = Rates()
    assert Standing(3, 2) == rates.count(caller(9, 3, "a"), 0.0)
    assert Standing(3, 1) == rates.count(caller(9, 3, "b"), 0.0)
    assert Standing(1, 0) == rates.count(caller(1, 3, "c"), 0.0)
    with pytest.raises(TooManyRequests, match="Team newsroom may make 3"):
        rates.count(caller(9, 3, "a"), 1.0)


def test_what_a_key_is_refused_does_not_use_up_its_teams_limit_nor_the_other_way_round() -> None:
    rates = Rates()
    rates.count(caller(1, 3, "a"), 0.0)
    for _ in range(5):
        with pytest.raises(TooManyRequests, match="may make 1 requests"):
            rates.count(caller(1, 3, "a"), 0.0)
    assert Standing(3, 1) == rates.count(caller(None, 3, "b"), 0.0)
    assert Standing(3, 0) == rates.count(caller(None, 3, "b"), 0.0)
    with pytest.raises(TooManyRequests, match="Team newsroom"):
        rates.count(caller(5, 3, "d"), 0.0)
    assert Standing(5, 4) == rates.count(caller(5, None, "d"), 0.0)


def test_another_limit_holds_at_once() -> None:
    rates = Rates()
    for _ in range(4):
        rates.count(caller(4, None), 0.0)
    assert Standing(6, 1) == rates.count(caller(6, None), 1.0)
    with pytest.raises(TooManyRequests) as refused:
        rates.count(caller(2, None), 2.0)
    assert 58 == refused.value.retry_after


@given(
    most=st.integers(1, 5),
    team_most=st.integers(1, 8),
    # Waits in 1024ths of a second, which floats add up exactly.
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 40 * 1024).map(lambda wait: wait / 1024)),
        min_size=1,
        max_size=60,
    ),
)
def test_no_minute_has_more_than_the_limit_and_none_is_refused_below_it(
    most: int, team_most: int, steps: list[tuple[str, float]]
) -> None:
    rates, now = Rates(), 0.0
    let_in: list[tuple[str, float]] = []
    for name, wait in steps:
        now += wait
        recent = [who for who, at in let_in if at > now - MINUTE]
        room = recent.count(name) < most and len(recent) < team_most
        try:
            standing = rates.count(caller(most, team_most, name), now)
        except TooManyRequests as refused:
            assert not room
            later = now + refused.retry_after
            still = [who for who, at in let_in if at > later - MINUTE]
            assert still.count(name) < most or len(still) < team_most
        else:
            assert room and standing is not None
            left = min(most - recent.count(name), team_most - len(recent)) - 1
            assert left == standing.remaining
            let_in.append((name, now))

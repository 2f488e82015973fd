"""How keys that nobody has slow an address down, and whom they do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core import guesses
from aai_gateway.core.guesses import FIRST_WAIT, LONGEST_WAIT, WINDOW, Guesses, Source, source_of
from aai_gateway.core.tenancy import hash_key
from aai_gateway.errors import TooManyUnknownKeys

HERE, THERE = "192.0.2.7", "192.0.2.8"
LIMIT = 5


def try_keys(counted: Guesses, count: int, now: float, source: str = HERE, first: int = 0) -> None:
    for number in range(first, first + count):
        counted.require_patience(source, hash_key(str(number)), now)
        counted.unknown(source, hash_key(str(number)), now)


def wait_of(counted: Guesses, now: float, key: str = "another", source: str = HERE) -> int:
    with pytest.raises(TooManyUnknownKeys) as refused:
        counted.require_patience(source, hash_key(key), now)
    assert 429 == refused.value.status
    return int(refused.value.headers["Retry-After"])


def test_after_the_limit_another_key_has_to_wait():
    counted = Guesses(LIMIT)
    try_keys(counted, LIMIT, now=100)

    assert FIRST_WAIT == wait_of(counted, 100)
    assert FIRST_WAIT - 9 == wait_of(counted, 109.5)
    assert 1 == wait_of(counted, 100 + FIRST_WAIT - 0.01)
    counted.require_patience(HERE, hash_key("another"), 100 + FIRST_WAIT)


def test_the_limit_is_of_different_keys_in_one_window():
    counted = Guesses(LIMIT)
    for _ in range(100):
        counted.unknown(HERE, hash_key("forgotten"), 100)
    try_keys(counted, LIMIT - 2, now=110)
    try_keys(counted, LIMIT - 1, now=100 + WINDOW, first=50)

    counted.require_patience(HERE, hash_key("another"), 100 + WINDOW)


def test_waits_grow_to_the_longest_and_begin_anew_when_it_was_quiet():
    counted, now, waits = Guesses(LIMIT), 100.0, []
    for _ in range(7):
        try_keys(counted, LIMIT, now)
        waits.append(wait_of(counted, now))
        now += waits[-1]

    assert [30, 60, 120, 240, 300, 300, 300] == waits
    now += guesses.FORGIVEN_AFTER
    try_keys(counted, LIMIT, now)
    assert FIRST_WAIT == wait_of(counted, now)


def test_keys_that_were_accepted_from_the_address_go_on_working():
    counted = Guesses(LIMIT)
    counted.accepted(HERE, hash_key("colleague"), 90)
    counted.accepted(THERE, hash_key("elsewhere"), 90)
    try_keys(counted, LIMIT, now=100)

    counted.require_patience(HERE, hash_key("colleague"), 101)
    assert 29 == wait_of(counted, 101, "elsewhere")
    counted.require_patience(THERE, hash_key("elsewhere"), 101)
    counted.require_patience(THERE, hash_key("new"), 101)


def test_an_accepted_key_is_forgotten_after_a_day():
    counted = Guesses(LIMIT)
    counted.accepted(HERE, hash_key("colleague"), 100)
    later = 100 + guesses.ACCEPTED_FOR
    try_keys(counted, LIMIT, later)
    counted.require_patience(HERE, hash_key("colleague"), later)

    assert 29 == wait_of(counted, later + 1, "colleague")


def test_guesses_that_were_under_way_learn_nothing_and_count_once():
    counted = Guesses(LIMIT)
    try_keys(counted, LIMIT, now=100)
    for number in range(50):
        with pytest.raises(TooManyUnknownKeys):
            counted.unknown(HERE, hash_key(f"under way {number}"), 101)

    assert 29 == wait_of(counted, 101)


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(guesses, "MOST_SOURCES", 10)
    monkeypatch.setattr(guesses, "MOST_ACCEPTED", 10)
    counted = Guesses(LIMIT)
    for number in range(100):
        counted.unknown(str(number), hash_key("x"), 100)
        counted.accepted(str(number), hash_key("y"), 100)

    assert (10, 10) == (len(counted._sources), len(counted._accepted))
    assert "99" in counted._sources


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(0, 40)), max_size=200))
def test_an_address_is_never_made_to_wait_longer_than_the_longest(events):
    source, now = Source(), 0.0
    for passed, number in events:
        now += passed
        source = source.guessed(hash_key(str(number)), now, LIMIT)
        assert 0 <= source.wait(now) <= LONGEST_WAIT
        assert len(source.tried) < LIMIT


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        (None, ""),
        ("", ""),
        ("testclient", "testclient"),
        ("x" * 99, "x" * 64),
    ],
)
def test_one_address_is_an_ipv4_or_an_ipv6_network(host, source):
    assert source == source_of(host)

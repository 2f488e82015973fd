from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.webhooks import (
    ATTEMPTS,
    LONGEST_WAIT,
    Event,
    Kind,
    Verdict,
    Wanted,
    event_of,
    fair_shares,
    verdict,
    wanted_webhook,
)
from aai_gateway.errors import InvalidRequest

URL = "https://hooks.example.org/a"


def request(**more: Any) -> dict[str, Any]:
    return {"webhook_url": URL, **{f"webhook_auth_header_{name}": value for name, value in more.items()}}


@pytest.mark.parametrize("body", [{}, {"webhook_url": None}, {"webhook_url": ""}])
def test_no_webhook_is_wanted(body: dict[str, Any]):
    assert wanted_webhook(body) is None


def test_a_webhook_with_and_without_a_header():
    assert Wanted(URL) == wanted_webhook(request())
    assert Wanted(URL) == wanted_webhook(request(name=None, value=None))
    assert Wanted(URL, "X-Secret", "a b\tc") == wanted_webhook(request(name="X-Secret", value="a b\tc"))


@pytest.mark.parametrize(
    "body",
    [
        {"webhook_url": 1},
        {"webhook_url": ["https://example.org"]},
        {"webhook_url": "http://10.0.0.1/"},
        request(name="X-Secret"),
        request(value="x"),
        request(name="", value="x"),
        request(name="X Secret", value="x"),
        request(name="X-Secret:", value="x"),
        request(name="X-Sécret", value="x"),
        request(name="Content-Length", value="5"),
        request(name="transfer-encoding", value="chunked"),
        request(name="Host", value="internal"),
        request(name="X-AAI-Gateway-Delivery", value="1"),
        request(name=1, value="x"),
        request(name="X-Secret", value=""),
        request(name="X-Secret", value=" x"),
        request(name="X-Secret", value="x\r\nX-Evil: 1"),
        request(name="X-Secret", value="x\n"),
        request(name="X-Secret", value="x\0"),
        request(name="X-Secret", value="é"),
        request(name="X-Secret", value="x" * 5000),
        request(name="X-Secret", value=["x"]),
    ],
)
def test_a_webhook_that_cannot_be_served_is_refused(body: dict[str, Any]):
    with pytest.raises(InvalidRequest, match="webhook_"):
        wanted_webhook(body)


def test_what_assemblyai_tells():
    ended = {"transcript_id": "t", "status": "error", "new": [1]}
    assert Event(Kind.TRANSCRIPT, ended, "t") == event_of(ended)
    audio = {"status": "redacted_audio_ready", "redacted_audio_url": "https://s3/x"}
    assert Event(Kind.REDACTED_AUDIO, audio) == event_of(audio)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "completed"},
        {"transcript_id": "t", "status": "queued"},
        {"transcript_id": 1, "status": "completed"},
        {"status": "redacted_audio_ready"},
        {"status": ["completed"], "transcript_id": "t"},
    ],
)
def test_what_it_does_not_tell(body: dict[str, Any]):
    with pytest.raises(InvalidRequest):
        event_of(body)


@pytest.mark.parametrize("status", [200, 202, 299])
def test_a_2xx_is_delivered(status: int):
    assert Verdict(delivered=True) == verdict(ATTEMPTS, status)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 499])
def test_a_4xx_ends_it(status: int):
    assert Verdict() == verdict(1, status)


@pytest.mark.parametrize("status", [None, 100, 302, 408, 425, 429, 500, 503])
def test_others_are_tried_again_with_growing_waits_ten_times_in_all(status: int | None):
    waits = [verdict(attempts, status).again_after for attempts in range(1, ATTEMPTS)]
    assert sorted(waits) == waits and timedelta(seconds=3) == waits[0] and LONGEST_WAIT == waits[-1]
    assert Verdict() == verdict(ATTEMPTS, status)


def test_a_receiver_may_ask_for_patience_within_reason():
    assert timedelta(seconds=40) == verdict(1, 429, 40).again_after
    assert timedelta(seconds=3) == verdict(1, 503, 1).again_after
    assert LONGEST_WAIT == verdict(1, 503, 10**400).again_after


owners = st.lists(st.sampled_from("abcdef"), unique=True)


@given(owners, st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)), st.integers(0, 40))
def test_shares_are_even_and_within_what_is_free(waiting: list[str], busy: dict[str, int], free: int):
    shares = fair_shares(waiting, busy, free, 8)
    after = {owner: busy.get(owner, 0) + shares.get(owner, 0) for owner in waiting}
    room = sum(max(0, 8 - busy.get(owner, 0)) for owner in waiting)
    assert min(free, room) == sum(shares.values())
    assert set(shares) <= set(waiting)
    # Nobody got one more while another, who had fewer, waits.
    assert all(after[given] <= after[other] + 1 for given in shares for other in waiting)

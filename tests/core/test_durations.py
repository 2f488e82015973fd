"""Spans of time: what LiteLLM calls a duration, from a moment on or back."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from aai_gateway.core.durations import after, before, grace_end
from aai_gateway.errors import ConfigurationError


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("duration", "later"),
    [
        ("90s", utc(2026, 1, 31, 12, 1, 30)),
        ("30m", utc(2026, 1, 31, 12, 30)),
        ("12h", utc(2026, 2, 1)),
        ("30d", utc(2026, 3, 2, 12)),
        ("2w", utc(2026, 2, 14, 12)),
        ("1mo", utc(2026, 2, 28, 12)),
        ("12mo", utc(2027, 1, 31, 12)),
    ],
)
def test_after(duration, later):
    assert later == after(utc(2026, 1, 31, 12), duration)


def test_before():
    assert utc(2026, 11, 14) == before(utc(2026, 11, 21), "7d")
    assert utc(2025, 12, 31) == before(utc(2026, 1, 31), "1mo")


@pytest.mark.parametrize("wrong", ["", "soon", "0d", "-1d", "7", "7 d", "999999w", "²d", "1y"])
def test_what_is_no_duration_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="no duration"):
        after(utc(2026, 1, 1), wrong)


MOMENT = utc(2026, 11, 21, 12)


@pytest.mark.parametrize("nothing", ["0", "0s", "00m", "0h", "0d", "0w", "0mo"])
def test_a_grace_may_be_none_at_all(nothing):
    assert MOMENT == grace_end(MOMENT, nothing)


def test_a_grace_is_a_span_like_any_other():
    assert after(MOMENT, "24h") == grace_end(MOMENT, "24h")
    for wrong in ("", "0x", "soon", "-1h", "24"):
        with pytest.raises(ConfigurationError):
            grace_end(MOMENT, wrong)

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from aai_gateway.core.moments import from_iso


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-21T12:00:00Z", 0),
        ("2026-11-21T12:00:00.5Z", 500_000),
        ("2026-11-21T12:00:00.123Z", 123_000),
        ("2026-11-21T12:00:00.12345+00:00", 123_450),
        ("2026-11-21T12:00:00.123456Z", 123_456),
        ("2026-11-21T12:00:00.123456789Z", 123_456),
    ],
)
def test_a_moment_is_read_whatever_its_fraction(text: str, microsecond: int):
    assert datetime(2026, 11, 21, 12, 0, 0, microsecond, timezone.utc) == from_iso(text)


def test_a_moment_without_a_zone_has_none():
    assert datetime(2026, 11, 21, 12, 0, 0, 500_000) == from_iso("2026-11-21T12:00:00.5")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21T12:00:0xZ"])
def test_other_text_is_refused(text: str):
    with pytest.raises(ValueError, match="isoformat"):
        from_iso(text)

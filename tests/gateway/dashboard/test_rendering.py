from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest

from aai_gateway.gateway.dashboard import rendering


def text_of(markup: str) -> str:
    return re.sub(r"<[^>]*>", "", markup)


@pytest.mark.parametrize(
    ("micros", "expected"),
    [
        (0, "$0.00"),
        (1, "$0.0000"),
        (33_168, "$0.0332"),
        (9_999_900, "$9.9999"),
        (10_000_000, "$10.00"),
        (1_234_567_891, "$1,234.57"),
        (-33_168, "−$0.0332"),
    ],
)
def test_amounts_are_short_and_exact_on_hover(micros: int, expected: str) -> None:
    markup = rendering.amount(micros)

    assert expected == text_of(markup)
    assert f'value="{micros / 1_000_000:.6f}"' in markup


def test_what_is_not_known_is_a_dash() -> None:
    assert "–" == text_of(rendering.amount(None)) == text_of(rendering.when(None))


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0.0 min"), (90, "1.5 min"), (3600, "1.0 h"), (36_000_360, "10,000.1 h")]
)
def test_audio_in_minutes_or_hours(seconds: int, expected: str) -> None:
    assert expected == text_of(rendering.hours(seconds))


@pytest.mark.parametrize(("seconds", "expected"), [(7, "0:07"), (61, "1:01"), (3_723, "1:02:03")])
def test_lengths(seconds: int, expected: str) -> None:
    assert expected == text_of(rendering.length(seconds))


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_200_000_000, "2.2 GB")]
)
def test_bytes(number: int, expected: str) -> None:
    assert expected == text_of(rendering.size(number))


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_how_long_ago(seconds: int, expected: str) -> None:
    assert expected == text_of(rendering.lag(seconds))


def test_a_moment_is_utc_whatever_zone_it_was_given_in() -> None:
    moment = datetime(2026, 11, 26, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    markup = rendering.when(moment)

    assert "25 Nov 2026, 23:30" == text_of(markup)
    assert 'datetime="2026-11-25T23:30:00Z"' in markup and 'title="2026-11-25 23:30:00 UTC"' in markup


def test_what_others_wrote_is_text() -> None:
    assert "&lt;b&gt;" == rendering.shortened("<b>")
    hashed = rendering.shortened(f'"key:{"0a" * 32}')
    assert "&#34;key:0a0a0a0a…" == re.sub(r"<[^>]*>", "", hashed)


def test_static_files_have_names_that_change_with_them() -> None:
    assert re.fullmatch(r"style\.[0-9a-f]{12}\.css", rendering.static_name("style.css"))


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 0, "0 %"), (0, 5, "0 %"), (1, 1000, "< 1 %"), (1, 200, "< 1 %"), (3, 200, "2 %"), (5, 5, "100 %")],
)
def test_shares_that_are_not_nothing_are_not_called_so(part: int, whole: int, expected: str) -> None:
    assert expected == rendering.percent(part, whole)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("1mo", "month"), ("30d", "30 days"), ("1d", "day"), ("12h", "12 hours"), ("2w", "2 weeks")],
)
def test_a_budgets_period_in_words(duration: str, expected: str) -> None:
    assert expected == rendering.duration_name(duration)

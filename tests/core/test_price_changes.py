"""What a book says at a moment, and what has changed."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest

from aai_gateway.core.price_changes import (
    FALLBACK_ADDON,
    Place,
    added,
    changes,
    known,
    lines,
    next_change,
    percent,
)
from aai_gateway.core.price_overlays import merge, moments
from aai_gateway.core.price_parsing import parse_overlay
from aai_gateway.core.regions import Region
from aai_gateway.price_book import load_price_book
from aai_gateway.strict_yaml import read_yaml

BOOK = load_price_book()
SONNET = "claude-sonnet-4-6"
CHANGE = f"""
speech:
  models: {{universal-2: [{{from: 2026-12-01, usd: "0.12", source: contract}}]}}
chat:
  models:
    {SONNET}:
      regions: [us]
      surcharge: [{{from: 2027-01-01, rate: "0.05", source: contract}}]
"""
OVERLAY = parse_overlay(read_yaml(CHANGE), own=True)
CHANGED = merge(BOOK, OVERLAY)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def short(found):
    return [(one.name, one.what, one.before, one.after) for one in found]


def test_lines_say_what_is_charged_and_who_said_so():
    line = lines(CHANGED, day("2026-12-01"))[Place("speech", "universal-2", "hour")]

    assert ("0.12", day("2026-12-01"), "contract", True) == (line.value, line.since, line.source, line.own)
    assert "0.15" == lines(CHANGED, day("2026-11-30"))[Place("speech", "universal-2", "hour")].value
    assert "0.15" == lines(CHANGED, day("2020-01-01"))[Place("speech", FALLBACK_ADDON, "hour, on top")].value
    assert (
        "as input"
        == lines(BOOK, day("2026-12-01"))[Place("chat", "gpt-5", "cache_write_1h", Region.US)].value
    )


def test_what_begins_later_is_not_known_yet():
    place = Place("speech", "universal-2", "hour")

    assert place not in known(BOOK, day("2026-10-06"))
    assert "0.15" == known(BOOK, day("2026-10-07"))[place].value


def test_the_same_change_in_both_regions_is_one():
    (change,) = changes(
        lines(BOOK, day("2027-01-01")),
        lines(
            merge(
                BOOK,
                parse_overlay(
                    {
                        "chat": {
                            "models": {
                                SONNET: {"surcharge": [{"from": "2027-01-01", "rate": "0.05", "source": "s"}]}
                            }
                        }
                    }
                ),
            ),
            day("2027-01-01"),
        ),
    )

    assert ((Region.US, Region.EU), "as the region", "5%") == (change.regions, change.before, change.after)


def test_all_that_an_overlay_adds_is_told_also_what_begins_later():
    found = added(BOOK, CHANGED, [*moments(OVERLAY), day("2026-11-21")])

    assert ("universal-2", "hour", "0.15", "0.12") in short(found)
    assert (SONNET, "surcharge", "as the region", "5%") in short(found)
    assert (SONNET, "regions", "us, eu", "us") in short(found)
    assert len(found) == len(set(found))


def test_between_two_moments_of_one_book():
    found = changes(known(CHANGED, day("2026-11-21")), known(CHANGED, day("2026-12-24")))

    assert [("universal-2", "hour", "0.15", "0.12")] == short(found)


@pytest.mark.parametrize(
    ("at", "then"),
    [("2026-11-21", "2026-12-01"), ("2026-12-01", "2027-01-01"), ("2027-01-01", None)],
)
def test_when_the_book_says_something_else(at, then):
    assert (None if then is None else day(then)) == next_change(CHANGED, day(at))


def test_fractions_are_shown_as_percentages():
    assert ["10%", "0%", "12.5%"] == [percent(Decimal(rate)) for rate in ("0.10", "0", "0.125")]

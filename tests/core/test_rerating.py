"""Rows priced again; that the same book gives the same cost is in test_price_properties.py."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from aai_gateway.core.price_overlays import merge
from aai_gateway.core.price_parsing import parse_overlay
from aai_gateway.core.regions import Region
from aai_gateway.core.rerating import rerate
from aai_gateway.errors import PriceError
from aai_gateway.price_book import load_price_book

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)
BOOK = load_price_book()


def item(name, quantity):
    return {"name": name, "quantity": quantity, "unit": "any", "micros": 1}


def speech(*items, book=BOOK, model="universal-2"):
    return rerate(
        book, service="speech", region=Region.US, model=model, items=items, global_region=None, at=NOW
    )


def chat(*items, global_region=None):
    return rerate(
        BOOK,
        service="chat",
        region=Region.EU,
        model="claude-sonnet-4-6",
        items=items,
        global_region=global_region,
        at=NOW,
    )


def test_a_transcription_at_another_books_prices():
    contract = merge(
        BOOK,
        parse_overlay(
            {"speech": {"models": {"universal-2": [{"from": "2026-01-01", "usd": "0.10", "source": "c"}]}}},
            own=True,
        ),
    )
    lines = item("universal-2", 7200), item("prompt", 7200)

    assert 400_000 == speech(*lines).micros
    assert 300_000 == speech(*lines, book=contract).micros
    assert ["universal-2", "prompt"] == [line.name for line in speech(*lines).items]


def test_speech_understanding_has_add_ons_alone_and_unknown_ones_at_the_fallback():
    lines = item("speech_understanding.translation", 3600), item("speech_understanding.summarization", 3600)

    cost = rerate(
        BOOK,
        service="understanding",
        region=Region.EU,
        model="speech_understanding",
        items=lines,
        global_region=None,
        at=NOW,
    )

    assert [60_000, 150_000] == [line.micros for line in cost.items]
    assert [False, True] == [line.fallback for line in cost.items]
    assert "fallback" == cost.priced_as


def test_a_failed_job_stays_free():
    assert ((), None) == (speech().items, speech().priced_as)


@pytest.mark.parametrize(
    ("global_region", "micros"), [(None, 3_300_000), (False, 3_300_000), (True, 3_000_000)]
)
def test_a_completion_of_unknown_region_is_charged_as_one_in_its_region(global_region, micros):
    assert micros == chat(item("input", 1_000_000), global_region=global_region).micros


def test_cached_tokens_are_not_counted_as_fresh_ones():
    cost = chat(item("input", 10), item("cache_read", 20), item("cache_write_1h", 30), item("output", 40))

    assert {"input": 10, "cache_read": 20, "cache_write_1h": 30, "output": 40} == {
        line.name: line.quantity for line in cost.items
    }


def test_lines_of_another_kind_of_row_are_refused():
    with pytest.raises(PriceError, match="'second' is no kind of token"):
        chat(item("second", 1))
    with pytest.raises(PriceError, match="differ in their seconds"):
        speech(item("universal-2", 1), item("prompt", 2))
    with pytest.raises(PriceError, match="whole number"):
        speech(item("universal-2", "1"))

"""The shape of a price book, its histories, and what is said of a wrong one."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest

from aai_gateway.core.price_book import amount_text, in_force, moment_text
from aai_gateway.errors import PriceError
from aai_gateway.price_book import load_price_book, read_price_book

GOOD = """
speech:
  models:
    universal-2:
      - {from: 2026-01-01, usd: "0.15", source: a page}
      - {from: 2026-06-01, usd: "0.17", source: another page}
  addons: {prompt: [{from: 2026-01-01, usd: "0.05", source: a page}]}
  fallback_model: [{from: 2026-01-01, usd: "0.21", source: a page}]
  fallback_addon: [{from: 2026-01-01, usd: "0.15", source: a page}]
chat:
  in_region_surcharge:
    us: [{from: 2026-01-01, rate: "0.10", source: a page}]
    eu: [{from: 2026-01-01, rate: "0.10", source: a page}]
  models:
    m:
      context: 1000
      regions: [us]
      surcharge: true
      parameters: [stream]
      prices: [{from: 2026-01-01, input: "1", output: "2", source: a page}]
  fallback:
    surcharge: true
    prices: [{from: 2026-01-01, input: "1", output: "2", source: a page}]
"""


def test_every_price_of_the_package_says_since_when_and_who_said_so():
    book = load_price_book()
    histories = [
        *book.speech_models.values(),
        *book.speech_addons.values(),
        *book.in_region_surcharge.values(),
        *(lines for entry in book.chat_models.values() for lines in entry.terms.prices.values()),
        book.fallback_speech_model,
        book.fallback_addon,
        *book.fallback_chat.prices.values(),
    ]
    earliest = datetime(2026, 1, 1, tzinfo=timezone.utc)

    assert all(row.source and earliest <= row.since for history in histories for row in history)
    assert load_price_book() is book


@pytest.mark.parametrize(
    ("moment", "usd"),
    [
        (datetime(2025, 1, 1, tzinfo=timezone.utc), "0.15"),
        (datetime(2026, 5, 31, 23, 59, 59, tzinfo=timezone.utc), "0.15"),
        (datetime(2026, 6, 1, tzinfo=timezone.utc), "0.17"),
        (datetime.fromisoformat("2026-06-01T01:00:00+02:00"), "0.15"),
        (datetime(2030, 1, 1, tzinfo=timezone.utc), "0.17"),
    ],
)
def test_a_price_holds_from_its_day_in_utc(moment, usd):
    history = read_price_book(GOOD).speech_models["universal-2"]

    assert Decimal(usd) == in_force(history, moment).amount


@pytest.mark.parametrize(
    ("since", "before", "after"),
    [
        ("2026-06-01T10:30:00Z", "2026-06-01T10:29:59+00:00", "2026-06-01T10:30:00+00:00"),
        ('"2026-06-01T10:30:00Z"', "2026-06-01T10:29:59+00:00", "2026-06-01T10:30:00+00:00"),
        ("2026-06-01T12:30:00+02:00", "2026-06-01T10:29:59+00:00", "2026-06-01T10:30:00+00:00"),
        ('"2026-06-01"', "2026-05-31T23:59:59+00:00", "2026-06-01T00:00:00+00:00"),
    ],
)
def test_a_price_may_begin_at_a_moment(since, before, after):
    history = read_price_book(GOOD.replace("from: 2026-06-01", f"from: {since}")).speech_models["universal-2"]

    assert Decimal("0.15") == in_force(history, datetime.fromisoformat(before)).amount
    assert Decimal("0.17") == in_force(history, datetime.fromisoformat(after)).amount


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 10, 7, tzinfo=timezone.utc), "2026-10-07"),
        (datetime.fromisoformat("2026-10-07T02:00:00+02:00"), "2026-10-07"),
        (datetime(2026, 10, 7, 14, 30, tzinfo=timezone.utc), "2026-10-07T14:30:00Z"),
    ],
)
def test_moments_are_written_as_they_are_read(moment, text):
    assert text == moment_text(moment)


@pytest.mark.parametrize(("amount", "text"), [("3.5", "3.50"), ("0.1250", "0.125"), ("1E+4", "10000.00")])
def test_amounts_have_two_decimals_or_as_many_as_they_need(amount, text):
    assert text == amount_text(Decimal(amount))


@pytest.mark.parametrize(
    ("good", "bad", "text"),
    [
        (
            'usd: "0.15"',
            "usd: 0.15",
            "speech.models.universal-2[0].usd: 0.15 is no amount; write it in quotes",
        ),
        ('usd: "0.15"', 'usd: "-1"', "speech.models.universal-2[0].usd: '-1' is no amount"),
        ('usd: "0.15"', 'euro: "0.15"', "speech.models.universal-2[0]: usd is missing"),
        (
            "from: 2026-06-01",
            "from: 2026-01-01",
            "speech.models.universal-2: prices are a list, oldest first",
        ),
        ("from: 2026-06-01", "from: June", "speech.models.universal-2[1].from: write a date as"),
        (
            "  models:",
            "  aliases: {best: universal-9}\n  models:",
            "speech.aliases.best: an alias is another name",
        ),
        ("  addons:", "  extras: 1\n  addons:", "speech: extras is not known here"),
        ("source: another page", 'source: ""', "speech.models.universal-2[1].source: expected text"),
        ("context: 1000", "context: large", "chat.models.m.context: 'large' is no number of tokens"),
        ("regions: [us]", "regions: [uk]", "chat.models.m.regions: 'uk' is no region"),
        ("regions: [us]", "regions: us", "chat.models.m.regions: expected a list"),
        ("surcharge: true", "surcharge: 0.1", "chat.models.m.surcharge: 0.1 is neither true nor false"),
        ("    eu: [", "    asia: [", "chat.in_region_surcharge: eu is missing"),
        ("speech:", "sprache:", "price book: speech is missing"),
        ("      context: 1000", "      context: 1000\n      context: 2", "line 17: context is written twice"),
        ("regions: [us]", "regions: [us", "price_book.yaml: line"),
        ("from: 2026-06-01", "from: 2026-06-01T10:00:00", "[1].from: write a date as 2026-10-07, or a UTC"),
        ("surcharge: true", "surcharge: []", "chat.models.m.surcharge: the list is empty"),
        (
            "surcharge: true",
            'surcharge: [{from: 2026-01-01, rate: "25", source: s}]',
            "chat.models.m.surcharge[0].rate: '25' is no fraction; ten percent is",
        ),
        (
            'prices: [{from: 2026-01-01, input: "1"',
            'prices: [{from: 2026-01-01, region: us, input: "1"',
            "chat.models.m.prices: there is no line for eu",
        ),
        ("  fallback_model: [{", "  fallback_model: []\n  x: [{", "speech: x is not known here"),
        ("    m:\n", "    m:\n      retires: soon\n", "chat.models.m.retires: write a date as"),
        (
            "  addons:",
            "  aliases: {universal-2: universal-2}\n  addons:",
            "speech.aliases.universal-2: an alias is another name",
        ),
        ("from: 2026-06-01", "from: 2026-13-45", "price_book.yaml: month must be in 1..12"),
    ],
)
def test_a_wrong_book_is_refused_by_line_or_key(good, bad, text):
    with pytest.raises(PriceError) as refused:
        read_price_book(GOOD.replace(good, bad, 1))

    assert text in str(refused.value)
    assert str(refused.value).startswith("price_book.yaml")


@pytest.mark.parametrize("text", ["", "[]", "speech: 1\nchat: 2", "\x00", "? [a]\n: 1"])
def test_what_is_no_book_at_all_is_refused(text):
    with pytest.raises(PriceError, match=r"price_book\.yaml"):
        read_price_book(text)

"""Overlays: what they may say, and what a book is with them on it."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from aai_gateway.core.price_book import PriceBook, in_force, surcharge
from aai_gateway.core.price_overlays import merge, moments
from aai_gateway.core.price_parsing import parse_overlay
from aai_gateway.core.regions import Region
from aai_gateway.errors import PriceError
from aai_gateway.price_book import load_price_book
from aai_gateway.strict_yaml import read_yaml

BOOK = load_price_book()
SONNET = "claude-sonnet-4-6"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def merged(text: str, *, book: PriceBook = BOOK, own: bool = False) -> PriceBook:
    return merge(book, parse_overlay(read_yaml(text), own=own))


def speech(usd: str, since: str = "2026-12-01") -> str:
    return f'speech: {{models: {{universal-2: [{{from: {since}, usd: "{usd}", source: a}}]}}}}'


def usd(book: PriceBook, at: str, name: str = "universal-2") -> Decimal:
    return in_force(book.speech_models[name], day(at)).amount


def test_a_new_line_holds_from_its_day_and_the_old_one_before():
    book = merged(speech("0.12"))

    assert Decimal("0.15") == usd(book, "2026-11-30T23:59:59")
    assert Decimal("0.12") == usd(book, "2026-12-01")
    assert BOOK.speech_models["universal-3-pro"] == book.speech_models["universal-3-pro"]


def test_at_the_same_moment_the_later_overlay_wins():
    book = merged(speech("0.11"), book=merged(speech("0.12")))

    assert Decimal("0.11") == usd(book, "2026-12-01")
    assert 2 == len(book.speech_models["universal-2"])


def test_own_prices_replace_published_ones_from_their_first_moment_on():
    # The packaged price of 2026-10-07 is younger than the contract, and another is published later still.
    contract = merged(speech("0.10", "2026-09-01"), own=True)
    later = merged(speech("0.20", "2026-12-01"), book=contract)

    for book in (contract, later):
        assert Decimal("0.10") == usd(book, "2026-11-21")
        assert Decimal("0.10") == usd(book, "2027-01-01")
    before = merged(speech("0.20", "2026-12-01"), book=BOOK)
    assert later == merged(speech("0.10", "2026-09-01"), book=before, own=True)


def test_a_new_model_and_addon_can_be_introduced():
    book = merged(
        """
        speech:
          models: {universal-9: [{from: 2026-12-01, usd: "0.30", source: a}]}
          aliases: {newest: universal-9}
          addons: {emotion_detection: [{from: 2026-12-01, usd: "0.04", source: a}]}
        chat:
          models:
            gpt-6-sol:
              context: 400000
              regions: [us]
              surcharge: true
              parameters: [stream]
              prices: [{from: 2026-12-01, input: "4", output: "20", source: a}]
        """
    )

    assert Decimal("0.30") == usd(book, "2026-12-01", "universal-9")
    assert "universal-9" == book.speech_aliases["newest"]
    assert Decimal("0.1") == surcharge(
        book, Region.EU, book.chat_models["gpt-6-sol"].terms, day("2026-12-01")
    )


def test_what_a_model_is_can_change_without_its_prices():
    book = merged(f"chat: {{models: {{{SONNET}: {{context: 5, regions: [eu], retires: 2027-01-01}}}}}}")
    again = merged(f"chat: {{models: {{{SONNET}: {{retires: null}}}}}}", book=book)

    entry = book.chat_models[SONNET]
    assert (5, (Region.EU,), date(2027, 1, 1)) == (entry.context, entry.regions, entry.retires)
    assert BOOK.chat_models[SONNET].terms == entry.terms
    assert again.chat_models[SONNET].retires is None


def test_a_price_or_surcharge_may_be_one_regions_own():
    book = merged(
        f"""
        chat:
          models:
            {SONNET}:
              surcharge: [{{from: 2026-12-01, region: us, rate: "0.05", source: a}}]
              prices: [{{from: 2026-12-01, region: eu, input: "3.5", output: "15", source: a}}]
        """
    )
    terms = book.chat_models[SONNET].terms

    def held(region: Region, at: str) -> tuple[Decimal, Decimal]:
        return in_force(terms.prices[region], day(at)).input, surcharge(book, region, terms, day(at))

    assert (Decimal("3"), Decimal("0.1")) == held(Region.US, "2026-11-30")
    assert (Decimal("3"), Decimal("0.05")) == held(Region.US, "2026-12-01")
    assert (Decimal("3.5"), Decimal("0.1")) == held(Region.EU, "2026-12-01")


def test_a_regions_surcharge_changes_for_the_models_that_follow_it():
    book = merged('chat: {in_region_surcharge: {eu: [{from: 2026-12-01, rate: "0.2", source: a}]}}')

    def rate(region: Region, model: str) -> Decimal:
        return surcharge(book, region, book.chat_models[model].terms, day("2026-12-01"))

    assert Decimal("0.2") == rate(Region.EU, SONNET)
    assert Decimal("0.1") == rate(Region.US, SONNET)
    assert Decimal("0") == rate(Region.EU, "qwen3-32B")


def test_a_model_takes_the_place_of_an_alias():
    book = merged('speech: {models: {best: [{from: 2026-12-01, usd: "0.4", source: a}]}}')

    assert "best" not in book.speech_aliases
    assert Decimal("0.4") == usd(book, "2026-12-01", "best")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "price book: expected chat, sources, speech"),
        ("speech: {model: {}}", "speech: model is not known here"),
        ("chat: {models: {new: {context: 5}}}", "chat.models.new: parameters, prices, regions, surcharge is"),
        ("chat: {models: {new: []}}", "chat.models.new: expected"),
        (
            f"chat: {{models: {{{SONNET}: {{prices: []}}}}}}",
            f"chat.models.{SONNET}.prices: the list is empty",
        ),
        ("chat: {in_region_surcharge: {uk: []}}", "chat.in_region_surcharge.uk: the list is empty"),
        ("speech: {aliases: {a: nothing}}", "speech.aliases.a: an alias is another name of a listed model"),
        (speech("0.1", "tomorrow"), "speech.models.universal-2[0].from: write a date as 2026-10-07"),
    ],
)
def test_a_wrong_overlay_is_refused_by_its_key(text, said):
    with pytest.raises(PriceError) as refused:
        merged(text)

    assert said in str(refused.value)


def test_the_moments_of_an_overlay():
    overlay = parse_overlay(
        {
            "speech": {"addons": {"prompt": [{"from": "2027-01-01", "usd": "1", "source": "a"}]}},
            "chat": {
                "fallback": {
                    "prices": [{"from": "2026-12-01T10:00:00Z", "input": "1", "output": "1", "source": "a"}]
                }
            },
        }
    )

    assert [day("2026-12-01T10:00:00"), day("2027-01-01")] == moments(overlay)

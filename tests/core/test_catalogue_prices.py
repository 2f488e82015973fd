"""From catalogues to an overlay: only what differs, dated, by region where the regions differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal

import pytest

from aai_gateway.core.catalogue import Catalogue, ListedModel
from aai_gateway.core.catalogue_prices import compare
from aai_gateway.core.price_book import PriceBook, in_force, surcharge
from aai_gateway.core.price_overlays import merge
from aai_gateway.core.price_parsing import parse_overlay
from aai_gateway.core.prices import chat_models
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.price_book import load_price_book

NOW = datetime(2026, 11, 21, 10, tzinfo=timezone.utc)
BOOK = load_price_book()
SONNET, QWEN = "claude-sonnet-4-6", "qwen3-32B"
KINDS = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


def as_listed(region: Region, book: PriceBook = BOOK) -> dict[str, ListedModel]:
    """What a region lists when it agrees with the book."""
    return {
        name: ListedModel(
            id=name,
            context=entry.context,
            parameters=tuple(reversed(entry.parameters)),
            retires=entry.retires,
            prices={kind: getattr(in_force(entry.terms.prices[region], NOW), kind) for kind in KINDS},
            surcharge=surcharge(book, region, entry.terms, NOW),
        )
        for name, entry in book.chat_models.items()
        if region in entry.regions
    }


def catalogues(changes=None, regions=ALL_REGIONS, book=BOOK):
    """Catalogues that agree with `book` but for `changes`: by region and model, a new model or None."""
    found = []
    for region in regions:
        models = as_listed(region, book)
        for name, change in (changes or {}).get(region, {}).items():
            models[name] = change(models[name]) if callable(change) else change
        found.append(Catalogue(region, {n: m for n, m in models.items() if m is not None}, {}))
    return found


def everywhere(name, change):
    return {region: {name: change} for region in ALL_REGIONS}


def priced(**amounts):
    def change(model):
        return replace(model, prices={**model.prices, **{k: Decimal(a) for k, a in amounts.items()}})

    return change


def body_of(changes, **others):
    compared = compare(BOOK, catalogues(changes, **others), NOW, "a catalogue")
    assert () == compared.problems
    return compared.body


def after(body) -> PriceBook:
    return merge(BOOK, parse_overlay(body))


def test_when_they_agree_there_is_nothing_to_say():
    assert {} == body_of({})


def test_a_price_that_differs_becomes_a_line_from_now_on():
    body = body_of(everywhere(SONNET, priced(input="3.5")))

    line = {"from": "2026-11-21T10:00:00Z", "source": "a catalogue", "input": "3.50", "output": "15.00"}
    line |= {"cache_read": "0.30", "cache_write": "3.75", "cache_write_1h": "6.00"}
    assert {"chat": {"models": {SONNET: {"prices": [line]}}}} == body
    assert {} == compare(after(body), catalogues(everywhere(SONNET, priced(input="3.5"))), NOW, "s").body


def test_a_price_of_one_region_is_that_regions():
    changes = {Region.EU: {SONNET: priced(input="3.5")}}
    body = body_of(changes)

    (line,) = body["chat"]["models"][SONNET]["prices"]
    assert "eu" == line["region"]
    assert {} == compare(after(body), catalogues(changes), NOW, "s").body
    # When only one region is asked, nothing is said of the other.
    assert body == body_of(everywhere(SONNET, priced(input="3.5")), regions=(Region.EU,))


def test_a_cache_price_that_is_gone_is_gone():
    def without(model):
        return replace(model, prices={**model.prices, "cache_read": None})

    (line,) = body_of(everywhere(SONNET, without))["chat"]["models"][SONNET]["prices"]

    assert "cache_read" not in line


def test_a_new_model_is_added_whole():
    model = ListedModel(
        "gpt-6-sol",
        400_000,
        ("stream",),
        date(2028, 1, 1),
        dict.fromkeys(KINDS[:2], Decimal(4)) | dict.fromkeys(KINDS[2:]),
        Decimal("0.1"),
    )
    book = after(body_of({Region.EU: {model.id: model}}))

    assert model.id in {offered.id for offered in chat_models(book, Region.EU, NOW)}
    assert model.id not in {offered.id for offered in chat_models(book, Region.US, NOW)}
    entry = book.chat_models[model.id]
    assert (400_000, ("stream",), date(2028, 1, 1)) == (entry.context, entry.parameters, entry.retires)
    assert Decimal("0.1") == surcharge(book, Region.EU, entry.terms, NOW)
    assert {} == compare(book, catalogues({Region.EU: {model.id: model}}), NOW, "s").body


@pytest.mark.parametrize("rates", [("0", "0"), ("0.1", "0.1"), ("0.05", "0.05"), ("0.05", "0.1")])
def test_a_new_model_has_the_surcharge_that_its_catalogue_says(rates):
    prices = dict.fromkeys(KINDS, Decimal(1))
    changes = {
        region: {"new": ListedModel("new", 1, (), None, prices, Decimal(rate))}
        for region, rate in zip(ALL_REGIONS, rates, strict=True)
    }
    book = after(body_of(changes))

    for region, rate in zip(ALL_REGIONS, rates, strict=True):
        assert Decimal(rate) == surcharge(book, region, book.chat_models["new"].terms, NOW)
    assert {} == compare(book, catalogues(changes), NOW, "s").body


def test_a_model_that_is_listed_no_more_keeps_its_prices_but_is_not_offered():
    body = body_of({Region.EU: {SONNET: None}, Region.US: {QWEN: None}})
    book = after(body)

    assert {"models": {SONNET: {"regions": ["us"]}, QWEN: {"regions": []}}} == body["chat"]
    assert BOOK.chat_models[SONNET].terms == book.chat_models[SONNET].terms
    assert SONNET not in {model.id for model in chat_models(book, Region.EU, NOW)}
    assert {"regions": ["us", "eu"]} == compare(book, catalogues(), NOW, "s").body["chat"]["models"][SONNET]


def test_facts_are_those_of_the_first_region_that_offers_the_model():
    changes = {
        Region.US: {SONNET: lambda model: replace(model, context=7, retires=date(2027, 1, 1))},
        Region.EU: {SONNET: lambda model: replace(model, context=8)},
    }

    assert {"context": 7, "retires": "2027-01-01"} == body_of(changes)["chat"]["models"][SONNET]
    assert {} == body_of(changes, regions=(Region.EU,))


def test_a_models_own_surcharge_is_dated():
    changes = everywhere(SONNET, lambda model: replace(model, surcharge=Decimal("0.05")))
    body = body_of(changes)
    book = after(body)

    line = {"from": "2026-11-21T10:00:00Z", "source": "a catalogue", "rate": "0.05"}
    assert {SONNET: {"surcharge": [line]}} == body["chat"]["models"]
    terms = book.chat_models[SONNET].terms
    assert Decimal("0.05") == surcharge(book, Region.US, terms, NOW)
    assert Decimal("0.1") == surcharge(book, Region.US, terms, NOW.replace(hour=9))
    # It goes back by a line of its own.
    again = compare(book, catalogues(), NOW.replace(hour=11), "s").body
    assert "0.10" == again["chat"]["models"][SONNET]["surcharge"][0]["rate"]


def test_when_a_whole_region_changes_its_surcharge_it_is_one_line():
    def dearer(model):
        return replace(model, surcharge=Decimal("0.12")) if model.surcharge else model

    changes = {Region.EU: dict.fromkeys(as_listed(Region.EU), dearer)}
    body = body_of(changes)

    assert {"in_region_surcharge"} == set(body["chat"])
    assert ["eu"] == list(body["chat"]["in_region_surcharge"])
    assert "0.12" == body["chat"]["in_region_surcharge"]["eu"][0]["rate"]


def test_the_fallback_stays_the_highest_known_price_of_each_kind():
    body = body_of(everywhere(SONNET, priced(output="45")))

    assert ["45.00"] == [line["output"] for line in body["chat"]["fallback"]["prices"]]
    assert ["5.00"] == [line["input"] for line in body["chat"]["fallback"]["prices"]]


@pytest.mark.parametrize("price", ["0.000003", "0", "3000"])
def test_a_price_in_another_unit_is_not_believed(price):
    found = compare(BOOK, catalogues(everywhere(SONNET, priced(input=price))), NOW, "s")

    assert {} == found.body
    assert [f"us {SONNET}", f"eu {SONNET}"] == [problem.partition(":")[0] for problem in found.problems]


def test_a_model_that_cannot_be_read_stays_as_it_was():
    us, eu = catalogues()
    us = Catalogue(
        us.region, {n: m for n, m in us.models.items() if n != SONNET}, {SONNET: "pricing is None"}
    )

    found = compare(BOOK, [us, eu], NOW, "s")

    assert ({}, (f"us {SONNET}: pricing is None",)) == (found.body, found.problems)

"""Many cases of the pure core against an oracle in whole numbers that knows nothing of it.

The oracle counts prices in billionths of a dollar and moments in seconds, and rounds by a formula of its own.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.costs import Cost
from aai_gateway.core.price_book import Price, PriceBook, in_force
from aai_gateway.core.price_overlays import merge, unite
from aai_gateway.core.price_parsing import parse_overlay, parse_price_book
from aai_gateway.core.prices import SpeechJob, TokenUsage, line_item, price_chat, price_speech
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.rerating import rerate
from aai_gateway.errors import PriceError

CASES = int(os.environ.get("AAI_GATEWAY_TEST_PRICE_CASES", "200_000"))
"""Of all kinds together, a multiple of 20,000; two million take some minutes."""
LINES, JOBS, COMPLETIONS, HISTORIES = CASES // 2, CASES // 4, CASES // 5, CASES // 13
OF_A_WORLD = 1000

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
KINDS = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
BILLION = 10**9


def half_even(numerator: int, denominator: int) -> int:
    """The nearest whole number, of two equally near the even one."""
    doubled = 2 * numerator + denominator
    rounded = doubled // (2 * denominator)
    return rounded - 1 if doubled % (2 * denominator) == 0 and rounded % 2 else rounded


def dollars(billionths: int) -> Decimal:
    return Decimal(billionths).scaleb(-9)


def text(billionths: int) -> str:
    return f"{billionths // BILLION}.{billionths % BILLION:09d}"


def moment(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


History = list[tuple[int, Any]]
"""The oracle's history: seconds since START, and a value; oldest first."""


def holds(history: History, seconds: int) -> Any:
    """The value at `seconds`, or the oldest."""
    return history[max(0, bisect_right([since for since, _ in history], seconds) - 1)][1]


# Lines


def test_every_line_is_the_exact_amount_rounded_half_to_even() -> None:
    random = Random(20261121)
    pool = [random.randrange(10 ** random.randrange(1, 14)) for _ in range(4000)]
    # Prices whose lines often end in exactly half a micro-dollar.
    pool += [n * BILLION // 2 for n in range(1, 200)] + [n * 1800 * 1000 for n in range(1, 200)]
    prices = [(billionths, dollars(billionths)) for billionths in pool]
    ties = 0
    for unit, divisor in (("second", 3600), ("token", 1_000_000)):
        for _ in range(LINES // 2):
            billionths, price = prices[int(random.random() * len(prices))]
            quantity = int(random.random() * 10 ** (1 + int(random.random() * 9)))
            numerator, denominator = billionths * quantity, 1000 * divisor
            ties += 2 * (numerator % denominator) == denominator

            if half_even(numerator, denominator) != line_item("x", quantity, unit, price).micros:
                pytest.fail(f"{quantity} {unit}s at {price}")
    assert ties > LINES // 1000


# Books


@dataclass
class World:
    """A random book, and the same as the oracle sees it."""

    book: PriceBook
    speech: dict[str, History]
    addons: dict[str, History]
    model_fallback: History
    addon_fallback: History
    chat: dict[str, dict[Region, tuple[History, History]]]
    chat_fallback: dict[Region, tuple[History, History]]
    rates: dict[Region, History]


def moments_of(random: Random, most: int = 4) -> list[int]:
    return sorted(random.sample(range(100_000_000), random.randrange(1, most + 1)))


def amounts(random: Random, highest: int = 20 * BILLION) -> History:
    return [(since, random.randrange(highest)) for since in moments_of(random)]


def rows(history: History, unit: str = "usd") -> list[dict[str, str]]:
    return [{"from": moment(s).isoformat(), unit: text(n), "source": "a page"} for s, n in history]


def chat_terms(random: Random) -> tuple[dict[str, Any], dict[Region, tuple[History, History]]]:
    """The plain values of a model's terms, whose lines hold in one region or in both, and its histories."""
    prices: dict[Region, History] = {region: [] for region in ALL_REGIONS}
    plain_prices, common = [], True
    for since in moments_of(random):
        where = (
            list(ALL_REGIONS) if common else random.choice([[r] for r in ALL_REGIONS] + [list(ALL_REGIONS)])
        )
        common = False
        value = {k: random.randrange(50 * BILLION) for k in KINDS if k in KINDS[:2] or random.random() < 0.6}
        plain: dict[str, str] = {"from": moment(since).isoformat(), "source": "a page"}
        plain |= {kind: text(n) for kind, n in value.items()}
        if len(where) == 1:
            plain["region"] = where[0].value
        plain_prices.append(plain)
        for region in where:
            prices[region].append((since, value))
    choice = random.randrange(3)
    if choice < 2:
        surcharge: Any = bool(choice)
        rates: History = [(0, None if choice else 0)]
    else:
        rates = amounts(random, BILLION)
        surcharge = rows(rates, "rate")
    return {"surcharge": surcharge, "prices": plain_prices}, {r: (prices[r], rates) for r in ALL_REGIONS}


def world(random: Random) -> World:
    speech = {f"model-{n}": amounts(random) for n in range(4)}
    addons = {f"addon-{n}": amounts(random) for n in range(6)}
    model_fallback, addon_fallback = amounts(random), amounts(random)
    rates = {region: amounts(random, BILLION) for region in ALL_REGIONS}
    plain_models, chat = {}, {}
    for n in range(4):
        plain, chat[f"chat-{n}"] = chat_terms(random)
        plain_models[f"chat-{n}"] = {"context": 1, "regions": ["us", "eu"], "parameters": [], **plain}
    plain_fallback, chat_fallback = chat_terms(random)
    data = {
        "speech": {
            "models": {name: rows(history) for name, history in speech.items()},
            "addons": {name: rows(history) for name, history in addons.items()},
            "aliases": {"alias": "model-0"},
            "fallback_model": rows(model_fallback),
            "fallback_addon": rows(addon_fallback),
        },
        "chat": {
            "models": plain_models,
            "fallback": plain_fallback,
            "aliases": {"alias": "chat-0"},
            "in_region_surcharge": {r.value: rows(history, "rate") for r, history in rates.items()},
        },
    }
    speech["alias"], chat["alias"] = speech["model-0"], chat["chat-0"]
    book = parse_price_book(data)
    return World(book, speech, addons, model_fallback, addon_fallback, chat, chat_fallback, rates)


def instants(random: Random) -> list[tuple[int, datetime]]:
    seconds = [random.randrange(-1000, 110_000_000) for _ in range(200)]
    return [(s, moment(s)) for s in seconds]


def booked(cost: Cost) -> list[dict[str, Any]]:
    """A cost's lines as a usage row has them."""
    return [{"name": item.name, "quantity": item.quantity} for item in cost.items]


# Jobs


def jobs(random: Random, count: int) -> Iterator[tuple[World, int, SpeechJob]]:
    names = ["model-0", "model-1", "model-2", "model-3", "alias", "unknown-1", None]
    options = [f"addon-{n}" for n in range(6)] + ["unheard", "domain=new"]
    for _ in range(count // OF_A_WORLD):
        here, times = world(random), instants(random)
        for _ in range(OF_A_WORLD):
            second, at = times[int(random.random() * 200)]
            chosen = int(random.random() * 256)
            addons = tuple(
                name for bit, name in enumerate(options) if chosen >> bit & 1 and bit % 3 != chosen % 3
            )
            yield (
                here,
                second,
                SpeechJob(
                    model=names[int(random.random() * 7)],
                    seconds=int(random.random() * 10 ** (1 + int(random.random() * 5))),
                    channels=1 + int(random.random() * 8) * (random.random() < 0.2),
                    addons=addons,
                    failed=random.random() < 0.05,
                    at=at,
                ),
            )


def test_every_job_costs_what_the_oracle_says() -> None:
    priced = 0
    for number, (here, second, job) in enumerate(jobs(Random(1), JOBS)):
        cost = price_speech(here.book, job)

        quantity = job.seconds * job.channels
        model = job.model or "unknown"
        expected, fallback = [], False
        for name, known, other in (
            (model, here.speech.get(model), here.model_fallback),
            *((addon, here.addons.get(addon), here.addon_fallback) for addon in job.addons),
        ):
            billionths = holds(known or other, second)
            expected.append((name, quantity, half_even(billionths * quantity, 3_600_000), known is None))
            fallback |= known is None
        if job.failed:
            expected, fallback = [], False
        found = [(item.name, item.quantity, item.micros, item.fallback) for item in cost.items]
        if (expected, fallback) != (found, cost.priced_as == "fallback"):
            pytest.fail(f"{job}: {expected} is not {found}")
        assert sum(micros for _, _, micros, _ in expected) == cost.micros
        if number % 5 == 0:
            again = rerate(
                here.book,
                service="speech",
                region=Region.US,
                model=cost.model,
                items=booked(cost),
                global_region=None,
                at=job.at,
            )
            assert cost == again
        if number % 11 == 0 and not job.failed:
            longer = SpeechJob(job.model, job.seconds + 1, job.channels, job.addons, False, job.at)
            assert price_speech(here.book, longer).micros >= cost.micros
        priced += 1
    assert JOBS == priced


# Completions


def test_every_completion_costs_what_the_oracle_says() -> None:
    random = Random(2)
    names = ["chat-0", "chat-1", "chat-2", "chat-3", "alias", "unknown"]
    priced = 0
    for _ in range(COMPLETIONS // OF_A_WORLD):
        here, times = world(random), instants(random)
        for _ in range(OF_A_WORLD):
            second, at = times[int(random.random() * 200)]
            model = names[int(random.random() * 6)]
            region = ALL_REGIONS[int(random.random() * 2)]
            global_region = random.random() < 0.4
            counts = [int(random.random() * 200_000) if random.random() < 0.5 else 0 for _ in range(5)]
            fresh, cached, written, written_1h, output = counts
            usage = TokenUsage(fresh + cached + written + written_1h, output, cached, written, written_1h)

            cost = price_chat(here.book, region, model, usage, global_region=global_region, at=at)

            prices, rates = here.chat.get(model, here.chat_fallback)[region]
            value, rate = holds(prices, second), holds(rates, second)
            rate = holds(here.rates[region], second) if rate is None else rate
            factor = BILLION + (0 if global_region else rate)
            expected = [
                (name, tokens, half_even(value.get(kind, value["input"]) * factor * tokens, BILLION**2))
                for name, kind, tokens in (
                    ("input", "input", fresh),
                    ("cache_read", "cache_read", cached),
                    ("cache_write_5m", "cache_write", written),
                    ("cache_write_1h", "cache_write_1h", written_1h),
                    ("output", "output", output),
                )
                if tokens
            ]
            found = [(item.name, item.quantity, item.micros) for item in cost.items]
            if expected != found or (model == "unknown") != (cost.priced_as == "fallback"):
                pytest.fail(f"{model} {usage} {region} {global_region} {at}: {expected} is not {found}")
            if priced % 5 == 0:
                assert cost == rerate(
                    here.book,
                    service="chat",
                    region=region,
                    model=model,
                    items=booked(cost),
                    global_region=global_region,
                    at=at,
                )
                assert all(item.fallback == (model == "unknown") for item in cost.items)
            priced += 1
    assert COMPLETIONS == priced


# Histories


def test_united_histories_hold_what_the_oracle_says() -> None:
    random = Random(3)
    for _ in range(HISTORIES):
        layers = []
        for layer in range(1 + int(random.random() * 3)):
            own = random.random() < 0.25
            seconds = sorted({int(random.random() * 12) for _ in range(1 + int(random.random() * 4))})
            layers.append([Price(moment(s), Decimal(layer), "", own) for s in seconds])
        second = int(random.random() * 14) - 1

        united: tuple[Price, ...] = ()
        for lines in layers:
            united = unite(united, tuple(lines))

        # One's own lines hold from the first of them on; among equals the newest moment, then the last layer.
        ordered = [(p.since, n, p) for n, lines in enumerate(layers) for p in lines]
        first_own = min((s for s, _, p in ordered if p.own), default=None)
        valid = [(s, n, p) for s, n, p in ordered if first_own is None or p.own or s < first_own]
        held = [one for one in valid if one[0] <= moment(second)]
        if held:
            expected = max(held, key=lambda one: one[:2])[2]
        else:
            earliest = min(s for s, _, _ in valid)
            expected = max((one for one in valid if one[0] == earliest), key=lambda one: one[1])[2]
        assert expected == in_force(united, moment(second))
        assert list(united) == sorted(united, key=lambda price: price.since)
        assert {s for s, _, _ in valid} == {price.since for price in united}


# Shapes


names = st.sampled_from(["model-0", "model-1", "new"])
days = st.dates(datetime(2020, 1, 1).date(), datetime(2030, 1, 1).date())
usd = st.decimals("0", "1000", places=3).map(str)
histories = st.dictionaries(days, usd, min_size=1, max_size=4).map(
    lambda found: [{"from": day, "usd": found[day], "source": "s"} for day in sorted(found)]
)
overlays = st.fixed_dictionaries(
    {},
    optional={
        "speech": st.fixed_dictionaries(
            {},
            optional={
                "models": st.dictionaries(names, histories),
                "addons": st.dictionaries(names, histories),
                "fallback_model": histories,
                "fallback_addon": histories,
            },
        )
    },
)
BOOK = world(Random(4)).book


@given(overlays, overlays)
def test_a_merged_book_has_the_lines_of_both_and_keeps_the_older(first: Any, second: Any) -> None:
    once = merge(BOOK, parse_overlay(first))
    twice = merge(once, parse_overlay(second))

    assert twice == merge(twice, parse_overlay(second))
    for before, after in (
        (once.speech_models, twice.speech_models),
        (once.speech_addons, twice.speech_addons),
        ({"": once.fallback_addon}, {"": twice.fallback_addon}),
    ):
        for name, history in before.items():
            assert {price.since for price in history} <= {price.since for price in after[name]}
    assert merge(BOOK, parse_overlay({})) == BOOK


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.dates() | st.datetimes(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["speech", "chat", "models", "prices", "from", "usd", "source", "x"]), inner
            )
        ),
    )
)
def test_any_plain_values_are_an_overlay_or_a_named_error(data: Any) -> None:
    with contextlib.suppress(PriceError):
        assert merge(BOOK, parse_overlay(data)).speech_models.keys() >= BOOK.speech_models.keys()

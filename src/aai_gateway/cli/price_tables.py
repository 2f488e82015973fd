"""How `aai-gateway prices` shows prices and what has changed, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from aai_gateway.cli.output import note, print_table
from aai_gateway.core.price_book import (
    KINDS,
    ChatTerms,
    PriceBook,
    TokenPrices,
    amount_text,
    in_force,
    moment_text,
    surcharge,
)
from aai_gateway.core.price_changes import FALLBACK_MODEL, Line, Place, PriceChange, lines, percent
from aai_gateway.core.regions import ALL_REGIONS, Region

SPEECH, CHAT = "speech", "chat"
_PRICED = ("hour", "hour, on top", "same as", "surcharge", *KINDS)


def prices_json(book: PriceBook, at: datetime, services: Collection[str]) -> list[dict[str, Any]]:
    """Every price and surcharge in force at `at`; amounts are text."""
    return [
        {
            "service": place.service,
            "name": place.name,
            "what": place.what,
            "region": place.region.value if place.region else None,
            "value": line.value,
            "since": moment_text(line.since) if line.since else None,
            "source": line.source,
            "own": line.own,
        }
        for place, line in lines(book, at).items()
        if place.service in services and place.what in _PRICED
    ]


def print_prices(book: PriceBook, at: datetime, services: Collection[str]) -> None:
    """The prices in force at `at`: speech by the hour, chat by the million tokens."""
    if SPEECH in services:
        found = [(place, line) for place, line in lines(book, at).items() if place.service == SPEECH]
        print_table(
            ["Speech", "USD", "Per", "Since", "Source"], [_speech_row(*one) for one in found], right=[1]
        )
    if len(services) > 1:
        print()
    if CHAT in services:
        headers = ["Chat model", "Regions", "Input", "Output", "Cache read", "Write 5 m", "Write 1 h"]
        headers += ["In region", "Since", "Source"]
        print_table(headers, _chat_rows(book, at), right=range(2, 8))
        note(
            "Chat prices are USD per million tokens at model_region global; "
            "`In region` is added to requests that stay in their region."
        )


def _speech_row(place: Place, line: Line) -> list[str]:
    if place.what == "same as":
        return [place.name, "", f"as {line.value}", "", ""]
    since = moment_text(line.since) if line.since else ""
    return [place.name, line.value, place.what, since, _source(line.source, own=line.own)]


def _chat_rows(book: PriceBook, at: datetime) -> Iterator[list[str]]:
    for name, entry in book.chat_models.items():
        yield from _model_rows(book, at, name, entry.terms, entry.regions)
    yield from _model_rows(book, at, FALLBACK_MODEL, book.fallback_chat, ALL_REGIONS)
    for alias, name in book.chat_aliases.items():
        yield [alias, f"as {name}", *[""] * 8]


def _model_rows(
    book: PriceBook, at: datetime, name: str, terms: ChatTerms, regions: Sequence[Region]
) -> Iterator[list[str]]:
    """A row for all regions of a model, or one for each of those that differ."""
    rows: dict[tuple[TokenPrices, str], list[str]] = {}
    for region in regions or ALL_REGIONS:
        added = percent(surcharge(book, region, terms, at))
        rows.setdefault((in_force(terms.prices[region], at), added), []).append(region.value)
    for (prices, added), where in rows.items():
        amounts = (getattr(prices, kind) for kind in KINDS)
        yield [
            name,
            ", ".join(where) if regions else "none",
            *("" if amount is None else amount_text(amount) for amount in amounts),
            added,
            moment_text(prices.since),
            _source(prices.source, own=prices.own),
        ]


def _source(source: str, *, own: bool) -> str:
    return f"{source} (your own)" if own else source


def changes_json(changes: Sequence[PriceChange]) -> list[dict[str, Any]]:
    """Changes as JSON values; amounts are text."""
    return [
        {
            "service": one.service,
            "name": one.name,
            "what": one.what,
            "regions": [region.value for region in one.regions],
            "before": one.before,
            "after": one.after,
            "since": moment_text(one.since) if one.since else None,
        }
        for one in changes
    ]


def print_changes(changes: Sequence[PriceChange]) -> None:
    """What was and what is, a line for each."""
    print_table(
        ["Service", "Name", "What", "Regions", "Before", "After", "Since"],
        [
            [
                one.service,
                one.name,
                one.what,
                ", ".join(region.value for region in one.regions),
                one.before or "-",
                one.after or "-",
                moment_text(one.since) if one.since else "",
            ]
            for one in changes
        ],
        right=[4, 5],
    )

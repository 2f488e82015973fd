"""What a price book says at a moment, line by line, and what has changed between two of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from aai_gateway.core.price_book import (
    BEGINNING,
    KINDS,
    ChatEntry,
    ChatTerms,
    Price,
    PriceBook,
    amount_text,
)
from aai_gateway.core.regions import ALL_REGIONS, Region

FALLBACK_MODEL = "(any other model)"
FALLBACK_ADDON = "(any other add-on)"
EVERY_MODEL = "(every model)"
"""Names of lines that stand for more than one name."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: `what` is priced or said of `name`, in `region` if not in all."""

    service: str
    name: str
    what: str
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What a book says in a place: a value as text, since when, and who said so; None for what is undated."""

    value: str
    since: datetime | None = None
    source: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One value that became another; None where there is or was none. `regions` are those it holds in."""

    service: str
    name: str
    what: str
    regions: tuple[Region, ...]
    before: str | None
    after: str | None
    since: datetime | None


def lines(book: PriceBook, at: datetime) -> dict[Place, Line]:
    """Everything that `book` charges by at `at`: where all lines are younger, the oldest."""
    return {place: _newest(history, at) or history[0] for place, history in _histories(book)}


def known(book: PriceBook, at: datetime) -> dict[Place, Line]:
    """What `book` knows to hold at `at`: of what begins later, nothing."""
    found = ((place, _newest(history, at)) for place, history in _histories(book))
    return {place: line for place, line in found if line is not None}


def changes(before: Mapping[Place, Line], after: Mapping[Place, Line]) -> list[PriceChange]:
    """What differs in value between two results of `lines` or `known`; a change of several regions is one."""
    found: dict[tuple[Any, ...], list[Region]] = {}
    for place in dict.fromkeys([*before, *after]):
        old, new = before.get(place), after.get(place)
        if (old.value if old else None) == (new.value if new else None):
            continue
        key = (
            place.service,
            place.name,
            place.what,
            old.value if old else None,
            new.value if new else None,
            new.since if new else None,
        )
        found.setdefault(key, []).extend([place.region] if place.region else [])
    return [
        PriceChange(service, name, what, tuple(regions), old, new, since)
        for (service, name, what, old, new, since), regions in found.items()
    ]


def added(before: PriceBook, after: PriceBook, moments: Iterable[datetime]) -> list[PriceChange]:
    """What `after` says otherwise than `before` from each of these moments on, each change once."""
    found: list[PriceChange] = []
    for moment in sorted(moments):
        found += [one for one in changes(lines(before, moment), lines(after, moment)) if one not in found]
    return found


def next_change(book: PriceBook, at: datetime) -> datetime | None:
    """The first moment after `at` at which `book` says something else."""
    later = (
        line.since
        for _, history in _histories(book)
        for line in history
        if line.since is not None and line.since > at
    )
    return min(later, default=None)


History = tuple[Line, ...]


def _histories(book: PriceBook) -> Iterator[tuple[Place, History]]:
    return chain(_speech_lines(book), _chat_lines(book))


def _newest(history: History, at: datetime) -> Line | None:
    return next((line for line in reversed(history) if line.since is None or line.since <= at), None)


def _speech_lines(book: PriceBook) -> Iterator[tuple[Place, History]]:
    for name, prices in book.speech_models.items():
        yield Place("speech", name, "hour"), _amounts(prices)
    for name, prices in book.speech_addons.items():
        yield Place("speech", name, "hour, on top"), _amounts(prices)
    yield Place("speech", FALLBACK_MODEL, "hour"), _amounts(book.fallback_speech_model)
    yield Place("speech", FALLBACK_ADDON, "hour, on top"), _amounts(book.fallback_addon)
    for alias, name in book.speech_aliases.items():
        yield Place("speech", alias, "same as"), (Line(name),)


def _chat_lines(book: PriceBook) -> Iterator[tuple[Place, History]]:
    for region, rates in book.in_region_surcharge.items():
        history = tuple(Line(percent(rate.amount), rate.since, rate.source, rate.own) for rate in rates)
        yield Place("chat", EVERY_MODEL, "surcharge", region), history
    for name, entry in book.chat_models.items():
        for what, value in _facts(entry).items():
            yield Place("chat", name, what), (Line(value),)
        yield from _terms(name, entry.terms, entry.regions or ALL_REGIONS)
    yield from _terms(FALLBACK_MODEL, book.fallback_chat, ALL_REGIONS)
    for alias, name in book.chat_aliases.items():
        yield Place("chat", alias, "same as"), (Line(name),)


def _terms(name: str, terms: ChatTerms, regions: Iterable[Region]) -> Iterator[tuple[Place, History]]:
    for region in regions:
        for kind in KINDS:
            yield (
                Place("chat", name, kind, region),
                tuple(
                    Line(_optional(getattr(prices, kind)), prices.since, prices.source, prices.own)
                    for prices in terms.prices[region]
                ),
            )
        yield (
            Place("chat", name, "surcharge", region),
            tuple(
                Line(
                    "as the region" if one.rate is None else percent(one.rate),
                    None if one.since == BEGINNING else one.since,
                    one.source,
                    one.own,
                )
                for one in terms.surcharges[region]
            ),
        )


def _facts(entry: ChatEntry) -> dict[str, str]:
    return {
        "context": f"{entry.context:,}",
        "regions": ", ".join(region.value for region in entry.regions) or "none",
        "parameters": ", ".join(entry.parameters) or "none",
        "retires": entry.retires.isoformat() if entry.retires else "never",
    }


def _amounts(prices: Iterable[Price]) -> History:
    return tuple(Line(amount_text(price.amount), price.since, price.source, price.own) for price in prices)


def _optional(amount: Decimal | None) -> str:
    return "as input" if amount is None else amount_text(amount)


def percent(rate: Decimal) -> str:
    """A fraction as a percentage: 0.1 is `10%`."""
    return f"{(rate * 100).normalize():f}%"

"""Where the prices of a statement's lines were published, so that a reader can look them up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from aai_gateway.core.price_book import Price, PriceBook, Surcharge, TokenPrices, in_force
from aai_gateway.core.statements import StatementLine

Dated = Price | TokenPrices | Surcharge


@dataclass(frozen=True, slots=True)
class PriceSource:
    """Who said so, and since when the newest price taken from there holds; `own` is of one's own contract."""

    text: str
    since: datetime
    own: bool


def sources_of(
    book: PriceBook, lines: Iterable[StatementLine], since: datetime, until: datetime
) -> list[PriceSource]:
    """The sources of all prices of the lines that held at some time from `since` up to `until`, by name."""
    newest: dict[tuple[str, bool], datetime] = {}
    for line in lines:
        for history in _histories(book, line):
            for price in _held(history, since, until):
                place = (price.source, price.own)
                newest[place] = max(price.since, newest.get(place, price.since))
    return [PriceSource(text, at, own) for (text, own), at in sorted(newest.items())]


def _histories(book: PriceBook, line: StatementLine) -> Iterator[Sequence[Dated]]:
    """The price of a line, and with a completion's the surcharge for staying in the region."""
    if line.service != "chat":
        models, addons = book.speech_models, book.speech_addons
        known = models.get(book.speech_aliases.get(line.item, line.item)) or addons.get(line.item)
        fallback = book.fallback_speech_model if line.item == line.model else book.fallback_addon
        yield known or fallback
        return
    model = line.model or ""
    entry = book.chat_models.get(book.chat_aliases.get(model, model))
    terms = entry.terms if entry is not None else book.fallback_chat
    yield terms.prices[line.region]
    yield terms.surcharges[line.region]
    yield book.in_region_surcharge[line.region]


def _held(history: Sequence[Dated], since: datetime, until: datetime) -> list[Dated]:
    if not history:
        return []
    first: Dated = in_force(tuple(history), since)
    return [first, *(price for price in history if since < price.since < until and price is not first)]

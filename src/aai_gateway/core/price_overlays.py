"""Changes to a price book: an overlay says some prices anew, and `merge` puts it on a book.

A book in force is the packaged one with overlays on it, in their order. Lines of a history are united by
moment, so older lines stay and what was booked at them can be explained. At the same moment the later overlay
wins. Prices of one's own contract replace published ones from their first moment on, whichever came later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from aai_gateway.core.price_book import ChatEntry, ChatTerms, D, Price, PriceBook, Surcharge, TokenPrices
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.errors import PriceError

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TermsChange:
    """New lines of a chat model's histories, by region."""

    surcharges: Mapping[Region, tuple[Surcharge, ...]] = field(default_factory=dict)
    prices: Mapping[Region, tuple[TokenPrices, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChatChange:
    """What an overlay says of a chat model. `facts` has the undated fields of `ChatEntry` that are given."""

    facts: Mapping[str, Any]
    terms: TermsChange


@dataclass(frozen=True, slots=True)
class Overlay:
    """The part of a price book that changes; every part may be empty."""

    speech_models: Mapping[str, tuple[Price, ...]] = field(default_factory=dict)
    speech_aliases: Mapping[str, str] = field(default_factory=dict)
    speech_addons: Mapping[str, tuple[Price, ...]] = field(default_factory=dict)
    fallback_speech_model: tuple[Price, ...] = ()
    fallback_addon: tuple[Price, ...] = ()
    chat_models: Mapping[str, ChatChange] = field(default_factory=dict)
    chat_aliases: Mapping[str, str] = field(default_factory=dict)
    fallback_chat: TermsChange = field(default_factory=TermsChange)
    in_region_surcharge: Mapping[Region, tuple[Price, ...]] = field(default_factory=dict)


EMPTY = PriceBook(
    speech_models={},
    speech_aliases={},
    speech_addons={},
    fallback_speech_model=(),
    fallback_addon=(),
    chat_models={},
    chat_aliases={},
    fallback_chat=ChatTerms(dict.fromkeys(ALL_REGIONS, ()), dict.fromkeys(ALL_REGIONS, ())),
    in_region_surcharge=dict.fromkeys(ALL_REGIONS, ()),
)
"""The book that a whole price book is merged on; nothing can be priced by it."""


def merge(book: PriceBook, overlay: Overlay) -> PriceBook:
    """`book` with `overlay` on it. Raises PriceError naming the key of what does not fit.

    A new chat model needs everything that a model of the book has. A model takes the place of an alias of its
    name.
    """
    speech_models = _each(book.speech_models, overlay.speech_models, unite)
    chat_models = {**book.chat_models}
    for name, change in overlay.chat_models.items():
        chat_models[name] = _changed(f"chat.models.{name}", chat_models.get(name), change)
    return PriceBook(
        speech_models=speech_models,
        speech_aliases=_aliases("speech.aliases", book.speech_aliases, overlay.speech_aliases, speech_models),
        speech_addons=_each(book.speech_addons, overlay.speech_addons, unite),
        fallback_speech_model=unite(book.fallback_speech_model, overlay.fallback_speech_model),
        fallback_addon=unite(book.fallback_addon, overlay.fallback_addon),
        chat_models=chat_models,
        chat_aliases=_aliases("chat.aliases", book.chat_aliases, overlay.chat_aliases, chat_models),
        fallback_chat=_terms("chat.fallback", book.fallback_chat, overlay.fallback_chat),
        in_region_surcharge=_each(book.in_region_surcharge, overlay.in_region_surcharge, unite),
    )


def unite(older: tuple[D, ...], newer: tuple[D, ...]) -> tuple[D, ...]:
    """Two histories as one: `newer` wins at the same moment, and one's own lines replace published ones."""
    lines = {line.since: line for line in older}
    lines |= {line.since: line for line in newer if line.own or not _is_own(lines.get(line.since))}
    first_own = min((line.since for line in lines.values() if line.own), default=None)
    kept = (line for line in lines.values() if first_own is None or line.own or line.since < first_own)
    return tuple(sorted(kept, key=_since))


def _since(line: D) -> datetime:
    return line.since


def _is_own(line: D | None) -> bool:
    return line is not None and line.own


def _changed(where: str, entry: ChatEntry | None, change: ChatChange) -> ChatEntry:
    if entry is not None:
        return replace(entry, **change.facts, terms=_terms(where, entry.terms, change.terms))
    required = {"context", "regions", "parameters"}
    missing = required - change.facts.keys()
    missing |= {"surcharge"} if not change.terms.surcharges else set()
    missing |= {"prices"} if not change.terms.prices else set()
    if missing:
        raise PriceError(f"{where}: {', '.join(sorted(missing))} is missing.")
    facts = {"retires": None, **change.facts}
    return ChatEntry(**facts, terms=_terms(where, EMPTY.fallback_chat, change.terms))


def _terms(where: str, terms: ChatTerms, change: TermsChange) -> ChatTerms:
    surcharges = _each(terms.surcharges, change.surcharges, unite)
    prices = _each(terms.prices, change.prices, unite)
    for key, histories in (("surcharge", surcharges), ("prices", prices)):
        if empty := [region.value for region in ALL_REGIONS if not histories[region]]:
            raise PriceError(f"{where}.{key}: there is no line for {', '.join(empty)}.")
    return ChatTerms(surcharges, prices)


def _each(
    known: Mapping[K, tuple[D, ...]],
    new: Mapping[K, tuple[D, ...]],
    combine: Callable[[tuple[D, ...], tuple[D, ...]], tuple[D, ...]],
) -> dict[K, tuple[D, ...]]:
    return {**known, **{name: combine(known.get(name, ()), lines) for name, lines in new.items()}}


def _aliases(
    where: str, known: Mapping[str, str], new: Mapping[str, str], models: Mapping[str, object]
) -> dict[str, str]:
    for alias, name in new.items():
        if name not in models:
            raise PriceError(f"{where}.{alias}: an alias is another name of a listed model, not {name!r}.")
    return {alias: name for alias, name in {**known, **new}.items() if alias not in models}


def moments(overlay: Overlay) -> list[datetime]:
    """Every moment at which `overlay` has a line, oldest first."""
    terms = [overlay.fallback_chat, *(change.terms for change in overlay.chat_models.values())]
    histories: Iterable[tuple[Any, ...]] = [
        *overlay.speech_models.values(),
        *overlay.speech_addons.values(),
        overlay.fallback_speech_model,
        overlay.fallback_addon,
        *overlay.in_region_surcharge.values(),
        *(lines for one in terms for lines in (*one.surcharges.values(), *one.prices.values())),
    ]
    return sorted({line.since for history in histories for line in history})

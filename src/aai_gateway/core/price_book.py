"""The price book as the gateway reads it: dated prices of models and add-ons, and where each was published.

Amounts are `Decimal` US dollars: speech per hour of audio, chat per million tokens. A history is a tuple of
prices, oldest first. `parse_price_book` takes the plain values of `price_book.yaml` and names the key of
whatever is wrong with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from aai_gateway.core.regions import Region
from aai_gateway.errors import PriceError

_AMOUNT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?")


class Dated(Protocol):
    """Anything that holds from a day on."""

    @property
    def since(self) -> date:
        """The first day it is known to hold, UTC."""


D = TypeVar("D", bound=Dated)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Price:
    """One amount in US dollars (or a surcharge as a fraction), since when, and who said so."""

    since: date
    amount: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """US dollars per million tokens of each kind. A cache price of None means the input price."""

    since: date
    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    cache_write: Decimal | None
    cache_write_1h: Decimal | None
    source: str


@dataclass(frozen=True, slots=True)
class ChatTerms:
    """How a chat model is charged: its history of prices, and whether staying in a region costs extra."""

    surcharged: bool
    prices: tuple[TokenPrices, ...]


@dataclass(frozen=True, slots=True)
class ChatEntry:
    """A chat model of the LLM Gateway: context window in tokens, where it runs, and its terms."""

    context: int
    regions: tuple[Region, ...]
    parameters: tuple[str, ...]
    retires: date | None
    terms: ChatTerms


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Every known price; an alias is a second name of a model, a fallback serves names not listed."""

    speech_models: Mapping[str, tuple[Price, ...]]
    speech_aliases: Mapping[str, str]
    speech_addons: Mapping[str, tuple[Price, ...]]
    fallback_speech_model: tuple[Price, ...]
    fallback_addon: tuple[Price, ...]
    chat_models: Mapping[str, ChatEntry]
    chat_aliases: Mapping[str, str]
    fallback_chat: ChatTerms
    in_region_surcharge: Mapping[Region, tuple[Price, ...]]


def in_force(history: tuple[D, ...], at: datetime) -> D:
    """The newest of `history` that held at `at` (aware), or the oldest when all are younger."""
    day = at.astimezone(timezone.utc).date()
    return next((entry for entry in reversed(history) if entry.since <= day), history[0])


def parse_price_book(data: object) -> PriceBook:
    """The book in the plain values of a YAML file. Raises PriceError that names the key."""
    top = _record(data, "price book", required={"speech", "chat"}, optional={"sources"})
    speech = _record(
        top["speech"],
        "speech",
        required={"models", "addons", "fallback_model", "fallback_addon"},
        optional={"aliases"},
    )
    chat = _record(
        top["chat"], "chat", required={"models", "fallback", "in_region_surcharge"}, optional={"aliases"}
    )
    speech_models = _each(speech["models"], "speech.models", _prices)
    chat_models = _each(chat["models"], "chat.models", _chat_entry)
    surcharges = _record(
        chat["in_region_surcharge"], "chat.in_region_surcharge", required={region.value for region in Region}
    )
    return PriceBook(
        speech_models=speech_models,
        speech_aliases=_aliases(speech.get("aliases", {}), "speech.aliases", speech_models),
        speech_addons=_each(speech["addons"], "speech.addons", _prices),
        fallback_speech_model=_prices(speech["fallback_model"], "speech.fallback_model"),
        fallback_addon=_prices(speech["fallback_addon"], "speech.fallback_addon"),
        chat_models=chat_models,
        chat_aliases=_aliases(chat.get("aliases", {}), "chat.aliases", chat_models),
        fallback_chat=_fallback_terms(chat["fallback"], "chat.fallback"),
        in_region_surcharge={
            region: _prices(surcharges[region.value], f"chat.in_region_surcharge.{region.value}", "rate")
            for region in Region
        },
    )


def _prices(value: object, where: str, unit: str = "usd") -> tuple[Price, ...]:
    def one(row: object, where: str) -> Price:
        fields = _record(row, where, required={"from", unit, "source"})
        return Price(
            since=_day(fields["from"], f"{where}.from"),
            amount=_amount(fields[unit], f"{where}.{unit}"),
            source=_text(fields["source"], f"{where}.source"),
        )

    return _history(value, where, one)


def _token_prices(value: object, where: str) -> tuple[TokenPrices, ...]:
    caches = ("cache_read", "cache_write", "cache_write_1h")

    def one(row: object, where: str) -> TokenPrices:
        fields = _record(row, where, required={"from", "input", "output", "source"}, optional=set(caches))
        return TokenPrices(
            since=_day(fields["from"], f"{where}.from"),
            input=_amount(fields["input"], f"{where}.input"),
            output=_amount(fields["output"], f"{where}.output"),
            source=_text(fields["source"], f"{where}.source"),
            **{name: _amount(fields[name], f"{where}.{name}") if name in fields else None for name in caches},
        )

    return _history(value, where, one)


def _chat_entry(value: object, where: str) -> ChatEntry:
    fields = _record(
        value,
        where,
        required={"context", "regions", "surcharge", "parameters", "prices"},
        optional={"retires"},
    )
    context = fields["context"]
    if type(context) is not int or context <= 0:
        raise PriceError(f"{where}.context: {context!r} is no number of tokens.")
    return ChatEntry(
        context=context,
        regions=tuple(_region(r, f"{where}.regions") for r in _list(fields["regions"], f"{where}.regions")),
        parameters=tuple(
            _text(name, f"{where}.parameters") for name in _list(fields["parameters"], f"{where}.parameters")
        ),
        retires=_day(fields["retires"], f"{where}.retires") if "retires" in fields else None,
        terms=_terms(fields, where),
    )


def _fallback_terms(value: object, where: str) -> ChatTerms:
    return _terms(_record(value, where, required={"surcharge", "prices"}), where)


def _terms(fields: Mapping[str, Any], where: str) -> ChatTerms:
    if not isinstance(fields["surcharge"], bool):
        raise PriceError(f"{where}.surcharge: {fields['surcharge']!r} is neither true nor false.")
    return ChatTerms(
        surcharged=fields["surcharge"], prices=_token_prices(fields["prices"], f"{where}.prices")
    )


def _aliases(value: object, where: str, known: Mapping[str, object]) -> dict[str, str]:
    aliases = _each(value, where, _text)
    for alias, name in aliases.items():
        if name not in known or alias in known:
            raise PriceError(f"{where}.{alias}: an alias is another name of a listed model, not {name!r}.")
    return aliases


def _history(value: object, where: str, parse: Callable[[object, str], D]) -> tuple[D, ...]:
    rows = tuple(parse(row, f"{where}[{index}]") for index, row in enumerate(_list(value, where)))
    days = [row.since for row in rows]
    if not rows or days != sorted(set(days)):
        raise PriceError(f"{where}: prices are a list, oldest first, one for each day.")
    return rows


def _each(value: object, where: str, parse: Callable[[object, str], T]) -> dict[str, T]:
    if not isinstance(value, Mapping):
        raise PriceError(f"{where}: expected names with values, found {value!r}.")
    return {_text(name, f"{where}, a name"): parse(entry, f"{where}.{name}") for name, entry in value.items()}


def _record(
    value: object, where: str, *, required: Iterable[str], optional: Iterable[str] = ()
) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PriceError(f"{where}: expected {', '.join(sorted(required))}, found {value!r}.")
    if missing := set(required) - set(value):
        raise PriceError(f"{where}: {', '.join(sorted(missing))} is missing.")
    if unknown := set(value) - set(required) - set(optional):
        raise PriceError(f"{where}: {', '.join(sorted(map(str, unknown)))} is not known here.")
    return value


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise PriceError(f"{where}: expected a list, found {value!r}.")
    return value


def _amount(value: object, where: str) -> Decimal:
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise PriceError(f'{where}: {value!r} is no amount; write it in quotes, for example "0.21".')
    return Decimal(value)


def _day(value: object, where: str) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise PriceError(f"{where}: {value!r} is no day; write it as 2026-10-07, without quotes.")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise PriceError(f"{where}: expected text, found {value!r}.")
    return value


def _region(value: object, where: str) -> Region:
    try:
        return Region(_text(value, where))
    except ValueError:
        raise PriceError(f"{where}: {value!r} is no region; use us or eu.") from None

"""Reads price books and overlays from the plain values of YAML or JSON; errors name the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any, TypeVar

from aai_gateway.core.moments import from_iso
from aai_gateway.core.price_book import BEGINNING, D, Price, PriceBook, Surcharge, TokenPrices
from aai_gateway.core.price_overlays import EMPTY, ChatChange, Overlay, TermsChange, merge
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.errors import PriceError

_AMOUNT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?")
_HIGHEST_RATE = Decimal(10)
_CACHES = ("cache_read", "cache_write", "cache_write_1h")
_SPEECH = {"models", "addons", "fallback_model", "fallback_addon"}
_CHAT = {"models", "fallback", "in_region_surcharge"}

T = TypeVar("T")


def parse_price_book(data: object) -> PriceBook:
    """A whole book in the plain values of a YAML file. Raises PriceError that names the key."""
    top = _record(data, "price book", required={"speech", "chat"}, optional={"sources"})
    _record(top["speech"], "speech", required=_SPEECH, optional={"aliases"})
    chat = _record(top["chat"], "chat", required=_CHAT, optional={"aliases"})
    _record(chat["in_region_surcharge"], "chat.in_region_surcharge", required={r.value for r in ALL_REGIONS})
    overlay = parse_overlay(data)
    _no_alias_is_a_model("speech.aliases", overlay.speech_aliases, overlay.speech_models)
    _no_alias_is_a_model("chat.aliases", overlay.chat_aliases, overlay.chat_models)
    return merge(EMPTY, overlay)


def parse_overlay(data: object, *, own: bool = False) -> Overlay:
    """Changes to a price book: a book's plain values of which every part is optional.

    `own` marks every line as a price of one's own contract. Raises PriceError that names the key.
    """
    top = _record(data, "price book", optional={"sources", "speech", "chat"})
    speech = _record(top.get("speech", {}), "speech", optional={*_SPEECH, "aliases"})
    chat = _record(top.get("chat", {}), "chat", optional={*_CHAT, "aliases"})
    lines = _Lines(own)
    return Overlay(
        speech_models=_each(speech.get("models", {}), "speech.models", lines.prices),
        speech_aliases=_each(speech.get("aliases", {}), "speech.aliases", _text),
        speech_addons=_each(speech.get("addons", {}), "speech.addons", lines.prices),
        fallback_speech_model=lines.optional(speech, "speech", "fallback_model"),
        fallback_addon=lines.optional(speech, "speech", "fallback_addon"),
        chat_models=_each(chat.get("models", {}), "chat.models", lines.chat_change),
        chat_aliases=_each(chat.get("aliases", {}), "chat.aliases", _text),
        fallback_chat=lines.terms(
            _record(chat.get("fallback", {}), "chat.fallback", optional={"surcharge", "prices"}),
            "chat.fallback",
        ),
        in_region_surcharge={
            _region(name, "chat.in_region_surcharge"): rates
            for name, rates in _each(
                chat.get("in_region_surcharge", {}), "chat.in_region_surcharge", lines.rates
            ).items()
        },
    )


class _Lines:
    """Reads histories, whose lines are all one's own or all published."""

    def __init__(self, own: bool) -> None:
        self._own = own

    def optional(self, fields: Mapping[str, Any], where: str, name: str) -> tuple[Price, ...]:
        return self.prices(fields[name], f"{where}.{name}") if name in fields else ()

    def prices(self, value: object, where: str) -> tuple[Price, ...]:
        return _history(value, where, lambda row, at: self._price(row, at, "usd", _amount))

    def rates(self, value: object, where: str) -> tuple[Price, ...]:
        return _history(value, where, lambda row, at: self._price(row, at, "rate", _rate))

    def chat_change(self, value: object, where: str) -> ChatChange:
        facts: dict[str, Callable[[object, str], Any]] = {
            "context": _context,
            "regions": _regions,
            "parameters": _texts,
            "retires": _retires,
        }
        fields = _record(value, where, optional={*facts, "surcharge", "prices"})
        return ChatChange(
            facts={
                name: parse(fields[name], f"{where}.{name}")
                for name, parse in facts.items()
                if name in fields
            },
            terms=self.terms(fields, where),
        )

    def terms(self, fields: Mapping[str, Any], where: str) -> TermsChange:
        return TermsChange(
            surcharges=self._surcharges(fields["surcharge"], f"{where}.surcharge")
            if "surcharge" in fields
            else {},
            prices=_by_region(fields["prices"], f"{where}.prices", self._token_prices)
            if "prices" in fields
            else {},
        )

    def _surcharges(self, value: object, where: str) -> dict[Region, tuple[Surcharge, ...]]:
        """True is the region's surcharge and false none, both always; else a history of rates."""
        if isinstance(value, bool):
            always = Surcharge(BEGINNING, None if value else Decimal(0), "", self._own)
            return dict.fromkeys(ALL_REGIONS, (always,))
        if not isinstance(value, list):
            raise PriceError(f"{where}: {value!r} is neither true nor false, nor a list of rates.")
        return _by_region(value, where, self._surcharge)

    def _price(self, row: object, where: str, unit: str, parse: Callable[[object, str], Decimal]) -> Price:
        fields = _record(row, where, required={"from", unit, "source"})
        return Price(
            since=_moment(fields["from"], f"{where}.from"),
            amount=parse(fields[unit], f"{where}.{unit}"),
            source=_text(fields["source"], f"{where}.source"),
            own=self._own,
        )

    def _surcharge(self, row: object, where: str) -> Surcharge:
        fields = _record(row, where, required={"from", "rate", "source"}, optional={"region"})
        return Surcharge(
            since=_moment(fields["from"], f"{where}.from"),
            rate=_rate(fields["rate"], f"{where}.rate"),
            source=_text(fields["source"], f"{where}.source"),
            own=self._own,
        )

    def _token_prices(self, row: object, where: str) -> TokenPrices:
        fields = _record(
            row, where, required={"from", "input", "output", "source"}, optional={*_CACHES, "region"}
        )
        caches = {
            name: _amount(fields[name], f"{where}.{name}") if name in fields else None for name in _CACHES
        }
        return TokenPrices(
            since=_moment(fields["from"], f"{where}.from"),
            input=_amount(fields["input"], f"{where}.input"),
            output=_amount(fields["output"], f"{where}.output"),
            source=_text(fields["source"], f"{where}.source"),
            own=self._own,
            **caches,
        )


def _by_region(value: object, where: str, parse: Callable[[object, str], D]) -> dict[Region, tuple[D, ...]]:
    """Histories in a list whose lines may say `region`; without it, a line holds in both."""
    rows = _list(value, where)
    found: dict[Region, tuple[D, ...]] = {}
    for region in ALL_REGIONS:
        indices = [index for index, row in enumerate(rows) if _holds_in(region, row, f"{where}[{index}]")]
        history = tuple(parse(rows[index], f"{where}[{index}]") for index in indices)
        _require_order(history, where)
        found[region] = history
    if not rows:
        raise PriceError(f"{where}: the list is empty.")
    return {region: history for region, history in found.items() if history}


def _holds_in(region: Region, row: object, where: str) -> bool:
    if not isinstance(row, Mapping) or "region" not in row:
        return True
    return _region(row["region"], f"{where}.region") is region


def _history(value: object, where: str, parse: Callable[[object, str], D]) -> tuple[D, ...]:
    rows = tuple(parse(row, f"{where}[{index}]") for index, row in enumerate(_list(value, where)))
    if not rows:
        raise PriceError(f"{where}: the list is empty.")
    _require_order(rows, where)
    return rows


def _require_order(history: tuple[D, ...], where: str) -> None:
    moments = [line.since for line in history]
    if moments != sorted(set(moments)):
        raise PriceError(f"{where}: prices are a list, oldest first, one for each moment.")


def _no_alias_is_a_model(where: str, aliases: Iterable[str], models: Mapping[str, object]) -> None:
    for alias in aliases:
        if alias in models:
            raise PriceError(f"{where}.{alias}: an alias is another name of a listed model, not its own.")


def _each(value: object, where: str, parse: Callable[[object, str], T]) -> dict[str, T]:
    if not isinstance(value, Mapping):
        raise PriceError(f"{where}: expected names with values, found {value!r}.")
    return {_text(name, f"{where}, a name"): parse(entry, f"{where}.{name}") for name, entry in value.items()}


def _record(
    value: object, where: str, *, required: Iterable[str] = (), optional: Iterable[str] = ()
) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        names = ", ".join(sorted([*required] or [*optional]))
        raise PriceError(f"{where}: expected {names}, found {value!r}.")
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


def _rate(value: object, where: str) -> Decimal:
    rate = _amount(value, where)
    if rate > _HIGHEST_RATE:
        raise PriceError(f'{where}: {value!r} is no fraction; ten percent is "0.10".')
    return rate


def _moment(value: object, where: str) -> datetime:
    """A date (its beginning, UTC), or a moment with a time zone; JSON has them as ISO text."""
    if isinstance(value, str):
        value = _from_iso(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), timezone.utc)
    raise PriceError(f"{where}: write a date as 2026-10-07, or a UTC moment as 2026-10-07T14:30:00Z.")


def _from_iso(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else from_iso(text)
    except ValueError:
        return None


def _retires(value: object, where: str) -> date | None:
    """The first day on which a model is gone, or null for none."""
    return None if value is None else _moment(value, where).date()


def _context(value: object, where: str) -> int:
    if type(value) is not int or value <= 0:
        raise PriceError(f"{where}: {value!r} is no number of tokens.")
    return value


def _regions(value: object, where: str) -> tuple[Region, ...]:
    named = {_region(name, where) for name in _list(value, where)}
    return tuple(region for region in ALL_REGIONS if region in named)


def _texts(value: object, where: str) -> tuple[str, ...]:
    return tuple(_text(name, where) for name in _list(value, where))


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise PriceError(f"{where}: expected text, found {value!r}.")
    return value


def _region(value: object, where: str) -> Region:
    try:
        return Region(_text(value, where))
    except ValueError:
        raise PriceError(f"{where}: {value!r} is no region; use us or eu.") from None

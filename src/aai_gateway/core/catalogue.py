"""A region's catalogue of chat models, as `GET /v1/models` of its LLM Gateway gives it, read strictly.

Prices are US dollars per million tokens: `pricing.global` is the list price, `pricing.us` or `pricing.eu`,
where given, the region's own, and `regional_increase_percent` what staying in the region adds. That field was
seen as a share (0.1) in live catalogues and as a percentage (10.0) in AssemblyAI's SDK; it is absent where
nothing is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from aai_gateway.core.regions import Region
from aai_gateway.errors import PriceError

HIGHEST_PRICE = Decimal(10_000)
"""US dollars per million tokens above which a price is taken for an error."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
_KINDS = {
    "prompt": "input",
    "completions": "output",
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
}
"""Our names of the kinds of tokens, by the catalogue's."""

_REQUIRED = ("prompt", "completions")
_SMALLEST = Decimal("1e-9")
_HIGHEST_SURCHARGE = Decimal(1)
_AS_EQUAL = Decimal("1e-6")


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One chat model of a catalogue: context in tokens, list prices by kind, the surcharge as a fraction."""

    id: str
    context: int
    parameters: tuple[str, ...]
    retires: date | None
    prices: Mapping[str, Decimal | None]
    surcharge: Decimal


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a region offers. `problems` says which of its models cannot be read, and why."""

    region: Region
    models: Mapping[str, ListedModel]
    problems: Mapping[str, str]


def parse_catalogue(region: Region, body: object) -> Catalogue:
    """The catalogue in the JSON values of /v1/models, in which fractions are `Decimal`.

    One model that makes no sense is a problem of that model. Raises PriceError for what is no catalogue.
    """
    items = body.get("data") if isinstance(body, Mapping) else None
    if not isinstance(items, list) or not items:
        raise PriceError("it lists no models")
    models: dict[str, ListedModel] = {}
    problems: dict[str, str] = {}
    for index, item in enumerate(items):
        name = item.get("id") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PriceError(f"data[{index}] has no usable id")
        if name in models or name in problems:
            raise PriceError(f"{name} is listed twice")
        try:
            models[name] = _model(region, name, item)
        except PriceError as error:
            problems[name] = str(error)
    return Catalogue(region, models, problems)


def _model(region: Region, name: str, item: Mapping[str, Any]) -> ListedModel:
    context = item.get("context_length")
    if type(context) is not int or context <= 0:
        raise PriceError(f"context_length is {context!r}")
    pricing = item.get("pricing")
    if not isinstance(pricing, Mapping):
        raise PriceError(f"pricing is {pricing!r}")
    prices = _prices(pricing.get("global"), "pricing.global")
    return ListedModel(
        id=name,
        context=context,
        parameters=tuple(_parameters(item.get("supported_parameters"))),
        retires=_day(item.get("retirement_date")),
        prices=prices,
        surcharge=_surcharge(region, pricing, prices),
    )


def _prices(value: object, where: str) -> dict[str, Decimal | None]:
    if not isinstance(value, Mapping):
        raise PriceError(f"{where} is {value!r}")
    if missing := [kind for kind in _REQUIRED if value.get(kind) is None]:
        raise PriceError(f"{where}.{missing[0]} is missing")
    return {
        ours: None if value.get(theirs) is None else _amount(value[theirs], f"{where}.{theirs}")
        for theirs, ours in _KINDS.items()
    }


def _amount(value: object, where: str, highest: Decimal = HIGHEST_PRICE) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PriceError(f"{where} is {value!r}")
    amount = Decimal(value)
    if not amount.is_finite() or not 0 <= amount <= highest:
        raise PriceError(f"{where} is {value}, which is not from 0 to {highest:,}")
    # Less than a billionth of a dollar is the noise of their floats.
    return amount.quantize(_SMALLEST).normalize()


def _surcharge(region: Region, pricing: Mapping[str, Any], prices: Mapping[str, Decimal | None]) -> Decimal:
    """What staying in `region` adds, as a fraction; the region's own prices decide where they are given."""
    given = pricing.get("regional_increase_percent")
    stated = (
        Decimal(0) if given is None else _amount(given, "pricing.regional_increase_percent", Decimal(100))
    )
    if stated >= 1:
        stated /= 100
    if pricing.get(region.value) is None:
        return stated
    regional = _prices(pricing[region.value], f"pricing.{region.value}")
    for rate in (stated, *_ratios(prices, regional)):
        if rate <= _HIGHEST_SURCHARGE and _agree(prices, regional, 1 + rate):
            return rate
    raise PriceError(f"pricing.{region.value} is not pricing.global with one surcharge")


def _ratios(
    prices: Mapping[str, Decimal | None], regional: Mapping[str, Decimal | None]
) -> Iterator[Decimal]:
    """The surcharge that the region's input price says, or its output price."""
    for kind in ("input", "output"):
        listed, charged = prices[kind], regional[kind]
        if listed and charged is not None and charged >= listed:
            yield (charged / listed - 1).quantize(_SMALLEST).normalize()


def _agree(
    prices: Mapping[str, Decimal | None], regional: Mapping[str, Decimal | None], factor: Decimal
) -> bool:
    return all(
        abs(charged - listed * factor) <= listed * _AS_EQUAL
        for kind, charged in regional.items()
        if charged is not None and (listed := prices[kind]) is not None
    )


def _parameters(value: object) -> Iterator[str]:
    if value is not None and not isinstance(value, list):
        raise PriceError(f"supported_parameters is {value!r}")
    for name in value or ():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PriceError(f"supported_parameters has {name!r}")
        yield name


def _day(value: object) -> date | None:
    """The UTC day of a `retirement_date` in unix seconds; 0 is none."""
    if value is None or value == 0:
        return None
    try:
        if type(value) is int and value > 0:
            return datetime.fromtimestamp(value, timezone.utc).date()
    except (OverflowError, ValueError, OSError):
        pass
    raise PriceError(f"retirement_date is {value!r}")

"""From the regions' catalogues to an overlay of the price book: what they say otherwise than the book.

A price or surcharge that differs becomes a line from now on; a new model is added whole; a model that a
region lists no more stays in the book, so that what it cost can be explained, but is offered there no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from aai_gateway.core.catalogue import Catalogue, ListedModel
from aai_gateway.core.price_book import (
    KINDS,
    ChatEntry,
    PriceBook,
    amount_text,
    in_force,
    moment_text,
    surcharge,
)
from aai_gateway.core.regions import ALL_REGIONS, Region

MOST_CHANGE = 100
"""A price that becomes so many times as high or as low is taken for one in another unit."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`body` is the overlay in plain JSON values, empty when nothing differs; `problems` are left out."""

    body: dict[str, Any]
    problems: tuple[str, ...]


def compare(book: PriceBook, catalogues: Sequence[Catalogue], at: datetime, source: str) -> Comparison:
    """What `catalogues` say otherwise than `book` at `at`, as an overlay whose lines begin then."""
    return _Comparing(book, {catalogue.region: catalogue for catalogue in catalogues}, at, source).result()


class _Comparing:
    def __init__(
        self, book: PriceBook, catalogues: Mapping[Region, Catalogue], at: datetime, source: str
    ) -> None:
        self._book = book
        self._catalogues = catalogues
        self._at = at
        self._line = {"from": moment_text(at), "source": source}
        self._problems = [
            f"{region.value} {name}: {problem}"
            for region, catalogue in catalogues.items()
            for name, problem in catalogue.problems.items()
        ]
        self._strange: list[ListedModel] = []
        # What every model of a region that follows the region's own surcharge agrees on.
        self._rates = {region: self._region_rate(region) for region in catalogues}

    def result(self) -> Comparison:
        names = dict.fromkeys([*self._book.chat_models, *self._listed()])
        models = {name: change for name in names if (change := self._model(name))}
        rates = {
            region.value: [{**self._line, "rate": amount_text(rate)}]
            for region, rate in self._rates.items()
            if rate != in_force(self._book.in_region_surcharge[region], self._at).amount
        }
        chat: dict[str, Any] = {}
        if rates:
            chat["in_region_surcharge"] = rates
        if models:
            chat["models"] = models
        if fallback := self._fallback():
            chat["fallback"] = {"prices": [fallback]}
        return Comparison({"chat": chat} if chat else {}, tuple(self._problems))

    def _listed(self) -> Iterator[str]:
        for catalogue in self._catalogues.values():
            yield from catalogue.models

    def _model(self, name: str) -> dict[str, Any]:
        listed = {
            region: catalogue.models[name]
            for region, catalogue in self._catalogues.items()
            if name in catalogue.models
        }
        entry = self._book.chat_models.get(name)
        if entry is None:
            return self._new(listed)
        regions = self._regions(name, entry, listed)
        sane = {region: model for region, model in listed.items() if self._is_sane(region, entry, model)}
        change = self._facts(entry, regions, sane)
        if regions != entry.regions:
            change["regions"] = [region.value for region in regions]
        if rates := self._new_rates(entry, regions, sane):
            change["surcharge"] = rates
        if prices := self._new_prices(entry, regions, sane):
            change["prices"] = prices
        return change

    def _new(self, listed: Mapping[Region, ListedModel]) -> dict[str, Any]:
        """A model of no book yet."""
        first = next(iter(listed.values()))
        follows = all(model.surcharge == self._rates[region] for region, model in listed.items())
        rates = {region: amount_text(model.surcharge) for region, model in listed.items()}
        lines = self._lines({region: {"rate": rate} for region, rate in rates.items()}, listed)
        without = not any(model.surcharge for model in listed.values())
        change: dict[str, Any] = {
            "context": first.context,
            "regions": [region.value for region in listed],
            "surcharge": False if without else (True if follows else lines),
            "parameters": list(first.parameters),
            "prices": self._lines({region: _amounts(m.prices) for region, m in listed.items()}, listed),
        }
        if first.retires is not None:
            change["retires"] = first.retires.isoformat()
        return change

    def _regions(
        self, name: str, entry: ChatEntry, listed: Mapping[Region, ListedModel]
    ) -> tuple[Region, ...]:
        """Where a model is offered; of regions that were not asked, and of unreadable items, as before."""
        return tuple(
            region
            for region in ALL_REGIONS
            if region in listed or (region in entry.regions and not self._is_gone(region, name))
        )

    def _is_gone(self, region: Region, name: str) -> bool:
        catalogue = self._catalogues.get(region)
        return catalogue is not None and name not in catalogue.problems

    def _is_sane(self, region: Region, entry: ChatEntry, model: ListedModel) -> bool:
        known = in_force(entry.terms.prices[region], self._at)
        for kind in ("input", "output"):
            before: Decimal = getattr(known, kind)
            after = model.prices[kind] or Decimal(0)
            if before and not before <= after * MOST_CHANGE <= before * MOST_CHANGE**2:
                self._problems.append(
                    f"{region.value} {model.id}: its {kind} price of {amount_text(after)} is too far from "
                    f"{amount_text(before)} to be believed; if it is right, load it from a file"
                )
                self._strange.append(model)
                return False
        return True

    def _facts(
        self, entry: ChatEntry, regions: Collection[Region], listed: Mapping[Region, ListedModel]
    ) -> dict[str, Any]:
        """The undated fields, which the first region that offers the model decides."""
        model = listed.get(next(iter(regions), ALL_REGIONS[0]))
        change: dict[str, Any] = {}
        if model is None:
            return change
        if model.context != entry.context:
            change["context"] = model.context
        if set(model.parameters) != set(entry.parameters):
            change["parameters"] = list(model.parameters)
        if model.retires != entry.retires:
            change["retires"] = None if model.retires is None else model.retires.isoformat()
        return change

    def _new_prices(
        self, entry: ChatEntry, regions: Collection[Region], listed: Mapping[Region, ListedModel]
    ) -> list[dict[str, Any]]:
        def known(region: Region) -> dict[str, Decimal | None]:
            prices = in_force(entry.terms.prices[region], self._at)
            return {kind: getattr(prices, kind) for kind in KINDS}

        changed = {
            region: _amounts(model.prices)
            for region, model in listed.items()
            if dict(model.prices) != known(region)
        }
        return self._lines(changed, regions)

    def _new_rates(
        self, entry: ChatEntry, regions: Collection[Region], listed: Mapping[Region, ListedModel]
    ) -> list[dict[str, Any]]:
        changed = {
            region: {"rate": amount_text(model.surcharge)}
            for region, model in listed.items()
            if model.surcharge != self._rate_after(region, entry)
        }
        return self._lines(changed, regions)

    def _rate_after(self, region: Region, entry: ChatEntry) -> Decimal:
        """The surcharge of a model once the region's own has changed."""
        if in_force(entry.terms.surcharges[region], self._at).rate is None:
            return self._rates[region]
        return surcharge(self._book, region, entry.terms, self._at)

    def _region_rate(self, region: Region) -> Decimal:
        """The region's surcharge: a new one when two models or more follow it, and all say the same."""
        models = self._book.chat_models
        said = [
            model.surcharge
            for name, model in self._catalogues[region].models.items()
            if name in models and in_force(models[name].terms.surcharges[region], self._at).rate is None
        ]
        if len(said) > 1 and len(set(said)) == 1:
            return said[0]
        return in_force(self._book.in_region_surcharge[region], self._at).amount

    def _lines(
        self, changed: Mapping[Region, dict[str, str]], offered: Collection[Region]
    ) -> list[dict[str, Any]]:
        """A line for each region, or one for all when they say the same."""
        values = list(changed.values())
        if not values:
            return []
        if changed.keys() >= set(offered) and all(value == values[0] for value in values):
            return [{**self._line, **values[0]}]
        return [{**self._line, "region": region.value, **value} for region, value in changed.items()]

    def _fallback(self) -> dict[str, Any]:
        """The fallback's next line, when a model in these catalogues is dearer than it."""
        known = in_force(self._book.fallback_chat.prices[ALL_REGIONS[0]], self._at)
        highest: dict[str, Decimal | None] = {}
        for kind in KINDS:
            before: Decimal | None = getattr(known, kind)
            listed = [model.prices[kind] for model in self._believed()]
            highest[kind] = max((price for price in (before, *listed) if price is not None), default=None)
        if all(price == getattr(known, kind) for kind, price in highest.items()):
            return {}
        return {**self._line, **_amounts(highest), "source": "the highest known prices of each kind"}

    def _believed(self) -> Iterator[ListedModel]:
        for catalogue in self._catalogues.values():
            yield from (model for model in catalogue.models.values() if model not in self._strange)


def _amounts(prices: Mapping[str, Decimal | None]) -> dict[str, str]:
    return {kind: amount_text(price) for kind, price in prices.items() if price is not None}

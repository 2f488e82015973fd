"""Prices that change at a moment: what held when, what holds now and what is to come."""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from aai_gateway.emulator.amounts import PricesError, amount, fields_of, moment
from aai_gateway.emulator.catalogue import MODELS, PRICES, REGIONS, Model, amount_or_none
from aai_gateway.emulator.price_list import PUBLISHED, TASK, PriceList
from aai_gateway.emulator.refusals import CHECKS

_ADD_ON = re.compile(rf"({re.escape(TASK)}|domain=)[A-Za-z0-9_.-]{{1,64}}|[a-z][a-z0-9_]{{0,63}}")


@dataclass(frozen=True, slots=True)
class PriceChange:
    """New prices from `since` on (aware; None: from the moment it is told); what is not named stays."""

    since: datetime | None = None
    speech_models: Mapping[str, Decimal] = field(default_factory=dict)
    """USD per hour. A name that is new becomes a model that `speech_models` takes and that runs."""
    add_ons: Mapping[str, Decimal] = field(default_factory=dict)
    """USD per hour, by the name of the invoice's line. One that is new becomes a field, true or false, that a
    request may have.
    """
    chat: Mapping[str, Mapping[str, Decimal | None]] = field(default_factory=dict)
    """By model id, USD per 1M tokens of `input`, `output`, `cache_read`, `cache_write`, `cache_write_1h`; a
    cache price of None is the input price.
    """
    surcharges: Mapping[str, Decimal] = field(default_factory=dict)
    """By region, the share that staying in it costs on top, of models that have a surcharge at all."""

    @classmethod
    def from_json(cls, value: object) -> PriceChange:
        """Read `{"from", "speech": {"models", "addons"}, "chat", "surcharge"}`. Raises PricesError."""
        given = fields_of(value, "prices", ("from", "speech", "chat", "surcharge"))
        speech = fields_of(given.get("speech", {}), "speech", ("models", "addons"))
        chat = fields_of(given.get("chat", {}), "chat")
        change = cls(
            since=moment(given["from"], "from") if given.get("from") is not None else None,
            speech_models=_amounts(speech.get("models", {}), "speech.models"),
            add_ons=_amounts(speech.get("addons", {}), "speech.addons"),
            chat={name: _token_prices(prices, f"chat.{name}") for name, prices in chat.items()},
            surcharges=_amounts(given.get("surcharge", {}), "surcharge"),
        )
        change.check()
        return change

    def check(self) -> None:
        """Raise PricesError for a change of nothing, or of an add-on or region that does not exist."""
        if not (self.speech_models or self.add_ons or self.chat or self.surcharges):
            raise PricesError("prices: nothing changes")
        for name in self.add_ons:
            if name not in PUBLISHED.add_ons and (name in CHECKS or not _ADD_ON.fullmatch(name)):
                raise PricesError(f"speech.addons: {name} is no add-on")
        for region in self.surcharges:
            if region not in REGIONS:
                raise PricesError(f"surcharge: {region} is no region")

    def to_json(self) -> dict[str, Any]:
        """As `from_json` takes it."""
        since = {"from": self.since.isoformat()} if self.since else {}
        return {**since, **_json(self.speech_models, self.add_ons, self.chat, self.surcharges)}


class Prices:
    """The price lists of an emulator, one after the other; may be told and asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._added: dict[str, Model] = {}
        self._changes: list[tuple[datetime, PriceChange]] = []
        self._lists: tuple[tuple[datetime, PriceList], ...] = ()
        self._first = PUBLISHED

    def at(self, when: datetime) -> PriceList:
        """What held, holds or will hold at `when` (aware)."""
        lists = self._lists
        after = bisect_right(lists, when, key=lambda entry: entry[0])
        return lists[after - 1][1] if after else self._first

    def now(self) -> PriceList:
        """What holds now."""
        return self.at(datetime.now(timezone.utc))

    def change(self, change: PriceChange) -> None:
        """Let `change` hold from its moment on. Raises PricesError for a chat model that is not served."""
        change.check()
        since = change.since or datetime.now(timezone.utc)
        with self._lock:
            if unknown := sorted(set(change.chat) - set(self._first.models)):
                raise PricesError(f"chat: {', '.join(unknown)} is no model that is served; add it first")
            self._changes = sorted([*self._changes, (since, change)], key=lambda entry: entry[0])
            self._settle()

    def reset(self) -> None:
        """Put the original prices back, now and for all that was scheduled; added chat models stay."""
        with self._lock:
            self._changes = []
            self._settle()

    def add_model(self, model: Model) -> None:
        """Serve one chat model more (or an added one anew). Raises PricesError for one of the catalogue."""
        if model.id in MODELS:
            raise PricesError(f"id: {model.id} is served already")
        with self._lock:
            self._added = {**self._added, model.id: model}
            self._settle()

    def remove_models(self) -> None:
        """Serve the models of the catalogue only."""
        with self._lock:
            self._added = {}
            self._settle()

    def to_json(self) -> dict[str, Any]:
        """What holds now (with the moment as `at`), and the changes to come as `scheduled`.

        `surcharge` names only the regions where another share than the models' own is charged.
        """
        now = datetime.now(timezone.utc)
        held = self.at(now)
        chat = {model.id: {name: getattr(model, name) for name in PRICES} for model in held.models.values()}
        return {
            "at": now.isoformat(),
            **_json(held.speech_models, held.add_ons, chat, held.surcharges),
            "scheduled": [
                replace(change, since=since).to_json() for since, change in self._changes if since > now
            ],
        }

    def _settle(self) -> None:
        """Work out the price list from each change on."""
        held = self._first = replace(PUBLISHED, models={**MODELS, **self._added})
        lists = []
        for since, change in self._changes:
            held = _changed(held, change)
            lists.append((since, held))
        self._lists = tuple(lists)


def _changed(held: PriceList, change: PriceChange) -> PriceList:
    models = {
        name: _repriced(held.models[name], prices)
        for name, prices in change.chat.items()
        if name in held.models  # an added model may have been removed since
    }
    return PriceList(
        speech_models={**held.speech_models, **change.speech_models},
        add_ons={**held.add_ons, **change.add_ons},
        models={**held.models, **models},
        surcharges={**held.surcharges, **change.surcharges},
    )


def _repriced(model: Model, prices: Mapping[str, Any]) -> Model:
    return replace(model, **prices)


def _amounts(value: object, where: str) -> dict[str, Decimal]:
    return {name: amount(price, f"{where}.{name}") for name, price in fields_of(value, where).items()}


def _token_prices(value: object, where: str) -> dict[str, Decimal | None]:
    given = fields_of(value, where, PRICES)
    if not given:
        raise PricesError(f"{where}: nothing changes")
    return {name: amount_or_none(given, name) for name in given}


def _json(
    speech_models: Mapping[str, Decimal],
    add_ons: Mapping[str, Decimal],
    chat: Mapping[str, Mapping[str, Decimal | None]],
    surcharges: Mapping[str, Decimal],
) -> dict[str, Any]:
    return {
        "speech": {"models": _texts(speech_models), "addons": _texts(add_ons)},
        "chat": {name: _texts(prices) for name, prices in chat.items()},
        "surcharge": _texts(surcharges),
    }


def _texts(prices: Mapping[str, Decimal | None]) -> dict[str, str | None]:
    return {name: None if price is None else f"{price:f}" for name, price in prices.items()}

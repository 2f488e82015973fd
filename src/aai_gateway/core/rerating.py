"""What a recorded usage row would have cost: its quantities, priced again.

The quantities are those of the row's line items, so nothing else of the job or completion is needed. A row is
never changed by this: the result is for a report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aai_gateway.core.chat_prices import TokenUsage, price_chat
from aai_gateway.core.costs import Cost
from aai_gateway.core.price_book import PriceBook
from aai_gateway.core.regions import Region
from aai_gateway.core.speech_prices import SpeechJob, price_speech, price_understanding
from aai_gateway.core.usage_rows import Service
from aai_gateway.errors import PriceError

_KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


def rerate(
    book: PriceBook,
    *,
    service: Service,
    region: Region,
    model: str,
    items: Sequence[Mapping[str, Any]],
    global_region: bool | None,
    at: datetime,
) -> Cost:
    """The cost of a row's `items` (each with `name` and `quantity`) in `book` at `at`.

    With the book and moment that the row was priced by, this is the row's own cost. `model` is the row's. A
    completion of which it is unknown whether it ran in its region (`global_region` is None) is charged as one
    that did, the default. Raises PriceError for items that are no such row's.
    """
    if service == "speech":
        return price_speech(book, _job(model, items, at))
    if service == "understanding":
        return price_understanding(book, [str(item["name"]) for item in items], _seconds(items), at=at)
    usage = _tokens(items)
    return price_chat(book, region, model, usage, global_region=bool(global_region), at=at)


def _job(model: str, items: Sequence[Mapping[str, Any]], at: datetime) -> SpeechJob:
    """The job of speech lines: the model's line is the first, and all have the seconds of all channels."""
    return SpeechJob(
        model=model,
        seconds=_seconds(items),
        channels=1,
        addons=tuple(str(item["name"]) for item in items[1:]),
        failed=not items,
        at=at,
    )


def _seconds(items: Sequence[Mapping[str, Any]]) -> int:
    quantities = {_quantity(item) for item in items}
    if len(quantities) > 1:
        raise PriceError(f"The lines of a transcription differ in their seconds: {sorted(quantities)}.")
    return next(iter(quantities), 0)


def _tokens(items: Sequence[Mapping[str, Any]]) -> TokenUsage:
    counts = dict.fromkeys(_KINDS, 0)
    for item in items:
        if item.get("name") not in counts:
            raise PriceError(f"{item.get('name')!r} is no kind of token.")
        counts[item["name"]] += _quantity(item)
    fresh, cached, written_5m, written_1h, output = counts.values()
    return TokenUsage(fresh + cached + written_5m + written_1h, output, cached, written_5m, written_1h)


def _quantity(item: Mapping[str, Any]) -> int:
    quantity = item.get("quantity")
    if type(quantity) is not int or quantity < 0:
        raise PriceError(f"A line item's quantity is a whole number, not {quantity!r}.")
    return quantity

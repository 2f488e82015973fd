"""A usage row: what one job or completion cost, as it stands in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.errors import PriceError

PRICED_BY: dict[str, int] = {
    "second": 3600,
    "token": 1_000_000,
    **dict.fromkeys(("transcript", "completion", "request"), 1),
}
"""How many of a line's unit its unit price is for: an hour of seconds, a million tokens."""

Service = Literal["speech", "chat", "understanding"]
"""Transcriptions, completions, and speech understanding of transcripts that are there already."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one job cost. `source_id` is its transcript's, completion's or request's id, unique in its region.

    `items` are line items as JSON takes them, prices as decimal text. `priced_as` names the model whose price
    stood in for an unknown one. A failed job has status "error" and costs 0; a request whose answer never
    came has status "unknown" and costs 0, with what was held for it in its one item. `global_region` says
    that a completion ran at list price, `priced_at` whose moment's prices the row has. `id` is given by the
    store.
    """

    service: Service
    source_id: str
    region: Region
    owner: str
    micros: int
    items: Sequence[Mapping[str, Any]] = ()
    team_id: str | None = None
    key_hash: str | None = None
    model: str | None = None
    priced_as: str | None = None
    status: Literal["completed", "error", "unknown"] = "completed"
    audio_seconds: int = 0
    channels: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    created_at: datetime = field(default_factory=utc_now)
    global_region: bool | None = None
    priced_at: datetime | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class BookedItem:
    """One line of a row: `quantity` of a unit of `PRICED_BY`, at `unit_price` USD; micro-dollars.

    `fallback` says that the price book did not know the line's name, `held_micros` what was held for a
    request whose answer never came.
    """

    name: str
    quantity: int
    unit: str
    unit_price: Decimal
    micros: int
    fallback: bool = False
    held_micros: int | None = None


def booked_items(row: UsageRow) -> tuple[BookedItem, ...]:
    """The line items of a row. Raises PriceError when they cannot be read or do not add up to the row."""
    try:
        items = tuple(_item(item) for item in row.items)
    except (KeyError, TypeError, ArithmeticError, ValueError):
        raise PriceError(f"The line items of {row.service} {row.source_id} cannot be read.") from None
    if (found := sum(item.micros for item in items)) != row.micros:
        raise PriceError(
            f"The line items of {row.service} {row.source_id} add up to {found} micro-dollars, "
            f"its row has {row.micros}."
        )
    return items


def _item(item: Mapping[str, Any]) -> BookedItem:
    unit, price = item["unit"], Decimal(item["unit_price"])
    if unit not in PRICED_BY or not price.is_finite():
        raise ValueError(unit)
    return BookedItem(
        name=str(item["name"]),
        quantity=int(item["quantity"]),
        unit=unit,
        unit_price=price,
        micros=int(item["micros"]),
        fallback=item.get("fallback") is True,
        held_micros=item.get("held_micros"),
    )

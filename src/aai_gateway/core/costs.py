"""Line items and costs: integer micro-dollars, rounded once and exactly.

AssemblyAI's invoice has a line for each model, add-on and kind of token. Each line is rounded to whole
micro-dollars, half to even; a cost is the sum of its lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Unit = Literal["second", "token"]

FALLBACK = "fallback"
"""`Cost.priced_as` when the price book did not know a name."""

_UNITS_PER_PRICE: dict[Unit, int] = {"second": 3600, "token": 1_000_000}


@dataclass(frozen=True, slots=True)
class LineItem:
    """One line of a cost: `quantity` seconds at `unit_price` USD per hour, or tokens at USD per million.

    `fallback` says that the price book did not know the line's add-on or model.
    """

    name: str
    quantity: int
    unit: Unit
    unit_price: Decimal
    micros: int
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job or completion costs. `priced_as` is `fallback` when a name was not in the price book."""

    items: tuple[LineItem, ...]
    model: str
    priced_as: str | None = None

    @property
    def micros(self) -> int:
        """The sum of the line items in micro-dollars."""
        return sum(item.micros for item in self.items)


def line_item(
    name: str, quantity: int, unit: Unit, unit_price: Decimal, *, fallback: bool = False
) -> LineItem:
    """`quantity` at `unit_price`, rounded half to even to whole micro-dollars."""
    numerator, denominator = unit_price.as_integer_ratio()
    numerator *= quantity * 1_000_000
    denominator *= _UNITS_PER_PRICE[unit]
    micros, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and micros % 2):
        micros += 1
    return LineItem(name, quantity, unit, unit_price, micros, fallback)

"""Charts as geometry: columns of stacked amounts, which the templates draw as inline SVG.

The drawing is stretched to the page's width, so it holds no text: labels stand around it as HTML, which does
not stretch. Units of the drawing are WIDTH by HEIGHT, from the upper left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 1000.0
HEIGHT = 200.0
GAP = 0.24
"""Of a column's place, what is left free between it and the next."""
LEAST = 1.0
"""Height of a part that is not nothing, so that it can be seen."""
COLOURS = 8
"""Series that have a colour of their own in the stylesheet, `s1` to `s8`; the last stands for all further."""

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of the columns: a name, and an amount for each column."""

    name: str
    values: tuple[int, ...]
    colour: int = 1

    @property
    def total(self) -> int:
        """The sum over all columns."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a column as a rectangle in the drawing."""

    x: float
    y: float
    width: float
    height: float
    colour: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its label, what all series and each of them have in it, and its boxes, lowest first."""

    label: str
    total: int
    values: tuple[int, ...]
    boxes: tuple[Box, ...]
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked columns. `ticks` are amounts and how high they lie, 0 to 1; `top` is the scale's end."""

    columns: tuple[Column, ...]
    series: tuple[Series, ...]
    ticks: tuple[tuple[int, float], ...]
    top: int

    @property
    def total(self) -> int:
        """The sum over everything."""
        return sum(column.total for column in self.columns)

    @property
    def marked(self) -> tuple[Column, ...]:
        """The columns whose labels stand below: the first, the last and a few between them."""
        last = len(self.columns) - 1
        if last < 1:
            return self.columns
        count = min(last, 4)
        return tuple(self.columns[round(number * last / count)] for number in range(count + 1))


def stacked_columns(labels: Sequence[str], series: Sequence[Series]) -> Chart:
    """Columns for `labels`, each series on top of the one before. Amounts below nothing count as nothing."""
    totals = [sum(max(0, one.values[number]) for one in series) for number in range(len(labels))]
    top, ticks = _scale(max(totals, default=0))
    place = WIDTH / max(1, len(labels))
    columns = []
    for number, label in enumerate(labels):
        x, width = number * place + place * GAP / 2, place * (1 - GAP)
        boxes, y = [], HEIGHT
        for one in series:
            if (amount := one.values[number]) <= 0:
                continue
            height = max(LEAST, amount / top * HEIGHT)
            y -= height
            boxes.append(
                Box(round(x, 2), round(max(0.0, y), 2), round(width, 2), round(height, 2), one.colour)
            )
        values = tuple(one.values[number] for one in series)
        columns.append(
            Column(label, totals[number], values, tuple(boxes), round(number * place, 2), round(place, 2))
        )
    return Chart(tuple(columns), tuple(series), ticks, top)


def _scale(largest: int) -> tuple[int, tuple[tuple[int, float], ...]]:
    """A round end of the scale at or above `largest`, and the amounts to mark on it, four steps or fewer."""
    if largest <= 0:
        return 1, ((0, 0.0),)
    magnitude = 1
    while magnitude * 10 * 4 < largest:
        magnitude *= 10
    step = max(1, next(int(magnitude * factor) for factor in _STEPS if magnitude * factor * 4 >= largest))
    count = -(-largest // step)
    return step * count, tuple((step * number, number / count) for number in range(count + 1))

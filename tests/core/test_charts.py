from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.charts import HEIGHT, LEAST, WIDTH, Series, stacked_columns

AMOUNTS = st.lists(st.lists(st.integers(0, 10**13), min_size=3, max_size=3), min_size=1, max_size=5)


@given(AMOUNTS)
def test_columns_stay_within_the_drawing_and_stand_on_one_another(amounts: list[list[int]]) -> None:
    series = [Series(f"s{number}", tuple(values), number + 1) for number, values in enumerate(amounts)]
    chart = stacked_columns(["a", "b", "c"], series)

    assert sum(map(sum, amounts)) == chart.total
    for column in chart.columns:
        assert sum(column.values) == column.total <= chart.top
        assert sum(value > 0 for value in column.values) == len(column.boxes)
        top = HEIGHT
        for box in column.boxes:
            assert box.height >= LEAST and box.x >= 0 and box.x + box.width <= WIDTH
            # Each stands on the one below; only at the very top may one that was made visible be cut.
            assert box.y == pytest.approx(max(0, top - box.height), abs=0.05)
            top = box.y


@given(st.integers(1, 10**15))
def test_the_scale_is_round_and_not_much_too_high(largest: int) -> None:
    chart = stacked_columns(["a"], [Series("s", (largest,))])

    assert largest <= chart.top < largest * 2 + 4
    assert (0, 0.0) == chart.ticks[0] and (chart.top, 1.0) == chart.ticks[-1]
    assert 2 <= len(chart.ticks) <= 5
    steps = {upper[0] - lower[0] for lower, upper in zip(chart.ticks, chart.ticks[1:], strict=False)}
    assert 1 == len(steps)
    assert str(steps.pop()).rstrip("0") in ("1", "2", "25", "5", "3", "4")


def test_nothing_is_drawn_of_nothing() -> None:
    chart = stacked_columns(["a", "b"], [Series("s", (0, 0))])

    assert 0 == chart.total
    assert ((), ()) == tuple(column.boxes for column in chart.columns)
    assert ((0, 0.0),) == chart.ticks


@pytest.mark.parametrize(
    ("count", "marked"), [(1, ["0"]), (2, ["0", "1"]), (31, ["0", "8", "15", "22", "30"])]
)
def test_a_few_labels_stand_below(count: int, marked: list[str]) -> None:
    labels = [str(number) for number in range(count)]
    chart = stacked_columns(labels, [Series("s", (1,) * count)])

    assert marked == [column.label for column in chart.marked]

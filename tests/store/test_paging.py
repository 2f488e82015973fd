from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.store.paging import Place

MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31))


@given(MOMENTS, st.integers(0, 2**59))
def test_a_place_comes_back_from_its_text(moment: datetime, seq: int) -> None:
    place = Place(moment.replace(tzinfo=timezone.utc), seq)
    assert place == Place.parse(place.text)


@pytest.mark.parametrize("text", ["", "5", "5-", "-5", "a-5", "5-5-5", "999999999999999999-1", "1-٣", " 1-1"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place in a list"):
        Place.parse(text)

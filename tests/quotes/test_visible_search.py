from __future__ import annotations

from threading import Event

import pytest

from aai_gateway.quotes.visible_search import search_visible


def test_who_interrupts_does_not_wait_for_what_is_under_way(index, garden, bank):
    index.add("garden", garden)
    index.add("bank", bank)
    over, ended = Event(), []

    def is_readable(region: str, transcript_id: str) -> bool:
        if transcript_id == "garden":
            raise KeyboardInterrupt
        ended.append(over.wait(30))
        return True

    with pytest.raises(KeyboardInterrupt):
        search_visible(index, "money in the garden", 5, is_readable)
    assert [] == ended
    over.set()

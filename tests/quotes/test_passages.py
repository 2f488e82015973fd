from __future__ import annotations

from dataclasses import replace

import pytest

from aai_gateway.quotes.passages import Quote, confidence_of, overlap, without_overlaps

QUOTE = Quote("t", "us", 1000, 2000, "Yes.", ("A",), 0.98765, 3, 4, claim="yes")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"first": 5, "last": 6, "start": 2000, "end": 3000}, False),
        ({"first": 4, "last": 6, "start": 2000, "end": 3000}, True),
        ({"first": 5, "last": 6, "start": 1999, "end": 3000}, True),
        ({"first": 0, "last": 9, "start": 0, "end": 9000}, True),
        ({"transcript_id": "other"}, False),
        # A sentence that takes no time is still in both.
        ({"start": 1000, "end": 1000}, True),
    ],
)
def test_passages_overlap_in_sentences_or_in_time(changes, expected):
    other = replace(QUOTE, **changes)
    assert expected == overlap(QUOTE, other) == overlap(other, QUOTE)


def test_the_better_of_two_that_overlap_is_kept():
    later = replace(QUOTE, first=5, last=6, start=3000, end=4000)
    across = replace(QUOTE, first=4, last=5, start=1500, end=3500)
    assert [QUOTE, later] == without_overlaps([QUOTE, across, later], 5)
    assert [across] == without_overlaps([across, QUOTE, later], 5)
    assert [QUOTE] == without_overlaps([QUOTE, later], 1)
    assert without_overlaps([QUOTE], 0) == []


@pytest.mark.parametrize(("cosine", "expected"), [(-0.2, 0.0), (0.0, 0.0), (0.5, 0.5), (1.0000002, 1.0)])
def test_a_confidence_is_in_0_to_1(cosine, expected):
    assert expected == confidence_of(cosine)


def test_a_quote_as_plain_data():
    assert {
        "transcript_id": "t",
        "region": "us",
        "start": 1000,
        "end": 2000,
        "text": "Yes.",
        "speakers": ["A"],
        "confidence": 0.9877,
        "first": 3,
        "last": 4,
        "claim": "yes",
        "before": "",
        "after": "",
        "kind": None,
    } == QUOTE.as_dict()

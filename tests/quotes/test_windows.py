from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.quotes.windows import Sentence, Window, windows


def sentences(count: int) -> list[Sentence]:
    return [Sentence(i, f"Sentence {i}.", i * 1000, i * 1000 + 900) for i in range(count)]


def spans(count: int, **options: int) -> list[tuple[int, int]]:
    return [(window.first, window.last) for window in windows(sentences(count), **options)]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, []),
        (1, [(0, 0)]),
        (2, [(0, 1)]),
        (5, [(0, 4)]),
        (6, [(0, 4), (3, 5)]),
        (8, [(0, 4), (3, 7)]),
        (11, [(0, 4), (3, 7), (6, 10)]),
        (12, [(0, 4), (3, 7), (6, 10), (9, 11)]),
    ],
)
def test_five_sentences_overlap_by_two_and_the_tail_is_kept(count, expected):
    assert expected == spans(count)


sizes = st.integers(1, 9).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(count=st.integers(0, 80), shape=sizes)
def test_every_sentence_is_covered_in_order(count, shape):
    size, overlap = shape
    found = windows(sentences(count), size=size, overlap=overlap)
    assert set(range(count)) == {s.index for w in found for s in w.sentences}
    assert all(list(range(w.first, w.last + 1)) == [s.index for s in w.sentences] for w in found)


@given(count=st.integers(0, 80), shape=sizes)
def test_consecutive_windows_share_exactly_the_overlap(count, shape):
    size, overlap = shape
    for before, after in pairwise(windows(sentences(count), size=size, overlap=overlap)):
        assert overlap == len(set(before.sentences) & set(after.sentences))
        assert size == len(before.sentences)


@given(count=st.integers(0, 80), shape=sizes)
def test_no_window_lies_inside_another(count, shape):
    found = spans(count, size=shape[0], overlap=shape[1])
    assert [] == [(a, b) for a in found for b in found if a != b and b[0] <= a[0] and a[1] <= b[1]]
    assert len(found) == len(set(found))


@pytest.mark.parametrize(("size", "overlap"), [(5, 5), (2, 3), (0, 0), (3, -1)])
def test_a_shape_that_would_not_advance_is_refused(size, overlap):
    with pytest.raises(ValueError, match="overlap"):
        windows(sentences(3), size=size, overlap=overlap)


def test_a_window_knows_its_text_times_and_speakers():
    window = Window(
        (
            Sentence(3, "Yes.", 1200, 1500, "B"),
            Sentence(4, "I think so.", 1000, 2600, "A"),
            Sentence(5, "Right.", 2000, 2400, "B"),
        )
    )
    assert "Yes. I think so. Right." == window.text
    assert (1000, 2600) == (window.start, window.end)
    assert ("B", "A") == window.speakers
    assert (3, 5) == (window.first, window.last)


def test_a_transcript_without_speakers_has_none():
    assert () == Window(tuple(sentences(2))).speakers

from __future__ import annotations

import numpy as np
import pytest

from aai_gateway.quotes.library import WindowHit
from aai_gateway.quotes.packing import window_count
from aai_gateway.quotes.ranking import (
    Lines,
    around,
    query_vector,
    score_windows,
    spoken_share,
    weight_of,
    window_cosine,
)

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def ranked(vectors, lexical=(), speakers=(), lines=None):
    """Numbers of one transcript's windows, best first, for a question that points east."""
    matrix = np.array(vectors, np.float32)
    dense = [WindowHit(1, number, 0.0) for number in range(window_count(len(matrix)))]
    found = score_windows(
        dense,
        [WindowHit(1, number, score) for number, score in lexical],
        EAST,
        speakers,
        sizes={1: len(matrix)},
        lines={1: Lines.of(lines or [(12, None)] * len(matrix))},
        vectors=lambda key: matrix,
    )
    return [one.number for one in found]


def test_the_window_that_is_most_alike_comes_first():
    assert [2, 1, 0] == ranked([NORTH] * 6 + [EAST] * 5)


def test_words_decide_between_windows_that_mean_the_same():
    assert [1, 2, 0] == ranked([NORTH] * 11, lexical=[(2, 1.0), (1, 4.0)])


def test_whose_words_are_wanted_decides_too():
    assert 2 == ranked([NORTH] * 11, speakers=["B"], lines=[(12, "A")] * 6 + [(12, "B")] * 5)[0]


def test_short_answers_count_for_less_than_sentences():
    few, some, many = weight_of(np.array([1, 5, 30], np.float32))
    assert 0.2 < few < some < many == 1.0
    share = spoken_share(Lines.of([(1, "A"), (30, "A"), (30, "B"), (30, None)]), ["A"])
    assert [pytest.approx(few), 1.0, 0.0, 0.0] == share.tolist()


def test_what_is_said_around_counts_a_little():
    assert around(np.array([0, 0, 1, 0, 0], np.float32)).argmax() == 2
    near, far = around(np.array([1, 0, 0, 0], np.float32))[1:3]
    assert near > far > 0
    assert [1.0] == around(np.array([1], np.float32)).tolist()
    assert np.ones(7) == pytest.approx(around(np.ones(7, np.float32)))


def test_a_questions_subject_counts_more_than_its_whole_text():
    vector = query_vector(EAST, NORTH)
    assert 1.0 == pytest.approx(np.linalg.norm(vector))
    assert vector[0] > vector[1] > 0


def test_the_cosine_is_the_windows_own():
    assert 0.7071 == pytest.approx(window_cosine(np.stack([EAST, NORTH]), EAST), abs=1e-3)

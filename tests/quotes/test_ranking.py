from __future__ import annotations

import numpy as np
import pytest

from aai_gateway.quotes.packing import window_count, window_span
from aai_gateway.quotes.ranking import (
    NEIGHBOURS,
    Lines,
    ScoredWindow,
    Stretch,
    around,
    query_vector,
    reach_of,
    score_windows,
    spoken_share,
    spread,
    weight_of,
    window_cosine,
)

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


def ranked(vectors, lexical=(), speakers=(), lines=None):
    """Numbers of one transcript's windows, best first, for a question that points east."""
    matrix = np.array(vectors, np.float32)
    count = len(matrix)
    said = Lines.of(lines or [(12, None)] * count)
    whole = Stretch(1, count, 0, range(window_count(count)), said, matrix)
    by_words = {(1, number): score for number, score in lexical}
    return [one.number for one in score_windows([whole], by_words, EAST, speakers)]


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


def test_one_sentence_that_answers_decides_between_windows_that_mean_the_same():
    even = np.array([0.2, 0.98], np.float32)
    assert 1 == ranked([even] * 5 + [NORTH, EAST, NORTH] + [even] * 3)[0]


def test_what_is_said_around_counts_a_little():
    assert around(np.array([0, 0, 1, 0, 0], np.float32), NEIGHBOURS).argmax() == 2
    near, far = around(np.array([1, 0, 0, 0], np.float32), NEIGHBOURS)[1:3]
    assert near > far > 0
    assert [1.0] == around(np.array([1], np.float32), NEIGHBOURS).tolist()
    assert np.ones(7) == pytest.approx(around(np.ones(7, np.float32), NEIGHBOURS))


@pytest.mark.parametrize("speakers", [[], ["A"]])
def test_a_part_of_a_transcript_scores_as_in_the_whole(speakers):
    chance = np.random.default_rng(5)
    vectors = chance.standard_normal((90, 2)).astype(np.float32)
    lines = [(int(chance.integers(1, 20)), "AB"[int(chance.integers(2))]) for _ in range(90)]
    first, last = window_span(12, 90)
    reach = reach_of(speakers)
    part = slice(first - reach, last + reach + 1)
    whole = Stretch(1, 90, 0, [12], Lines.of(lines), vectors)
    near = Stretch(1, 90, part.start, [12], Lines.of(lines[part]), vectors[part])
    (one,), (other,) = (score_windows([stretch], {}, EAST, speakers) for stretch in (whole, near))
    assert one.score == pytest.approx(other.score, abs=1e-5)


def test_what_is_next_to_the_best_has_to_be_better_for_it():
    near, far, other = ScoredWindow(1, 2, 5.9), ScoredWindow(1, 30, 5.0), ScoredWindow(2, 2, 5.1)
    best, inside = ScoredWindow(1, 0, 6.0), ScoredWindow(1, 1, 5.99)
    found = list(spread([best, inside, near, other, far], {1: 100, 2: 100}))
    assert [best, other, far, near] == found


def test_a_questions_subject_counts_more_than_its_whole_text():
    vector = query_vector(EAST, NORTH)
    assert 1.0 == pytest.approx(np.linalg.norm(vector))
    assert vector[0] > vector[1] > 0


def test_the_cosine_is_the_windows_own():
    assert 0.7071 == pytest.approx(window_cosine(np.stack([EAST, NORTH]), EAST), abs=1e-3)

from __future__ import annotations

import pytest

from aai_gateway.quotes.alignment import align
from aai_gateway.quotes.spoken import Claim, Spoken
from aai_gateway.quotes.windows import Sentence

TALK = [
    "Good morning, um, let us begin with the ferry timetable.",
    "The first crossing leaves at six fifteen, and twenty-five people use it on a normal weekday.",
    "I would not cancel it though.",
    "The nurses at the island clinic depend on that boat, and there is no bus before seven.",
    "Could the clinic, you know, shift its hours?",
    "As I said before, I would not cancel it though.",
]


@pytest.fixture(scope="module")
def spoken():
    return Spoken.of([Sentence(i, line, i * 9000, i * 9000 + 9000) for i, line in enumerate(TALK)])


def best(claim: str, spoken: Spoken) -> tuple[str, float]:
    found = align(Claim.of(claim), spoken)[0]
    return " ".join(word.text for word in spoken.words[found.first : found.last + 1]), found.score


def test_the_same_words_score_one_whatever_their_case_and_punctuation(spoken):
    text, score = best("the nurses at the ISLAND clinic -- depend", spoken)
    assert ("The nurses at the island clinic depend", pytest.approx(1)) == (text, score)


def test_a_dropped_filler_does_not_move_the_end(spoken):
    text, score = best("Could the clinic shift its hours", spoken)
    assert "Could the clinic, you know, shift its hours?" == text
    assert score > 0.9


def test_numbers_are_the_same_in_digits(spoken):
    text, score = best("leaves at 6:15 and 25 people use it", spoken)
    assert ("leaves at six fifteen, and twenty-five people use it", pytest.approx(1)) == (text, score)


def test_a_replaced_word_at_the_edge_is_covered(spoken):
    text, _ = best("some nurses at the island clinic depend on the ship", spoken)
    assert "The nurses at the island clinic depend on that boat," == text


def test_another_spelling_counts_nearly_as_much(spoken):
    text, score = best("the nurces at the iland clinic depend", spoken)
    assert "The nurses at the island clinic depend" == text
    assert 0.8 < score < 1


def test_an_ellipsis_costs_next_to_nothing(spoken):
    text, score = best("The first crossing leaves ... on that boat, and there is no bus", spoken)
    assert text.startswith("The first crossing leaves at six")
    assert text.endswith("there is no bus")
    assert score > 0.97


def test_without_the_ellipsis_what_is_left_out_costs(spoken):
    _, score = best("The first crossing leaves on that boat, and there is no bus", spoken)
    assert score < 0.9


def test_every_place_is_found_and_none_overlaps_another(spoken):
    found = align(Claim.of("I would not cancel it though"), spoken)
    assert [1, 1] == [pytest.approx(one.score) for one in found[:2]]
    assert {2, 5} == {int(spoken.sentence_of[one.first]) for one in found[:2]}
    taken = [word for one in found for word in range(one.first, one.last + 1)]
    assert len(taken) == len(set(taken))


def test_what_nobody_said_scores_low(spoken):
    _, score = best("Our quarterly dividend is to be paid at the end of the year", spoken)
    assert score < 0.3


def test_nothing_aligns_with_nothing(spoken):
    assert [] == align(Claim.of("…!"), spoken)
    assert [] == align(Claim.of("zebra xylophone"), spoken)
    assert [] == align(Claim.of("anything"), Spoken.of([]))

from __future__ import annotations

from aai_gateway.quotes.confidence import SAID, Meaning, Wording, of_meaning, of_wording


def test_a_lossy_copy_is_said_and_a_likeness_by_chance_is_not():
    assert of_wording(Wording(0.65, 10, 0.1)) > SAID
    assert of_wording(Wording(0.25, 3, 0)) < SAID


def test_what_contradicts_is_not_said_however_alike():
    assert of_wording(Wording(0.95, 15, 0)) > 0.99
    assert of_wording(Wording(0.95, 15, 1)) < 0.1


def test_the_same_score_says_more_of_more_words():
    assert of_wording(Wording(0.4, 20, 0)) > of_wording(Wording(0.4, 2, 0))


def test_meaning_counts_by_likeness_and_by_what_is_next():
    assert of_meaning(Meaning(0.85, 0.2)) > SAID
    assert of_meaning(Meaning(0.85, 0.0)) < SAID
    assert of_meaning(Meaning(0.5, 0.1)) < 0.1
    assert of_meaning(Meaning(0.7, 0.2)) == of_meaning(Meaning(0.7, 0.4))

from __future__ import annotations

import numpy as np
import pytest

from aai_gateway.quotes.matching import Found, find_quotes
from aai_gateway.quotes.spoken import Claim, Spoken
from aai_gateway.quotes.windows import Sentence, Word


def heard(*lines: str) -> Spoken:
    return Spoken.of([Sentence(i, line, i * 1000, i * 1000 + 1000) for i, line in enumerate(lines)])


@pytest.mark.parametrize("dots", ["…", "...", "[...]", "[…]", ". . ."])
def test_an_ellipsis_splits_a_claim(dots):
    claim = Claim.of(f"{dots} We keep it {dots} for now {dots}")
    assert ["we", "keep", "it", "for", "now"] == [token.text for token in claim.tokens]
    assert {3} == claim.breaks


def test_a_claims_tokens_know_their_words():
    claim = Claim.of("Keep it … can't wait")
    assert [0, 1, 2, 2, 3] == [token.first for token in claim.tokens]


def test_rare_words_weigh_more_than_common_ones_and_fillers_next_to_nothing():
    weights = heard("the cat and the dog", "um the ferry and the pier").weights_of(
        ["the", "and", "ferry", "um", "x"]
    )
    assert weights[3] < weights[0] < weights[1] < weights[2] <= weights[4]


def test_likeness_is_that_of_spelling_and_only_of_long_words():
    spoken = heard("the organisation of Katherine was not")
    (row,) = spoken.likeness(["catherine"])
    assert 0.7 < row[spoken.vocabulary["katherine"]] < 1
    assert 1 == np.count_nonzero(row)
    (row,) = spoken.likeness(["now"])
    assert 0 == np.count_nonzero(row)


def test_what_is_written_is_found_in_whole_words_everywhere():
    spoken = heard("So it is. It is", "so it", "is. Bit is it is.")
    assert [(0, 2)] == spoken.written(" So  it is.")
    assert [(1, 2), (6, 7), (10, 11)] == spoken.written("it is.")
    assert [(3, 4)] == spoken.written("It is")
    assert [] == spoken.written("t is")
    assert [] == spoken.written(" ")


def lettered(*lines: str) -> Spoken:
    """Sentences whose words are single letters, as those of Chinese are."""
    return Spoken.of(
        [
            Sentence(
                number,
                line,
                number * 10_000,
                number * 10_000 + 9_000,
                words=tuple(
                    Word(letter, number * 10_000 + place * 100, number * 10_000 + place * 100 + 90)
                    for place, letter in enumerate(line.replace(" ", ""))
                ),
            )
            for number, line in enumerate(lines)
        ]
    )


@pytest.mark.parametrize(
    "lines",
    [
        ("今天天气很好，我们去公园散步。", "我不知道。"),
        ("がんばって。", "ポケモンが大好き。"),
        ("อากาศดีมาก",),
        ("a b cd",),
    ],
)
def test_every_span_of_words_is_found_as_it_is_spaced_in_the_transcript(lines):
    spoken = lettered(*lines)
    assert " ".join(lines) == spoken.text_of(0, len(spoken.words) - 1)
    for first in range(len(spoken.words)):
        for last in range(first, len(spoken.words)):
            assert (first, last) in spoken.written(spoken.text_of(first, last))
            (found,) = find_quotes([spoken.text_of(first, last)], spoken)
            assert isinstance(found, Found)
            places = [(one.start, one.end, one.text) for one in found.places]
            begin, end, text = spoken.words[first].start, spoken.words[last].end, spoken.text_of(first, last)
            assert (begin, end, text) in places or len(places) > 1


def test_words_that_are_not_those_of_the_text_are_parted_by_spaces():
    words = tuple(Word(text, place, place + 1) for place, text in enumerate(["well", "okay", "then"]))
    spoken = Spoken.of([Sentence(0, "Well, OK then.", 0, 3, words=words)])
    assert "well okay then" == spoken.text_of(0, 2)


def test_nothing_said_is_prepared_too():
    spoken = heard()
    assert () == spoken.words
    assert [] == spoken.written("anything")
    assert spoken is Spoken.of(spoken)

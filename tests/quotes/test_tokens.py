from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.quotes.tokens import is_filler, tokenize, words_of
from aai_gateway.quotes.windows import Sentence, Word


def texts(said: str) -> str:
    return " ".join(token.text for token in tokenize(said.split()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't stop!", "do not stop"),
        ("She'll say it’s over.", "she will say it is over"),
        ("I'm gonna, we've been", "I am going to we have been"),
        ("the colour of the centre", "The color of the center"),
        ("We organised it", "we organized it"),
        ("a well-known man", "a well known man"),
        ("the U.S. at 5 p.m.", "the US at five pm"),
        ("John’s naïve café", "Johns naive cafe"),
        ("ＯＫ", "okay"),
        ("R&D", "R and D"),
    ],
)
def test_other_spellings_are_the_same_tokens(one, other):
    assert texts(other) == texts(one)


@pytest.mark.parametrize(
    ("one", "other"), [("now", "not"), ("four", "for"), ("can", "can't"), ("five", "six")]
)
def test_other_words_are_other_tokens(one, other):
    assert texts(other) != texts(one)


def test_each_token_knows_its_word():
    tokens = tokenize(["–", "Twenty-one", "can't", "wait."])
    assert [("21", 1), ("can", 2), ("not", 2), ("wait", 3)] == [(token.text, token.first) for token in tokens]


def test_fillers_are_words_and_pairs_that_say_nothing():
    said = ["um", "you", "know", "i", "know", "you", "i", "mean"]
    assert [True, True, True, False, False, False, True, True] == is_filler(said)


def test_words_without_times_share_the_sentence_by_their_length():
    words = words_of(Sentence(0, "a bcd ef", 1000, 1900))
    assert (Word("a", 1000, 1200), Word("bcd", 1200, 1600), Word("ef", 1600, 1900)) == words
    said = (Word("a", 5, 6),)
    assert said == words_of(Sentence(0, "a bcd ef", 1000, 1900, None, said))


@given(st.lists(st.text(min_size=1), max_size=8))
def test_tokens_are_in_the_order_of_the_words(words):
    tokens = tokenize(words)
    assert all(0 <= token.first <= token.last < len(words) for token in tokens)
    assert sorted(token.first for token in tokens) == [token.first for token in tokens]
    assert sorted(token.last for token in tokens) == [token.last for token in tokens]
    assert not any(token.text.isspace() or not token.text for token in tokens)

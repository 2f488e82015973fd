from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoken_lines import BANK, GARDEN, made_of

from aai_gateway.quotes.extractive import centrality, extractive_quotes, own_words, standing
from aai_gateway.quotes.passages import overlap

SENTENCE = "Every garden that we planted in the spring has fed a family since."


def test_a_whole_sentence_of_good_length_stands_on_its_own():
    assert 1.0 == standing(SENTENCE)


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE.replace("Every", "And every"),
        SENTENCE.rstrip(".") + "?",
        SENTENCE.rstrip("."),
        SENTENCE.replace("that we", "um that uh we"),
        "They fed a family all summer.",
        " ".join([SENTENCE] * 5),
    ],
)
def test_what_leans_on_others_asks_stammers_or_is_too_short_or_long_stands_less(text):
    assert 0 < standing(text) < 1


@pytest.mark.parametrize("text", ["", "Yes.", "It is what it is.", " ".join([SENTENCE] * 6)])
def test_what_says_next_to_nothing_or_goes_on_for_ever_is_no_quote(text):
    assert 0.0 == standing(text)


def test_the_sentence_that_others_are_like_is_central():
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1], [-1, 0]], np.float32)
    found = centrality(vectors, np.ones(5, np.float32))
    assert 1.0 == found.max()
    assert 4 == found.argmin()
    assert {1, 2} == set(found.argsort()[-2:].tolist())


def test_own_words_are_said_again_but_not_all_the_time():
    said = made_of(["The slugs came out.", "The slugs went in."] + ["The rain fell."] * 98)
    assert {"slugs"} == own_words(said).keys()


def test_a_recording_about_one_thing_is_quoted_about_that(embedder):
    said = made_of(["Is it on?", *GARDEN, "Thanks, bye.", BANK[0]], "A")
    quotes = extractive_quotes("t", said, embedder.encode([one.text for one in said]), 3)
    assert 3 == len(quotes)
    assert 1.0 == max(quote.confidence for quote in quotes)
    assert not any("revenue" in quote.text or "Thanks" in quote.text for quote in quotes)
    assert quotes[0].before


def test_what_it_should_be_about_decides(embedder):
    said = made_of([*GARDEN, *BANK], "A")
    vectors = embedder.encode([one.text for one in said])
    (quote,) = extractive_quotes("t", said, vectors, 1, about=embedder.encode(["money and loans"])[0])
    assert quote.first >= len(GARDEN)


def test_silence_has_no_quotes_and_chatter_none_either():
    assert extractive_quotes("t", [], np.zeros((0, 2), np.float32), 3) == []
    assert extractive_quotes("t", made_of(["Yes.", "No."]), np.eye(2, dtype=np.float32), 3) == []


@given(st.data())
def test_quotes_are_whole_sentences_of_one_speaker_and_do_not_overlap(data):
    lines = data.draw(
        st.lists(st.sampled_from([*GARDEN, *BANK, "Yes.", "And so on and on and on."]), max_size=20)
    )
    speakers = data.draw(st.lists(st.sampled_from("AB"), min_size=len(lines), max_size=len(lines)))
    said = made_of(lines, speakers)
    vectors = np.random.default_rng(len(lines)).normal(size=(len(said), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    quotes = extractive_quotes("t", said, vectors, 4)
    assert len(quotes) <= 4
    for quote in quotes:
        inside = said[quote.first : quote.last + 1]
        assert " ".join(one.text for one in inside) == quote.text
        assert 1 == len({one.speaker for one in inside}) == len(quote.speakers)
        assert 0 < quote.confidence <= 1
    assert not any(overlap(one, other) for one, other in combinations(quotes, 2))

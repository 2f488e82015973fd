from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aai_gateway.quotes.matching import Found, NotFound, find_quotes
from aai_gateway.quotes.meaning import Pooled
from aai_gateway.quotes.spoken import Spoken
from aai_gateway.quotes.windows import Sentence, Word

TALK = [
    ("A", "Good morning, um, let us begin with the ferry timetable."),
    ("B", "The first crossing leaves at six fifteen, and twenty-five people use it on a normal weekday."),
    ("C", "I would not cancel it though."),
    ("C", "The nurses at the island clinic depend on that boat, and there is no bus before seven."),
    ("A", "Could the clinic shift its hours?"),
    ("C", "As I told you before, I would not cancel it though."),
]


def told(lines: list[tuple[str, str]]) -> list[Sentence]:
    """Sentences whose words take 300 ms each, with pauses of 100 ms."""
    sentences, clock = [], 0
    for index, (speaker, text) in enumerate(lines):
        words = []
        for part in text.split():
            words.append(Word(part, clock, clock + 300))
            clock += 400
        sentences.append(Sentence(index, text, words[0].start, words[-1].end, speaker, tuple(words)))
    return sentences


@pytest.fixture(scope="module")
def talk():
    return Spoken.of(told(TALK))


def only(claim: str, said, **options) -> Found:
    (found,) = find_quotes([claim], said, **options)
    assert isinstance(found, Found)
    return found


def test_what_was_said_comes_back_with_its_times_speaker_and_surroundings(talk):
    (place,) = only("“leaves at 6:15 and 25 people use it”", talk).places
    assert "verbatim" == place.kind
    assert "leaves at six fifteen, and twenty-five people use it" == place.text
    words = talk.words
    first = next(i for i, word in enumerate(words) if word.text == "leaves")
    assert (words[first].start, words[first + 8].end) == (place.start, place.end)
    assert (("B",), 1, 1) == (place.speakers, place.first, place.last)
    assert (TALK[0][1], TALK[2][1]) == (place.before, place.after)
    assert 1 == place.confidence


def test_a_quote_over_two_speakers_names_both_in_order(talk):
    (place,) = only("Could the clinic shift its hours? As I told you", talk).places
    assert (("A", "C"), 4, 5) == (place.speakers, place.first, place.last)
    assert ("", TALK[3][1]) == (place.after, place.before)


def test_a_changed_copy_is_close(talk):
    claim = "The nurses from the clinic depend on the boat and there's no bus before seven"
    place = only(claim, talk).places[0]
    assert ("close", TALK[3][1]) == (place.kind, place.text)
    assert 0.9 < place.confidence < 1


def test_a_repeat_returns_every_place(talk):
    places = only("I would not cancel it though.", talk).places
    assert [(2, "verbatim"), (5, "verbatim")] == [(place.first, place.kind) for place in places]


def test_a_filler_left_out_is_close_not_verbatim(talk):
    place = only("Good morning, let us begin with the ferry timetable.", talk).places[0]
    assert ("close", TALK[0][1]) == (place.kind, place.text)


@pytest.mark.parametrize(
    "claim",
    [
        "I would cancel it though.",
        "The first crossing leaves at six fifteen, and forty people use it on a normal weekday.",
        "The quarterly dividend is to be paid at the end of the year.",
    ],
)
def test_what_was_not_said_is_not_found_but_has_a_hint(talk, embedder, claim):
    (found,) = find_quotes([claim], talk, encode=embedder.encode)
    assert isinstance(found, NotFound)
    assert found.nearest is not None
    assert found.confidence == found.nearest.confidence < 0.5
    assert found.nearest.text in talk.text


def test_other_words_are_a_paraphrase_of_whole_sentences(garden, embedder):
    claim = "Straw on top of the soil preserves its moisture."
    place = only(claim, garden, encode=embedder.encode).places[0]
    assert ("paraphrase", garden[3].text, 3, 3) == (place.kind, place.text, place.first, place.last)
    assert (garden[3].start, garden[3].end) == (place.start, place.end)
    (found,) = find_quotes([claim], garden)
    assert isinstance(found, NotFound)


def test_vectors_that_are_at_hand_are_not_made_again(garden, embedder):
    claim = "Straw on top of the soil preserves its moisture."
    vectors = embedder.encode([sentence.text for sentence in garden])
    asked = []

    def encode(texts):
        asked.extend(texts)
        return embedder.encode(texts)

    for given_vectors in (vectors, Pooled.of(vectors)):
        assert isinstance(find_quotes([claim], garden, encode=encode, vectors=given_vectors)[0], Found)
    assert [claim, claim] == asked
    with pytest.raises(ValueError, match="11 vectors for 12 sentences"):
        find_quotes([claim], garden, vectors=vectors[1:])


def test_nothing_is_encoded_when_the_words_decide(talk):
    def encode(texts):
        raise AssertionError(texts)

    claims = [TALK[3][1], "I would cancel it though."]
    assert [Found, NotFound] == [type(found) for found in find_quotes(claims, talk, encode=encode)]


def test_a_result_for_each_claim_in_order_and_none_for_nothing(talk):
    found = find_quotes([TALK[2][1], "", "…", TALK[4][1]], talk)
    assert [Found, NotFound, NotFound, Found] == [type(one) for one in found]
    assert [NotFound("anything", None, 0.0)] == find_quotes(["anything"], [])
    assert [] == find_quotes([], talk)


def test_finding_by_words_loads_no_torch():
    code = (
        "import sys; from aai_gateway.quotes.matching import find_quotes; "
        "from aai_gateway.quotes.windows import Sentence; "
        "find_quotes(['so it is'], [Sentence(0, 'So it is.', 0, 900)]); "
        "print(sorted({'torch', 'chromadb', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


COMMON = """
the a of to and so it is not no um you know I mean five twenty-five hundred first 25% $5 don't can't
boat. Boat boats, ferry? clinic colour centre – “naïve” island weekday! pier; rust county
"""
OTHERS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)
WORDS = st.sampled_from(COMMON.split()) | OTHERS
SENTENCES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
TALKS = st.lists(st.tuples(st.sampled_from("ABC"), SENTENCES), min_size=1, max_size=12).map(told)


@given(TALKS, st.data())
def test_any_span_given_word_for_word_comes_back_exactly(sentences, data):
    spoken = Spoken.of(sentences)
    assume(len(spoken.words) >= 4)
    first = data.draw(st.integers(0, len(spoken.words) - 4))
    last = data.draw(st.integers(first + 3, len(spoken.words) - 1))
    text = " ".join(word.text for word in spoken.words[first : last + 1])
    assume(len(spoken.written(text)) == 1)
    place = only(text, spoken).places[0]
    assert ("verbatim", text) == (place.kind, place.text)
    assert (spoken.words[first].start, spoken.words[last].end) == (place.start, place.end)


@given(TALKS, st.lists(SENTENCES, min_size=1, max_size=3), st.integers(0, 2**32))
def test_whatever_is_claimed_only_what_was_said_is_returned_and_never_twice(sentences, claims, seed):
    spoken = Spoken.of(sentences)

    def encode(texts):
        made = np.random.default_rng(seed).normal(size=(len(texts), 3)).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    for found in find_quotes(claims, spoken, encode=encode):
        places = found.places if isinstance(found, Found) else [found.nearest] * (found.nearest is not None)
        for place in places:
            said = [word.text for word in spoken.words if place.start <= word.start and word.end <= place.end]
            assert " ".join(said) == place.text
        assert not any(a.start < b.end and b.start < a.end for a, b in combinations(places, 2))
        assert sorted((p.confidence for p in places), reverse=True) == [p.confidence for p in places]


@given(st.lists(st.text("bcdfghjklmpqrvwxz", min_size=4, max_size=9), min_size=3, max_size=30))
def test_random_text_was_never_said(words):
    (found,) = find_quotes([" ".join(words)], told(TALK))
    assert isinstance(found, NotFound)

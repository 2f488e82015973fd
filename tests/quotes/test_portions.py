from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from spoken_lines import made_of

from aai_gateway.core.token_estimates import estimated_tokens
from aai_gateway.quotes.portions import portions


def talk(count, speakers=""):
    return made_of([f"This is number {number} of what was said." for number in range(count)], speakers)


def test_a_short_transcript_is_one_portion():
    sentences = talk(10)
    (portion,) = portions(sentences)
    assert tuple(sentences) == portion.sentences


def test_no_sentences_are_no_portions():
    assert [] == portions([])


def test_portions_are_of_much_the_same_length_and_share_their_edges():
    found = portions(talk(100), tokens=250, shared=3)
    assert [(0, 27), (25, 52), (50, 77), (75, 99)] == [
        (one.sentences[0].index, one.sentences[-1].index) for one in found
    ]
    assert (found[1].start, found[1].end) == (found[1].sentences[0].start, found[1].sentences[-1].end)


@given(
    st.lists(st.integers(1, 600), min_size=1, max_size=120),
    st.integers(50, 400),
    st.integers(0, 4),
)
def test_every_sentence_is_in_a_portion_and_none_is_much_too_long(lengths, tokens, shared):
    sentences = made_of(["x" * length for length in lengths])
    found = portions(sentences, tokens=tokens, shared=shared)
    assert set(range(len(sentences))) == {one.index for portion in found for one in portion.sentences}
    longest = max(estimated_tokens(one.text) for one in sentences)
    for portion in found:
        assert sum(estimated_tokens(one.text) for one in portion.sentences) <= tokens + (shared + 2) * longest


def test_a_script_has_a_line_for_each_turn():
    sentences = made_of(["Is it cold?", "It is.", "Very cold.", "Then stay."], "ABBA")
    (portion,) = portions(sentences)
    assert "Speaker A: Is it cold?\nSpeaker B: It is. Very cold.\nSpeaker A: Then stay." == portion.script


def test_a_script_without_speakers_is_one_line_and_names_stand_for_themselves():
    assert "One. Two." == portions(made_of(["One.", "Two."]))[0].script
    assert "Grace Hopper: One." == portions(made_of(["One."], ["Grace Hopper"]))[0].script

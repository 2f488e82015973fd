from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.quotes.query_reading import QueryReading, named_speakers, read_query

TEAM = ("Project Manager", "Marketing", "User Interface", "Industrial Designer")
COMMITTEE = ("Right Hon. Justin Trudeau (Prime Minister)", "Hon. Bill Morneau (Minister of Finance)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Summarize the discussion about product cost.", QueryReading("product cost", ())),
        ("What was said about hourly rates?", QueryReading("hourly rates", ())),
        ("the cost of clean air", QueryReading("cost clean air", ())),
        (
            "What did the Marketing think of buttons when discussing the functional design?",
            QueryReading("buttons", ("Marketing",)),
        ),
        (
            "Why did the project manager's plan fail while talking about money?",
            QueryReading("plan fail", ("Project Manager",)),
        ),
    ],
)
def test_a_question_is_read(text, expected):
    assert expected == read_query(text, TEAM)


def test_a_question_of_only_every_questions_words_is_its_own_subject():
    assert "What did they say?" == read_query("What did they say? ", TEAM).subject


def test_what_only_has_a_setting_is_about_that():
    assert QueryReading("titanium", ()) == read_query("What was it when discussing titanium?", ())


def test_a_speaker_is_named_in_full_or_by_the_most_of_a_name():
    assert ("Project Manager",) == named_speakers("what the PROJECT MANAGER wants", TEAM)
    assert COMMITTEE[:1] == named_speakers("What did the Prime Minister say?", COMMITTEE)
    assert COMMITTEE[1:] == named_speakers("What did Morneau say about the debt?", COMMITTEE)
    assert COMMITTEE[1:] == named_speakers("what did morneau say about the debt", COMMITTEE)
    assert COMMITTEE[1:] == named_speakers("Morneau's view of the debt", COMMITTEE)
    assert TEAM[1:2] + TEAM[3:] == named_speakers("Why did Industrial Design agree with Marketing?", TEAM)
    assert ("Professor B",) == named_speakers("What did the professor say?", ("Professor B", "Grad E"))
    assert () == named_speakers("Who was there?", TEAM)


def test_a_word_that_is_also_in_a_name_is_nobody():
    minister = ("Joyce Murray (Minister of Digital Government)",)
    assert () == named_speakers("What was the government's policy?", minister)
    assert () == named_speakers("How did Canada's government answer?", minister)
    assert () == named_speakers("Summarize the discussion about user requirements.", TEAM)


def test_who_is_named_in_the_setting_is_asked_for_only_where_nobody_else_is():
    text = "What did {} recommend when discussing the user interface?"
    assert ("Marketing",) == read_query(text.format("Marketing"), TEAM).speakers
    assert ("User Interface",) == read_query(text.format("they"), TEAM).speakers


def test_a_letter_names_nobody_and_speaker_a_does():
    assert () == named_speakers("a garden", ("A", "B"))
    assert () == named_speakers("A garden, and I", ("A", "I"))
    assert ("B",) == named_speakers("What did B say about growth?", ("A", "B"))
    assert ("A",) == named_speakers("what does speaker A grow?", ("A", "B"))
    assert ("Speaker A",) == named_speakers("what speaker A grows", ("Speaker A", "Speaker B"))


@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=4))
def test_whatever_is_asked_is_read(text, speakers):
    found = read_query(text, speakers)
    assert set(found.speakers) <= set(speakers)
    assert found.subject or not text.strip()

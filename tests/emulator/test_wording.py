from __future__ import annotations

from pathlib import Path

import pytest

from aai_gateway.emulator.sample_audio import Heard, Word
from aai_gateway.emulator.wording import joined, paragraphs, sentences, turns, wanted_words


def said(text: str, speaker: str = "A", start: int = 0) -> list[Word]:
    return [
        Word(part, start + 100 * index, start + 100 * index + 80, 0.9, speaker)
        for index, part in enumerate(text.split())
    ]


def heard(*words: Word) -> Heard:
    return Heard(words, 10_000, 1, Path("a.wav"))


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("Um, two things, uh, happened.", {}, "Two things, happened."),
        ("Um, two things.", {"disfluencies": True}, "Um, two things."),
        ("The Sequel server.", {"custom_spelling": [{"from": ["sequel"], "to": "SQL"}]}, "The SQL server."),
        (
            "Ask get love man.",
            {"custom_spelling": [{"from": ["get love man"], "to": "Gettleman"}]},
            "Ask Gettleman.",
        ),
        ("Damn, it works.", {"filter_profanity": True}, "d***, it works."),
        ("Hello, World.", {"punctuate": False}, "Hello World"),
        ("Hello, World.", {"format_text": False}, "hello, world."),
        ("One two three.", {"audio_start_from": 100, "audio_end_at": 180}, "two"),
    ],
)
def test_options(text: str, options: dict, expected: str):
    assert expected == joined(wanted_words(heard(*said(text)), options))


def test_respelled_words_keep_the_time_of_what_was_said():
    spelling = {"custom_spelling": [{"from": ["get love man"], "to": "Gettleman"}]}
    word = wanted_words(heard(*said("Ask get love man.")), spelling)[1]
    assert (100, 380) == (word.start, word.end)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {None}),
        ({"speaker_labels": True}, {"A", "B", "C"}),
        ({"speaker_labels": True, "speakers_expected": 2}, {"A", "B"}),
        ({"speaker_labels": True, "speaker_options": {"max_speakers_expected": 1}}, {"A"}),
    ],
)
def test_speakers(options: dict, expected: set):
    words = said("One.", "A") + said("Two.", "B", 500) + said("Three.", "C", 900)
    assert expected == {word.speaker for word in wanted_words(heard(*words), options)}


def test_sentences_turns_and_paragraphs():
    words = (
        said("Is it? Yes.", "A")
        + said("No it is", "B", 400)
        + said("not.", "A", 800)
        + said("Far.", "A", 9000)
    )
    assert ["Is it?", "Yes.", "No it is", "not.", "Far."] == [joined(part) for part in sentences(words)]
    assert ["Is it? Yes.", "No it is", "not. Far."] == [joined(part) for part in turns(words)]
    assert ["Is it? Yes.", "No it is", "not.", "Far."] == [joined(part) for part in paragraphs(words)]

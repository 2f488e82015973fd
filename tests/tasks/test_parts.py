from __future__ import annotations

from dataclasses import dataclass

import assemblyai as aai
import pytest

from aai_gateway import speech
from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.errors import ConfigurationError
from aai_gateway.tasks.parts import Part, chapters_of, speakers_of


@dataclass
class Said:
    text: str
    start: int
    end: int
    speaker: str | None = None


@dataclass
class Chapter:
    headline: str
    start: int
    end: int


SAID = ("one", "two", "three", "four")
WORDS = [Said(text, place * 100, place * 100 + 90) for place, text in enumerate(SAID)]


def test_a_chapter_has_the_words_that_begin_in_it():
    chapters = [Chapter("Low", 0, 200), Chapter("High", 200, 400), Chapter("Silence", 400, 900)]
    expected = [Part("Low", "one two", 0, 200), Part("High", "three four", 200, 400)]
    assert expected == chapters_of("t-1", chapters, WORDS)


def test_a_speaker_has_all_turns_of_theirs():
    turns = [Said("Hello. ", 0, 90, "B"), Said("Hi.", 100, 190, "A"), Said("Well.", 200, 290, "B")]
    expected = [Part("B", "Hello. Well.", 0, 290), Part("A", "Hi.", 100, 190)]
    assert expected == speakers_of("t-1", turns)


@pytest.mark.parametrize("chapters", [[], [Chapter("Silence", 400, 900)]])
def test_without_chapters_it_says_how_they_are_made(chapters):
    with pytest.raises(ConfigurationError, match=r"t-1 has no chapters.*auto_chapters"):
        chapters_of("t-1", chapters, WORDS)


def test_without_speakers_it_says_how_they_are_told_apart():
    with pytest.raises(ConfigurationError, match=r"t-1 has no speakers.*--speakers"):
        speakers_of("t-1", [Said("Hello.", 0, 90)])


def test_parts_of_a_real_transcript(emulator: Emulator):
    client = speech.client_at(emulator.urls.us, emulator.config.account_key, polling_interval=0.05)
    config = aai.TranscriptionConfig(
        speech_models=["universal-2"], speaker_labels=True, auto_chapters=True, punctuate=True
    )
    transcript = speech.transcribe(client, sample_path("interview"), config)
    chapters = chapters_of(transcript.id, transcript.chapters, transcript.words)
    assert transcript.text == " ".join(part.text for part in chapters)
    speakers = speakers_of(transcript.id, transcript.utterances)
    assert ["A", "B"] == [part.name for part in speakers]
    assert sorted(transcript.text.split()) == sorted(" ".join(part.text for part in speakers).split())

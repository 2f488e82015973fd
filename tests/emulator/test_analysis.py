from __future__ import annotations

from itertools import pairwise

import pytest

from aai_gateway.emulator import analysis
from aai_gateway.emulator.sample_audio import Word, sample_script
from aai_gateway.emulator.wording import joined

WORDS = sample_script("interview").words
TEXT = joined(WORDS)


def said(text: str) -> list[Word]:
    return [Word(part, 100 * index, 100 * index + 80, 0.9, "A") for index, part in enumerate(text.split())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A wonderful, happy day.", "POSITIVE"),
        ("A terrible problem.", "NEGATIVE"),
        ("It is a table.", "NEUTRAL"),
    ],
)
def test_sentiment(text: str, expected: str):
    (result,) = analysis.sentiment_results(said(text))
    assert expected == result["sentiment"]
    assert (text, 0, "A") == (result["text"], result["start"], result["speaker"])


def test_the_lead_is_quoted_in_spoken_order():
    lead = analysis.lead(WORDS, 5)
    assert 5 == len(lead)
    places = [TEXT.index(sentence) for sentence in lead]
    assert sorted(places) == places


def test_chapters_cover_the_whole_recording_without_overlap():
    chapters = analysis.chapters(WORDS)
    assert (WORDS[0].start, WORDS[-1].end) == (chapters[0]["start"], chapters[-1]["end"])
    assert all(a["end"] <= b["start"] for a, b in pairwise(chapters))


def test_highlights_count_what_is_said_again():
    result = analysis.highlights(said("Clean air, please. Clean air, again. Nothing."))["results"][0]
    assert ("clean air", 2) == (result["text"], result["count"])
    assert [{"start": 0, "end": 180}, {"start": 300, "end": 480}] == result["timestamps"]


def test_safety_threshold():
    labels = analysis.content_safety(WORDS, 25)["summary"]
    strict = analysis.content_safety(WORDS, 85)["summary"]
    assert set(strict) < set(labels)
    assert all(0.85 <= score <= 1 for score in strict.values())


def test_topics_tell_the_samples_apart():
    interview, briefing = (
        next(iter(analysis.topics(sample_script(name).words)["summary"]))
        for name in ("interview", "briefing")
    )
    assert "Home&Garden>IndoorEnvironmentalQuality" == interview
    assert briefing != interview


def test_silence():
    assert [] == analysis.sentiment_results([])
    assert [] == analysis.chapters([])
    assert "" == analysis.summary([], "bullets")
    assert {"status": "success", "results": []} == analysis.highlights([])
    assert {} == analysis.topics([])["summary"]

from __future__ import annotations

from aai_gateway.emulator.exports import paragraphs_of, sentences_of, srt, vtt, word_search

SAID = {"Smoke": 240, "rises.": 700, "The": 3_599_800, "smoke": 3_600_300, "fell.": 3_661_001}

BODY = {
    "id": "x",
    "confidence": 0.9,
    "audio_duration": 4000,
    "speech_model_used": "universal-2",
    "words": [
        {"text": text, "start": start, "end": start + 400, "confidence": 0.9, "speaker": "A"}
        for text, start in SAID.items()
    ],
}


def test_srt():
    assert (
        "1\n00:00:00,240 --> 00:00:01,100\nSmoke rises.\n\n"
        "2\n00:59:59,800 --> 01:01:01,401\nThe smoke fell.\n\n"
    ) == srt(BODY, None)


def test_vtt_with_short_captions():
    assert (
        "WEBVTT\n\n00:00.240 --> 00:00.640\nSmoke\n\n00:00.700 --> 00:01.100\nrises.\n\n"
        "59:59.800 --> 01:00:00.700\nThe smoke\n\n01:01:01.001 --> 01:01:01.401\nfell.\n\n"
    ) == vtt(BODY, 9)


def test_sentences_have_speakers_and_paragraphs_do_not():
    sentences, paragraphs = sentences_of(BODY), paragraphs_of(BODY)
    assert {"id", "confidence", "audio_duration", "speech_model_used", "sentences"} == set(sentences)
    assert ["Smoke rises.", "The smoke fell."] == [item["text"] for item in sentences["sentences"]]
    assert "A" == sentences["sentences"][0]["speaker"]
    assert not any("speaker" in item for item in paragraphs["paragraphs"])


def test_word_search_ignores_case_and_punctuation():
    found = word_search(BODY, ["SMOKE", "smoke fell", "fire"])
    assert 3 == found["total_count"]
    assert [
        {"text": "smoke", "count": 2, "timestamps": [[240, 640], [3_600_300, 3_600_700]], "indexes": [0, 3]},
        {"text": "smoke fell", "count": 1, "timestamps": [[3_600_300, 3_661_401]], "indexes": [3]},
    ] == found["matches"]

from __future__ import annotations

import pytest

from aai_gateway.emulator.refusals import SCHEMA, model_that_runs, refusal

AUDIO = {"audio_url": "https://assembly.ai/wildfires.mp3"}


def understanding(**request: object) -> dict:
    return {"speech_understanding": {"request": request}}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], SCHEMA),
        ({}, SCHEMA),
        ({"audio_url": 3}, SCHEMA),
        (AUDIO | {"speaker_labels": "yes"}, SCHEMA),
        (AUDIO | {"speakers_expected": True}, SCHEMA),
        (AUDIO | {"speech_threshold": 1.5}, SCHEMA),
        (AUDIO | {"content_safety_confidence": 10}, SCHEMA),
        (AUDIO | {"customer": "acme"}, SCHEMA),
        (AUDIO | {"custom_spelling": [{"from": ["a"]}]}, SCHEMA),
        (AUDIO | {"speech_models": ["universal-99"]}, SCHEMA),
        ({"audio_url": "file:///etc/passwd"}, "Transcript creation error, audio_url should start with http"),
        (
            AUDIO | {"speakers_expected": 2, "speaker_options": {"max_speakers_expected": 3}},
            "Both speaker_options and speakers_expected can not be used in the same request.",
        ),
        (
            AUDIO | {"redact_pii_return_unredacted": True},
            "`redact_pii_return_unredacted` can only be set to True if `redact_pii` is True",
        ),
        (
            AUDIO | understanding(speaker_identification={"speaker_type": "name"}),
            "speaker_labels or multichannel required",
        ),
        (
            AUDIO
            | {"redact_pii": True, "redact_pii_policies": ["phone_number", "date"]}
            | understanding(custom_formatting={"phone_number": "(xxx)xxx-xxxx", "date": "mm/dd/yyyy"}),
            "redact pii date not compatible with formatting date; "
            "redact pii phone_number not compatible with formatting phone_number",
        ),
        (
            AUDIO | {"speaker_labels": True, "language_code": "haw"},
            "The following models are not available in this language: speaker_labels",
        ),
        (
            AUDIO | {"auto_chapters": True, "summarization": True},
            "Only one of the following models can be enabled at a time: auto_chapters, summarization.",
        ),
        (
            AUDIO | {"audio_start_from": 10, "audio_end_at": 10},
            "audio_end_at must be greater than audio_start_from",
        ),
    ],
)
def test_refused(body: object, text: str):
    assert text == refusal(body)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"speech_models": ["universal-3-pro"]},
        {"redact_pii": True, "redact_pii_policies": ["no_such_policy"]},
        {"language_detection": False},
        {"language_code": None, "webhook_url": None},
        {"speaker_labels": True} | understanding(speaker_identification={"speaker_type": "name"}),
    ],
)
def test_taken(options: dict):
    assert refusal(AUDIO | options) is None


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({}, "universal-3-5-pro"),
        ({"speech_models": ["universal-3-pro", "universal-2"]}, "universal-3-pro"),
        ({"speech_models": ["next-one", "universal-2"]}, "universal-2"),
        ({"speech_model": "best"}, "universal-3-pro"),
        ({"speech_model": "nano"}, "universal-2"),
        ({"auto_chapters": True}, "universal-2"),
        ({"summarization": True, "speech_models": ["universal-3-pro"]}, "universal-2"),
        ({"word_boost": ["archive"]}, "universal-2"),
        ({"word_boost": []}, "universal-3-5-pro"),
        ({"language_code": "fi"}, "universal-2"),
        ({"language_code": "es"}, "universal-3-5-pro"),
        ({"speech_models": ["universal-99"]}, None),
    ],
)
def test_model_that_runs(options: dict, model: str | None):
    assert model == model_that_runs(AUDIO | options)

"""The transcript object in each of its lives: queued, completed, failed and deleted.

Field names and defaults: AssemblyAI documentation, "Get transcript", and completed transcripts recorded
from the service (about 80 top-level keys, `project_id` and `token_id` among them).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from aai_gateway.emulator import analysis
from aai_gateway.emulator.entities import entity_json, find_entities, redacted
from aai_gateway.emulator.refusals import understanding
from aai_gateway.emulator.sample_audio import Heard, Word
from aai_gateway.emulator.understanding import understood
from aai_gateway.emulator.wording import (
    confidence,
    joined,
    span_json,
    turns,
    wanted_words,
    word_json,
    word_list,
)

_OFF = word_list(
    "auto_chapters auto_highlights content_safety disfluencies entity_detection filter_profanity "
    "iab_categories language_detection redact_pii redact_pii_audio sentiment_analysis speaker_labels "
    "summarization webhook_auth"
)
_EMPTY = word_list(
    "audio_channels audio_duration audio_end_at audio_start_from auto_highlights_result boost_param "
    "chapters confidence content_safety_confidence content_safety_labels custom_spelling custom_topics "
    "domain dual_channel entities error iab_categories_result keyterms_prompt_options language_codes "
    "language_confidence language_confidence_threshold language_detection_options "
    "language_detection_results metadata multichannel prompt redact_pii_audio_options "
    "redact_pii_audio_quality redact_pii_policies redact_pii_return_unredacted redact_pii_sub "
    "sentiment_analysis_results speaker_options speakers_expected speech_model speech_model_used "
    "speech_models speech_threshold speech_understanding speed_boost summary summary_model summary_type "
    "temperature text throttled translated_texts unredacted_text unredacted_utterances unredacted_words "
    "utterances webhook_auth_header_name webhook_status_code webhook_url words"
)
DELETED_URL = "http://deleted_by_user"
_NOT_ECHOED = {"webhook_auth_header_value", "speech_model", "redact_static_entities"}
_DETECTED = 0.9959
"""How sure the emulator is of any language: it only knows English."""


def queued(transcript_id: str, request: dict[str, Any], project_id: int, token_id: int) -> dict[str, Any]:
    """The answer to a submission: every field, with the request's options echoed."""
    body: dict[str, Any] = {
        "id": transcript_id,
        "status": "queued",
        "audio_url": request["audio_url"],
        "language_model": "assemblyai_default",
        "acoustic_model": "assemblyai_default",
        "language_code": "en_us",
        "punctuate": True,
        "format_text": True,
        "word_boost": [],
        "keyterms_prompt": [],
        "topics": [],
        "remove_audio_tags": "all",
        **dict.fromkeys(_OFF, False),
        **dict.fromkeys(_EMPTY),
    }
    body |= {name: value for name, value in request.items() if value is not None and name not in _NOT_ECHOED}
    if body["language_code"] == "en":
        body["language_code"] = "en_us"
    if body["summarization"]:
        body["summary_model"] = body["summary_model"] or "informative"
        body["summary_type"] = body["summary_type"] or "bullets"
    if body["redact_pii"]:
        body["redact_pii_sub"] = body["redact_pii_sub"] or "hash"
    body["webhook_auth"] = bool(request.get("webhook_auth_header_name"))
    return body | {"project_id": project_id, "token_id": token_id}


def measures(request: dict[str, Any], heard: Heard, model: str) -> dict[str, Any]:
    """What a completed transcript says of its audio and of `model`, which transcribed it."""
    apart = request.get("multichannel") or request.get("dual_channel")
    return {
        "status": "completed",
        "audio_duration": math.ceil(heard.duration_ms / 1000),
        "audio_channels": heard.channels if apart else None,
        "speech_model_used": model,
    }


def failed(body: dict[str, Any], error: str) -> dict[str, Any]:
    """The transcript of a job that ended in an error."""
    return body | {"status": "error", "error": error}


def shortcoming(request: dict[str, Any], heard: Heard) -> str | None:
    """Why a request's own thresholds reject what was heard, if they do."""
    threshold, wanted = request.get("language_confidence_threshold"), request.get("speech_threshold")
    if request.get("language_detection") and threshold is not None and threshold > _DETECTED:
        return (
            f"detected language 'en', confidence {_DETECTED}, is below the requested confidence threshold "
            f"value of '{threshold}'"
        )
    if wanted is None:
        return None
    speech = sum(word.end - word.start for word in heard.words) / max(heard.duration_ms, 1)
    if speech < wanted:
        return f"Audio speech threshold {speech:.4f} is below the requested speech threshold value {wanted}"
    return None


def completed(body: dict[str, Any], heard: Heard, model: str) -> dict[str, Any]:
    """The finished transcript, with everything that was asked for."""
    plain = wanted_words(heard, body)
    entities = find_entities(plain)
    shown = plain
    if body["redact_pii"]:
        shown = redacted(plain, entities, body["redact_pii_policies"], body["redact_pii_sub"])
    told_apart = bool(body["speaker_labels"] or body["multichannel"] or body["dual_channel"])
    shown, response = understood(understanding(body), shown)
    done = body | {
        **measures(body, heard, model),
        "text": joined(shown),
        "words": [word_json(word) for word in shown],
        "utterances": _utterances(shown) if told_apart else None,
        "confidence": confidence(shown),
        "language_confidence": _DETECTED if body["language_detection"] else None,
        "metadata": {"domain_used": body["domain"], "warning": None, "warnings": []},
        "content_safety_labels": analysis.UNAVAILABLE_SAFETY,
        "iab_categories_result": analysis.UNAVAILABLE_TOPICS,
        **_findings(body, shown),
        **response,
    }
    if body["entity_detection"]:  # the service returns raw entities even when the text is redacted
        done["entities"] = [entity_json(entity, plain) for entity in entities]
    if body["sentiment_analysis"]:  # and raw sentences
        done["sentiment_analysis_results"] = analysis.sentiment_results(plain)
    if body["speaker_labels"] and body["speaker_options"] is None and body["speakers_expected"] is None:
        done["speaker_options"] = {
            "min_speakers_expected": 1,
            "max_speakers_expected": 10,
            "advanced_speaker_segmentation": False,
        }
    if body["redact_pii"] and body["redact_pii_return_unredacted"]:
        done["unredacted_text"] = joined(plain)
        done["unredacted_words"] = [word_json(word) for word in plain]
        done["unredacted_utterances"] = _utterances(plain) if told_apart else None
    return done


def _utterances(words: Sequence[Word]) -> list[dict[str, Any]]:
    return [span_json(turn) for turn in turns(words)]


def _findings(body: dict[str, Any], words: Sequence[Word]) -> dict[str, Any]:
    """The results of the understanding features that a request turned on."""
    found: dict[str, Any] = {}
    if body["auto_chapters"]:
        found["chapters"] = analysis.chapters(words)
    if body["summarization"]:
        found["summary"] = analysis.summary(words, body["summary_type"])
    if body["auto_highlights"]:
        found["auto_highlights_result"] = analysis.highlights(words)
    if body["content_safety"]:
        found["content_safety_labels"] = analysis.content_safety(
            words, body["content_safety_confidence"] or 50
        )
    if body["iab_categories"]:
        found["iab_categories_result"] = analysis.topics(words)
    return found


def deleted(body: dict[str, Any]) -> dict[str, Any]:
    """What is left of a transcript that its owner deleted (AssemblyAI documentation, "Delete transcript").

    `body` is the transcript as it was queued, with the `audio_duration` that it got.
    """
    gone = dict.fromkeys(body)
    kept = {name: body[name] for name in ("id", "audio_duration", "language_model", "acoustic_model")}
    flags = word_list(
        "auto_highlights entity_detection language_detection multichannel redact_pii sentiment_analysis "
        "summarization webhook_auth"
    )
    return {
        **gone,
        **dict.fromkeys(flags, False),
        **kept,
        "status": "completed",
        "audio_url": DELETED_URL,
        "webhook_url": DELETED_URL,
        "text": "Deleted by user.",
        "project_id": body["project_id"],
        "token_id": body["token_id"],
    }

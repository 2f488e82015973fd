"""What `POST /v2/transcript` refuses, and with which words.

Sources: AssemblyAI documentation, "Submit a transcription job" (types, ranges), and error bodies recorded
from the service. Where only the kind of refusal is known, the text is the service's general one, `SCHEMA`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import Any

from aai_gateway.emulator.wording import word_list

SCHEMA = "Invalid endpoint schema, please refer to documentation for examples."
UNAUTHENTICATED = "Authentication error, API token missing/invalid"
NOT_FOUND = "Transcript lookup error, transcript id not found"

Check = Callable[[Any], bool]


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _integer(low: int, high: int | None = None) -> Check:
    def check(value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and value >= low and (high is None or value <= high)

    return check


def _fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _one_of(*allowed: str) -> Check:
    return lambda value: value in allowed


def _spellings(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict)
        and isinstance(item.get("to"), str)
        and (_texts(item.get("from")) or _text(item.get("from")))
        for item in value
    )


_BOOLEANS = word_list(
    "auto_chapters auto_highlights content_safety custom_topics disfluencies dual_channel "
    "entity_detection filter_profanity format_text iab_categories language_detection multichannel "
    "punctuate redact_pii redact_pii_audio redact_pii_return_unredacted sentiment_analysis speaker_labels "
    "speed_boost summarization"
)
_TEXTS = word_list(
    "audio_url domain language_code prompt speech_model webhook_auth_header_name "
    "webhook_auth_header_value webhook_url"
)

CHECKS: dict[str, Check] = {
    **dict.fromkeys(_BOOLEANS, _boolean),
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(
        ("keyterms_prompt", "language_codes", "redact_pii_policies", "speech_models", "topics"), _texts
    ),
    **dict.fromkeys(("audio_start_from", "audio_end_at"), _integer(0)),
    **dict.fromkeys(("language_confidence_threshold", "speech_threshold", "temperature"), _fraction),
    "keyterms_prompt_options": _object,
    "language_detection_options": _object,
    "language_detection_results": _object,
    "redact_pii_audio_options": _object,
    "speaker_options": _object,
    "speech_understanding": _object,
    "word_boost": _texts,
    "boost_param": _one_of("low", "default", "high"),
    "content_safety_confidence": _integer(25, 100),
    "custom_spelling": _spellings,
    "redact_pii_audio_quality": _one_of("mp3", "wav"),
    "redact_pii_sub": _one_of("hash", "entity_name"),
    "redact_static_entities": _object,
    "remove_audio_tags": _one_of("all"),
    "speakers_expected": _integer(1),
    "summary_model": _one_of("informative", "conversational", "catchy"),
    "summary_type": _one_of("bullets", "bullets_verbose", "gist", "headline", "paragraph"),
}
"""Every request field that is known, and what its value must be; null is always allowed but for
`audio_url`.
"""

MODELS = {
    "universal-3-5-pro": "universal-3-5-pro",
    "universal-3-pro": "universal-3-pro",
    "universal-2": "universal-2",
    "best": "universal-3-pro",
    "slam-1": "universal-3-pro",
    "universal": "universal-2",
    "nano": "universal-2",
}
"""Model names that are taken, and the model that then runs (old names stand for their successors)."""

_UNIVERSAL_3_LANGUAGES = ("en", "es", "pt", "fr", "de", "it")
_NO_SPEAKER_LABELS = ("haw", "la", "mi", "sa", "sn", "so", "su", "yi", "yo")
_ENGLISH_ONLY = ("auto_chapters", "summarization", "sentiment_analysis", "auto_highlights")
_FORMATS = {"date": "date", "phone_number": "phone_number", "email": "email_address"}


def refusal(body: Any, more_models: Container[str] = (), more_options: Container[str] = ()) -> str | None:
    """Why AssemblyAI would not take this request body (status 400), or None when it would.

    `more_models` are names of models beside `MODELS`, `more_options` fields beside `CHECKS`, true or false.
    """
    if not isinstance(body, dict) or not isinstance(body.get("audio_url"), str):
        return SCHEMA
    for name, value in body.items():
        check = CHECKS.get(name) or (_boolean if name in more_options else None)
        if check is None or (value is not None and not check(value)):
            return SCHEMA
    if not re.match(r"https?://[^\s/]+", body["audio_url"]):
        return "Transcript creation error, audio_url should start with http"
    if reason := next((text for rule in _RULES if (text := rule(body))), None):
        return reason
    return SCHEMA if model_that_runs(body, more_models) is None else None


def understanding(body: dict[str, Any]) -> dict[str, Any]:
    """The `speech_understanding.request` object of a request, empty when there is none."""
    request = (body.get("speech_understanding") or {}).get("request")
    return request if isinstance(request, dict) else {}


def model_that_runs(body: dict[str, Any], more_models: Container[str] = ()) -> str | None:
    """The model that transcribes this request; None when none of the named ones exists.

    Beside `MODELS`, each of `more_models` exists and runs under its own name. `speech_models` is an order of
    preference. Chapters, summaries and `word_boost` exist on universal-2 only, and so do languages that
    Universal-3 does not speak: those requests are silently routed to it.
    """
    names = body.get("speech_models") or (
        [body["speech_model"]] if body.get("speech_model") else ["universal-3-5-pro"]
    )
    known = [MODELS.get(name, name) for name in names if name in MODELS or name in more_models]
    if not known:
        return None
    language = str(body.get("language_code") or "en")[:2]
    only_2 = body.get("auto_chapters") or body.get("summarization") or body.get("word_boost")
    return "universal-2" if only_2 or language not in _UNIVERSAL_3_LANGUAGES else known[0]


def _speakers(body: dict[str, Any]) -> str | None:
    if body.get("speakers_expected") is not None and body.get("speaker_options") is not None:
        return "Both speaker_options and speakers_expected can not be used in the same request."
    labelled = body.get("speaker_labels") or body.get("multichannel") or body.get("dual_channel")
    if "speaker_identification" in understanding(body) and not labelled:
        return "speaker_labels or multichannel required"
    return None


def _redaction(body: dict[str, Any]) -> str | None:
    if body.get("redact_pii_return_unredacted") and not body.get("redact_pii"):
        return "`redact_pii_return_unredacted` can only be set to True if `redact_pii` is True"
    formatting = understanding(body).get("custom_formatting") or {}
    policies = body.get("redact_pii_policies") or [] if body.get("redact_pii") else []
    clashes = [
        f"redact pii {policy} not compatible with formatting {name}"
        for name, policy in _FORMATS.items()
        if formatting.get(name) and policy in policies
    ]
    return "; ".join(clashes) or None


def _language(body: dict[str, Any]) -> str | None:
    language = str(body.get("language_code") or "en").split("_")[0]
    missing = [name for name in _ENGLISH_ONLY if body.get(name) and language != "en"]
    if body.get("speaker_labels") and language in _NO_SPEAKER_LABELS:
        missing.append("speaker_labels")
    return (
        f"The following models are not available in this language: {', '.join(missing)}" if missing else None
    )


def _summary(body: dict[str, Any]) -> str | None:
    if body.get("auto_chapters") and body.get("summarization"):
        return "Only one of the following models can be enabled at a time: auto_chapters, summarization."
    return None


def _range(body: dict[str, Any]) -> str | None:
    start, end = body.get("audio_start_from") or 0, body.get("audio_end_at")
    return "audio_end_at must be greater than audio_start_from" if end is not None and end <= start else None


_RULES = (_speakers, _redaction, _language, _summary, _range)

"""What a transcription costs.

AssemblyAI documentation, "Pricing": each second of `audio_duration` is charged by the model that ran
(`speech_model_used`), add-ons come on top, both for each channel of a multichannel file, and failed
transcripts are not charged. Exports are free.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aai_gateway.core.costs import FALLBACK, Cost, line_item
from aai_gateway.core.price_book import PriceBook, in_force
from aai_gateway.errors import PriceError

_FLAGS = (
    "speaker_labels",
    "entity_detection",
    "sentiment_analysis",
    "auto_chapters",
    "auto_highlights",
    "iab_categories",
    "summarization",
    "keyterms_prompt",
    "prompt",
    "filter_profanity",
    "redact_pii",
    "redact_pii_audio",
    "content_safety",
)
"""Request fields that are charged when they are true or not empty (AssemblyAI documentation, "Pricing")."""

_CHANNEL_FLAGS = ("multichannel", "dual_channel")


@dataclass(frozen=True, slots=True)
class SpeechJob:
    """An ended transcription as it is charged: `seconds` of one channel, at the prices that hold at `at`."""

    model: str | None
    seconds: int
    channels: int
    addons: tuple[str, ...]
    failed: bool
    at: datetime


def billable_options(request: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a submit body (or of a transcript that echoes it) that decides its cost, as JSON values.

    Small and free of content: a prompt is kept as true or false. A field that is absent or null stays absent.
    """
    options: dict[str, Any] = {
        name: bool(request[name]) for name in (*_FLAGS, *_CHANNEL_FLAGS) if request.get(name) is not None
    }
    if isinstance(request.get("domain"), str):
        options["domain"] = request["domain"]
    if models := _requested_models(request):
        options["speech_models"] = models
    understanding = request.get("speech_understanding")
    tasks = understanding.get("request") if isinstance(understanding, Mapping) else None
    if isinstance(tasks, Mapping):
        options["speech_understanding"] = {"request": {str(task): bool(tasks[task]) for task in tasks}}
    return options


def speech_job_from(
    transcript: Mapping[str, Any], requested: Mapping[str, Any] | None = None, *, at: datetime
) -> SpeechJob:
    """The job in AssemblyAI's body of a transcript that has ended, submitted at `at`.

    `requested` is what `billable_options` kept at submission (or the submit body); it wins over the options
    that the transcript echoes, which deletion empties. Raises PriceError for a transcript that has not ended,
    or that has completed without an `audio_duration`.
    """
    status = transcript.get("status")
    if status not in ("completed", "error"):
        raise PriceError(f"A transcript that is {status} has no cost yet.")
    failed = status == "error"
    options = billable_options(transcript) | billable_options(requested or {})
    models = options.get("speech_models", [])
    used = transcript.get("speech_model_used")
    return SpeechJob(
        model=used if isinstance(used, str) and used else next(iter(models), None),
        seconds=0 if failed else _seconds(transcript.get("audio_duration")),
        channels=_channels(transcript, options),
        addons=tuple(_addons(options)),
        failed=failed,
        at=at,
    )


def price_speech(book: PriceBook, job: SpeechJob) -> Cost:
    """What `job` costs: a line for the model and one for each add-on. A failed job costs nothing."""
    model = job.model or "unknown"
    if job.failed:
        return Cost(items=(), model=model)
    known = book.speech_models.get(book.speech_aliases.get(model, model))
    lines = [(model, known or book.fallback_speech_model)]
    lines += [(addon, book.speech_addons.get(addon, book.fallback_addon)) for addon in job.addons]
    quantity = job.seconds * job.channels
    return Cost(
        items=tuple(
            line_item(name, quantity, "second", in_force(history, job.at).amount) for name, history in lines
        ),
        model=model,
        priced_as=None if known and book.speech_addons.keys() >= set(job.addons) else FALLBACK,
    )


def _requested_models(request: Mapping[str, Any]) -> list[str]:
    """`speech_models` in order of preference, or the deprecated `speech_model`."""
    value = request.get("speech_models") or request.get("speech_model")
    names = value if isinstance(value, list) else [value]
    return [name for name in names if isinstance(name, str) and name]


def _addons(options: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in _FLAGS if options.get(name))
    if options.get("domain") == "medical-v1":
        yield "domain=medical-v1"
    tasks = options.get("speech_understanding", {}).get("request", {})
    yield from (f"speech_understanding.{task}" for task, asked in tasks.items() if asked)


def _channels(transcript: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    """How often each second is charged: once, or for each channel of a multichannel transcript."""
    if not any(options.get(flag) for flag in _CHANNEL_FLAGS):
        return 1
    channels = transcript.get("audio_channels")
    return channels if isinstance(channels, int) and channels > 0 else 1


def _seconds(duration: object) -> int:
    """Whole seconds, a part of one counting as one, as `audio_duration` itself is rounded."""
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 <= duration < math.inf:
        raise PriceError(f"A completed transcript with an audio_duration of {duration!r} cannot be priced.")
    return math.ceil(duration)

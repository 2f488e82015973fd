"""What a transcription costs.

AssemblyAI documentation, "Pricing": each second of `audio_duration` is charged by the model that ran
(`speech_model_used`), add-ons come on top, both for each channel of a multichannel file, and failed
transcripts are not charged. Exports are free.

Nothing that may cost is left out: a model, an understanding task, a `domain` or a switch (an option that is
true) without a price is charged as the price book's fallback. `FREE_OPTIONS` is what is known to be free.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aai_gateway.core.costs import FALLBACK, Cost, LineItem, line_item
from aai_gateway.core.price_book import Price, PriceBook, in_force
from aai_gateway.errors import InvalidRequest, PriceError

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

FREE_OPTIONS = frozenset(
    {
        # Where the audio is, and who is told of the result
        *("audio_url", "audio_start_from", "audio_end_at", "throttled"),
        *("webhook_url", "webhook_auth", "webhook_auth_header_name", "webhook_auth_header_value"),
        # Which model, and how it listens
        *("speech_model", "speech_models", "temperature", "remove_audio_tags", "speech_threshold"),
        *("word_boost", "boost_param", "keyterms_prompt_options", "speed_boost", "language_code"),
        *("language_codes", "language_detection", "language_detection_options"),
        *("language_detection_results", "language_confidence_threshold"),
        # How the text is written
        *("punctuate", "format_text", "disfluencies", "custom_spelling"),
        # Details of options that are charged under their own names
        *("speakers_expected", "speaker_options", "summary_model", "summary_type"),
        *("content_safety_confidence", "topics", "custom_topics", "redact_pii_policies", "redact_pii_sub"),
        *("redact_pii_audio_quality", "redact_pii_audio_options", "redact_pii_return_unredacted"),
        "redact_static_entities",
    }
)
"""Documented fields that cost nothing by themselves: AssemblyAI's "Pricing" has no line for them."""

_KNOWN = FREE_OPTIONS.union(_FLAGS, _CHANNEL_FLAGS, ("domain", "speech_understanding"))
_FREE_DOMAINS = ("", "general")
UNDERSTANDING = "speech_understanding"
"""The request field whose tasks are add-ons; the `model` of what runs these alone."""
_UNKNOWN = "unknown_options"
MOST_NAMES = 100
"""Models, tasks and switches that one request may name: each is priced, and kept for the bill."""
_ODD = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME = 64


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
    Names that are not documented but switched on are kept as `unknown_options`.
    """
    options: dict[str, Any] = {
        name: bool(request[name]) for name in (*_FLAGS, *_CHANNEL_FLAGS) if request.get(name) is not None
    }
    if isinstance(request.get("domain"), str):
        options["domain"] = _tidy(request["domain"])
    if models := _requested_models(request):
        options["speech_models"] = models
    understanding = request.get("speech_understanding")
    tasks = understanding.get("request") if isinstance(understanding, Mapping) else None
    if isinstance(tasks, Mapping):
        asked = {_tidy(task) for task, wanted in tasks.items() if wanted}
        options["speech_understanding"] = {"request": {name: name in asked for name in map(_tidy, tasks)}}
    if unknown := _unknown_options(request):
        options[_UNKNOWN] = unknown
    return options


def require_few_names(options: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for more names than a request can mean, in what `billable_options` kept."""
    tasks = options.get(UNDERSTANDING, {}).get("request", {})
    found = (options.get("speech_models", ()), options.get(_UNKNOWN, ()), tasks)
    if any(len(names) > MOST_NAMES for names in found):
        raise InvalidRequest(f"A request may name at most {MOST_NAMES} models, tasks or options.")


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
    # Only a request has options that are unknown: an answer has fields of its own.
    echoed = {name: value for name, value in billable_options(transcript).items() if name != _UNKNOWN}
    options = echoed | billable_options(requested or {})
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
    quantity = job.seconds * job.channels
    known = book.speech_models.get(book.speech_aliases.get(model, model))
    return _cost(
        model,
        _line(model, known, book.fallback_speech_model, quantity, job.at),
        *_addon_lines(book, job.addons, quantity, job.at),
    )


def understanding_addons(request: Mapping[str, Any]) -> tuple[str, ...]:
    """The add-ons that the tasks of a `speech_understanding.request` are: each that is not null or false."""
    tasks = {_tidy(task) for task, wanted in request.items() if wanted is not None and wanted is not False}
    return tuple(f"{UNDERSTANDING}.{task}" for task in sorted(tasks))


def price_understanding(book: PriceBook, addons: Sequence[str], seconds: int, *, at: datetime) -> Cost:
    """What it costs to run add-ons on a transcript that is there already: as inline, without the model.

    `seconds` are those of all channels. An assumption: AssemblyAI publishes the prices of these add-ons
    (AssemblyAI documentation, "Pricing"), and not whether `/v1/understanding` charges the same.
    """
    return _cost(UNDERSTANDING, *_addon_lines(book, addons, seconds, at))


def _cost(model: str, *items: LineItem) -> Cost:
    priced_as = FALLBACK if any(item.fallback for item in items) else None
    return Cost(items=items, model=model, priced_as=priced_as)


def _addon_lines(book: PriceBook, addons: Sequence[str], seconds: int, at: datetime) -> Iterator[LineItem]:
    for addon in addons:
        yield _line(addon, book.speech_addons.get(addon), book.fallback_addon, seconds, at)


def _line(
    name: str, history: tuple[Price, ...] | None, fallback: tuple[Price, ...], seconds: int, at: datetime
) -> LineItem:
    price = in_force(history or fallback, at).amount
    return line_item(name, seconds, "second", price, fallback=history is None)


def _requested_models(request: Mapping[str, Any]) -> list[str]:
    """`speech_models` in order of preference, or the deprecated `speech_model`."""
    value = request.get("speech_models") or request.get("speech_model")
    names = value if isinstance(value, list) else [value]
    return [name for name in names if isinstance(name, str) and name]


def _unknown_options(request: Mapping[str, Any]) -> list[str]:
    """Names of switches that no documentation has, and of those that were found in it before."""
    found = request.get(_UNKNOWN)
    names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
    names += [name for name, value in request.items() if value is True and name not in _KNOWN]
    return sorted(set(map(_tidy, names)) - _KNOWN)


def _tidy(name: str) -> str:
    """A name that a client chose, as it may stand on a bill."""
    return _ODD.sub("_", name)[:_LONGEST_NAME]


def _addons(options: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in _FLAGS if options.get(name))
    if (domain := options.get("domain", "")) not in _FREE_DOMAINS:
        yield f"domain={domain}"
    tasks = options.get("speech_understanding", {}).get("request", {})
    yield from (f"{UNDERSTANDING}.{task}" for task, asked in tasks.items() if asked)
    yield from options.get(_UNKNOWN, ())


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

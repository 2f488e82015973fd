"""What a speech job is likely to cost, before it runs: the sum that is held for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aai_gateway.core.prices import Cost, PriceBook, price_speech, speech_job_from

_CHANNELS = 2
"""What a multichannel file is taken to have when nobody has looked into it."""


@dataclass(frozen=True, slots=True)
class Length:
    """How long a job's audio is: whole seconds of one channel, and how many channels there are."""

    seconds: int
    channels: int | None = None


def likely_speech_cost(
    book: PriceBook, requested: Mapping[str, Any], length: Length, *, at: datetime
) -> Cost:
    """The cost of a job with the options that `billable_options` kept, by the dearest model it may run.

    `speech_models` is a list in order of preference, and which of them runs is known only at the end
    (AssemblyAI documentation, "Speech models").
    """
    transcript = {
        "status": "completed",
        "audio_duration": length.seconds,
        "audio_channels": length.channels or _CHANNELS,
    }
    models = requested.get("speech_models") or [None]
    costs = [
        price_speech(book, speech_job_from({**transcript, "speech_model_used": model}, requested, at=at))
        for model in models
    ]
    return max(costs, key=lambda cost: cost.micros)

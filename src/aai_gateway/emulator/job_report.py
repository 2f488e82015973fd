"""What a test reads of a job: its state, and what it was charged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aai_gateway.emulator.invoice import Invoice
from aai_gateway.emulator.world import Job, Status


@dataclass(frozen=True, slots=True)
class JobReport:
    """One job. What clients do not see any more of a deleted one, such as its `audio_url`, is still here."""

    id: str
    region: str
    audio_url: str
    created: datetime
    completed: datetime | None
    status: Status
    deleted: bool
    error: str | None
    speech_model_used: str | None
    audio_duration: int | None
    """Whole seconds, rounded up, of one channel; None until completed."""
    audio_channels: int | None
    micros: int
    """What it was charged in micro-dollars."""


def report(region: str, job: Job, invoice: Invoice) -> JobReport:
    """The report of one job of `region`."""
    measures: dict[str, Any] = job.measures
    return JobReport(
        id=job.id,
        region=region,
        audio_url=job.request["audio_url"],
        created=job.created,
        completed=job.completed,
        status=job.status,
        deleted=job.deleted,
        error=job.error,
        speech_model_used=measures.get("speech_model_used"),
        audio_duration=measures.get("audio_duration"),
        audio_channels=measures.get("audio_channels"),
        micros=invoice.micros_of("speech", region, job.id),
    )

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from aai_gateway.core.matching import DELETED_URL, Listed
from aai_gateway.core.prices import price_speech, speech_job_from
from aai_gateway.core.reconciling import (
    Booked,
    cost_of,
    different,
    extra,
    figures_of,
    missing,
    other_status,
)
from aai_gateway.price_book import load_price_book

BOOK = load_price_book()
AT = datetime(2026, 11, 20, tzinfo=timezone.utc)
JOB = Listed("j", "completed", "https://example.com/a.mp3", AT)
HOUR: dict[str, Any] = {
    "id": "j",
    "status": "completed",
    "audio_url": "https://example.com/a.mp3",
    "audio_duration": 3600,
    "speech_model_used": "universal-2",
    "speaker_labels": True,
    "words": [{"text": "fox"}] * 1000,
    "text": "fox " * 1000,
}


def booked(transcript: dict[str, Any] = HOUR, **changes: Any) -> Booked:
    """The job as the settler books such a transcript."""
    job = speech_job_from(transcript, changes.get("requested"), at=AT)
    cost = price_speech(BOOK, job)
    items = [
        {"name": i.name, "quantity": i.quantity, "unit_price": str(i.unit_price), "micros": i.micros}
        for i in cost.items
    ]
    values = {
        "team_id": "t1",
        "status": transcript["status"],
        "micros": cost.micros,
        "audio_seconds": job.seconds,
        "channels": job.channels,
        "items": items,
    }
    return replace(Booked("j", AT), **{**values, **changes})


def why(here: Booked, **there: Any) -> str | None:
    found = different(JOB, here, figures_of({**HOUR, **there}), BOOK)
    return None if found is None else found.why


def test_figures_are_small_and_cost_what_the_transcript_costs():
    figures = figures_of({**HOUR, "prompt": "a fox", "multichannel": True, "audio_channels": 2})
    whole = speech_job_from({**HOUR, "prompt": "a fox", "multichannel": True, "audio_channels": 2}, at=AT)
    assert price_speech(BOOK, whole) == cost_of(BOOK, figures, {}, at=AT)
    assert len(str(figures)) < 1000


def test_a_job_that_is_booked_by_its_figures_agrees():
    assert None is why(booked())
    assert None is why(booked(requested={"speaker_labels": True}), speaker_labels=None)
    failed = {**HOUR, "status": "error", "audio_duration": None}
    assert None is different(JOB, booked(failed), figures_of(failed), BOOK)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"audio_duration": 3000}, "universal-2: 3000 s, booked 3600 s"),
        ({"speech_model_used": "universal-3-pro"}, "universal-3-pro is not booked"),
        ({"speaker_labels": False}, "speaker_labels is booked, AssemblyAI has it not"),
        ({"summarization": True}, "summarization is not booked"),
        ({"multichannel": True, "audio_channels": 2}, "universal-2: 7200 s, booked 3600 s"),
        ({"status": "error"}, "universal-2 is booked, AssemblyAI has it not"),
        ({"audio_duration": None}, "universal-2 is booked, AssemblyAI has it not"),
    ],
)
def test_what_assemblyai_says_goes_before_what_was_requested(there: dict[str, Any], expected: str):
    found = why(booked(requested={"speaker_labels": True}), **there)
    assert found is not None and expected in found


def test_a_row_at_another_price_says_so():
    [model, labels] = booked().items
    cheaper = replace(booked(), items=[{**model, "unit_price": "0.10"}, labels], micros=120_000)
    assert "universal-2: $0.15 an hour by the price book, booked at $0.10" == why(cheaper)
    found = different(JOB, cheaper, figures_of(HOUR), BOOK)
    assert found is not None and (120_000, 170_000, 50_000) == (
        found.booked_micros,
        found.actual_micros,
        found.difference,
    )


def test_of_a_deleted_job_the_length_alone_is_compared():
    left = {"status": "completed", "audio_url": DELETED_URL, "audio_duration": 3600}
    gone = figures_of(left)
    assert gone.deleted
    assert None is different(JOB, booked(), gone, BOOK)
    assert None is different(JOB, booked(), figures_of({**left, "audio_duration": None}), BOOK)
    found = different(JOB, booked(), figures_of({**left, "audio_duration": 1800}), BOOK)
    assert found is not None
    assert ("1800 s of audio, booked 3600 s", 85_000) == (found.why, found.actual_micros)


def test_what_is_missing_is_said_with_its_cost():
    cost = cost_of(BOOK, figures_of(HOUR), {}, at=AT)
    found = missing(JOB, None, "t1", cost, asked=True)
    assert ("missing", "completed, no row here", "t1", 170_000) == (
        found.kind,
        found.why,
        found.team_id,
        found.difference,
    )
    assert "completed, never booked" == missing(JOB, Booked("j", AT), "t1", cost, asked=True).why
    unknown = Booked("j", AT, status="unknown")
    assert "completed, booked as unknown" == missing(JOB, unknown, "t1", cost, asked=True).why
    assert None is missing(JOB, None, None, None, asked=False).difference
    # Completed without a length: the settler books nothing either.
    assert 0 == missing(JOB, None, None, None, asked=True).difference


def test_a_job_counts_once_it_is_booked_as_what_it_was():
    assert [False, False, True, True] == [
        Booked("j", AT, status=status).counts for status in (None, "unknown", "error", "completed")
    ]


def test_the_list_alone_tells_of_another_end():
    assert None is other_status(JOB, booked())
    found = other_status(replace(JOB, status="error"), booked())
    assert found is not None
    assert ("error, booked as completed", None) == (found.why, found.difference)


def test_what_assemblyai_does_not_have_costs_nothing():
    assert ("extra", -170_000) == (extra(booked()).kind, extra(booked()).difference)

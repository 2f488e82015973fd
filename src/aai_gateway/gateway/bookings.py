"""The usage rows that the ledger books: of jobs and completions, ended and lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aai_gateway.core.attribution import Attribution
from aai_gateway.core.prices import Cost, PriceBook, SpeechJob, TokenUsage, price_speech, speech_job_from
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.errors import PriceError
from aai_gateway.store.holds import Hold
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")


def job_row(row: Transcript, transcript: Mapping[str, Any], book: PriceBook, now: datetime) -> UsageRow:
    """A job that has ended, from AssemblyAI's body of it, at the prices of its submission."""
    cost, job = _priced(book, row, transcript)
    return UsageRow(
        service="speech",
        source_id=row.id,
        region=row.region,
        owner=row.owner,
        team_id=row.team_id,
        key_hash=row.key_hash,
        model=cost.model,
        priced_as=cost.priced_as,
        status="error" if transcript["status"] == "error" else "completed",
        micros=cost.micros,
        items=_items(cost),
        audio_seconds=job.seconds if job else 0,
        channels=job.channels if job else 1,
        tags=row.tags,
        end_user=row.end_user,
        created_at=now,
        priced_at=row.created_at,
    )


def completion_row(
    caller: Caller,
    region: Region,
    completion_id: str,
    cost: Cost,
    tokens: TokenUsage,
    attribution: Attribution,
    now: datetime,
) -> UsageRow:
    """A completion that was answered."""
    return UsageRow(
        service="chat",
        source_id=completion_id,
        region=region,
        owner=caller.owner,
        team_id=caller.team_id,
        key_hash=caller.key_hash,
        model=cost.model,
        priced_as=cost.priced_as,
        micros=cost.micros,
        items=_items(cost),
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        tags=attribution.tags,
        end_user=attribution.end_user,
        created_at=now,
    )


def understanding_row(hold: Hold, cost: Cost, *, seconds: int, channels: int, now: datetime) -> UsageRow:
    """Speech understanding that was answered, of so many seconds and channels of audio, by its hold."""
    return UsageRow(
        service="understanding",
        source_id=hold.id,
        region=hold.region,
        owner=hold.owner,
        team_id=hold.team_id,
        key_hash=hold.key_hash,
        model=cost.model,
        priced_as=cost.priced_as,
        micros=cost.micros,
        items=_items(cost),
        audio_seconds=seconds,
        channels=channels,
        tags=hold.tags,
        end_user=hold.end_user,
        created_at=now,
        priced_at=hold.created_at,
    )


def lost_request_row(hold: Hold, now: datetime) -> UsageRow:
    """A completion or speech understanding whose answer never came, with what it could have cost at most."""
    unit = "completion" if hold.service == "chat" else "request"
    return UsageRow(
        service=hold.service,
        source_id=hold.id,
        region=hold.region,
        owner=hold.owner,
        team_id=hold.team_id,
        key_hash=hold.key_hash,
        model=hold.model,
        status="unknown",
        micros=0,
        items=(_unknown_outcome(unit, hold.micros),),
        tags=hold.tags,
        end_user=hold.end_user,
        created_at=now,
        priced_at=hold.created_at,
    )


def lost_job_row(row: Transcript, held: Hold | None, now: datetime) -> UsageRow:
    """A job that AssemblyAI does not know any more, with what was held for it."""
    return UsageRow(
        service="speech",
        source_id=row.id,
        region=row.region,
        owner=row.owner,
        team_id=row.team_id,
        key_hash=row.key_hash,
        status="unknown",
        micros=0,
        items=(_unknown_outcome("transcript", held.micros if held else 0),),
        tags=row.tags,
        end_user=row.end_user,
        created_at=now,
        priced_at=row.created_at,
    )


def _priced(book: PriceBook, row: Transcript, transcript: Mapping[str, Any]) -> tuple[Cost, SpeechJob | None]:
    try:
        job = speech_job_from(transcript, row.requested, at=row.created_at)
    except PriceError as error:
        # Completed without a length: booked at nothing and flagged, so that it is seen and not retried.
        log.error("transcript %s cannot be priced: %s", row.id, error)
        return Cost(items=(), model="unknown", priced_as="unpriced"), None
    cost = price_speech(book, job)
    if cost.priced_as is not None:
        log.warning("transcript %s used a model or add-on without a price: %s", row.id, cost.model)
    return cost, job


def _unknown_outcome(unit: str, held_micros: int) -> dict[str, Any]:
    return {
        "name": "unknown_outcome",
        "quantity": 1,
        "unit": unit,
        "unit_price": "0",
        "micros": 0,
        "held_micros": held_micros,
    }


def _items(cost: Cost) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "name": item.name,
            "quantity": item.quantity,
            "unit": item.unit,
            "unit_price": str(item.unit_price),
            "micros": item.micros,
            **({"fallback": True} if item.fallback else {}),
        }
        for item in cost.items
    )

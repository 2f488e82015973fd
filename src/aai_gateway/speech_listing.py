"""The transcripts that a key can read: the gateway lists a team's own, and knows no other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

import assemblyai as aai
from assemblyai.prerecorded.v2 import api

from aai_gateway.core.moments import from_iso
from aai_gateway.readable import DELETED_URL
from aai_gateway.speech import call

PAGE = 200
"""The most that AssemblyAI lists at a time."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A completed transcript as a list names it; `created_at` in UTC."""

    id: str
    created_at: datetime


def completed(client: aai.Client) -> Iterator[Listed]:
    """The completed transcripts of the client's region, newest first, without those that were deleted.

    Raises Refused and UpstreamFailed.
    """
    before: str | None = None
    while True:
        params = aai.ListTranscriptParameters(
            limit=PAGE, before_id=before, status=aai.TranscriptStatus.completed
        )
        page = call(client, partial(api.list_transcripts, client.http_client, params))
        for one in page.transcripts:
            if one.audio_url != DELETED_URL:
                yield Listed(str(one.id), _utc(one.created))
        if len(page.transcripts) < PAGE:
            return
        before = str(page.transcripts[-1].id)


def created_at(client: aai.Client, transcript_ids: Collection[str]) -> dict[str, datetime]:
    """When transcripts were made, as far as the list has them. Raises Refused and UpstreamFailed."""
    wanted = set(transcript_ids)
    found: dict[str, datetime] = {}
    if wanted:
        for one in completed(client):
            if one.id in wanted:
                found[one.id] = one.created_at
                if len(found) == len(wanted):
                    break
    return found


def _utc(text: str) -> datetime:
    moment = from_iso(text)
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)

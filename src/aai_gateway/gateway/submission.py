"""Submitting a job: an intent before AssemblyAI hears of it, a transcript row before the client does.

Whatever dies in between, the store holds enough to find the job again: an accepted job is never free, and
never nobody's.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.prices import billable_options
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller, is_upload_url
from aai_gateway.errors import InvalidRequest, Refused
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.gateway.wire import parse_json_object
from aai_gateway.store import Store, intents, transcripts, uploads

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes that a submission, or AssemblyAI's answer to one, may have."""


async def submit(
    store: Store,
    upstream: Upstream,
    caller: Caller,
    region: Region,
    *,
    headers: dict[str, str],
    query: str,
    body: bytes,
    settle_after: float,
) -> tuple[int, tuple[tuple[bytes, bytes], ...], bytes]:
    """Forward one submission as it was sent; the status, headers and body of AssemblyAI's answer.

    `settle_after` is the seconds until the settler looks at the job. Raises InvalidRequest for a body that
    cannot be owned or priced, Refused for another team's upload, and UpstreamFailed.
    """
    request = parse_json_object(body)
    audio_url = request.get("audio_url")
    if not isinstance(audio_url, str) or not audio_url.strip():
        raise InvalidRequest("audio_url is required and must be a string.")
    await _require_audio(store, caller, region, audio_url)
    intent = _intent(caller, region, audio_url, request)
    async with store.write() as connection:
        await intents.open(connection, intent)
    headers["content-type"] = "application/json"
    # Should no clear answer arrive, AssemblyAI may have the job all the same: the intent stays open, and the
    # settler looks for it.
    async with upstream.request(
        region, "POST", "/v2/transcript", headers=headers, query=query, body=body
    ) as response:
        answer = await response.read()
        accepted = _accepted(response.status, answer)
        async with store.write() as connection:
            if accepted is None and response.status < 500:
                await intents.close(connection, intent.id, "refused")
            elif accepted is not None:
                await record_accepted(connection, intent, accepted, settle_after)
        return response.status, response.raw_headers, answer


async def record_accepted(
    connection: Any, intent: intents.Intent, accepted: Mapping[str, Any], settle_after: float
) -> None:
    """Make the intent's transcript row from AssemblyAI's answer (or list item), in one transaction."""
    now = utc_now()
    await intents.accept(connection, intent.id, accepted["id"])
    await transcripts.record(
        connection,
        transcripts.Transcript(
            id=accepted["id"],
            region=intent.region,
            owner=intent.owner,
            team_id=intent.team_id,
            key_hash=intent.key_hash,
            intent_id=intent.id,
            audio_url=intent.audio_url,
            requested=intent.requested,
            status=str(accepted.get("status") or "queued"),
            throttled=accepted.get("throttled") is True,
            created_at=intent.created_at,
            next_check_at=now + timedelta(seconds=settle_after),
        ),
    )


async def _require_audio(store: Store, caller: Caller, region: Region, audio_url: str) -> None:
    """An upload may be transcribed by its owner, a public URL by anyone."""
    if not is_upload_url(audio_url) or caller.is_admin:
        return
    async with store.read() as connection:
        owner = await uploads.owner_of(connection, region, audio_url)
    if owner != caller.owner:
        # The text that AssemblyAI gives for another project's upload.
        raise Refused("Cannot access uploaded file", status=403)


def _intent(caller: Caller, region: Region, audio_url: str, request: Mapping[str, Any]) -> intents.Intent:
    return intents.Intent(
        id=uuid.uuid4().hex,
        region=region,
        owner=caller.owner,
        team_id=caller.team_id,
        key_hash=caller.key_hash,
        audio_url=audio_url,
        requested=billable_options(request),
        created_at=utc_now(),
    )


def _accepted(status: int, answer: bytes) -> dict[str, Any] | None:
    if status != 200:
        return None
    try:
        transcript = orjson.loads(answer)
    except ValueError:
        return None
    if isinstance(transcript, dict) and isinstance(transcript.get("id"), str):
        return transcript
    return None

"""Submitting a job: intent and hold before AssemblyAI hears of it, a transcript row before the client does.

Whatever dies in between, the store holds enough to find the job again: an accepted job is never free, and
never nobody's.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from aai_gateway.core.attribution import Attribution
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.estimates import Length, likely_speech_cost
from aai_gateway.core.prices import billable_options, require_few_names
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller, is_upload_url, owns
from aai_gateway.errors import InvalidRequest, Refused, UpstreamFailed
from aai_gateway.gateway.fair_queue import JobTurns
from aai_gateway.gateway.observing import current
from aai_gateway.gateway.prices import Prices
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.gateway.webhook_requests import taken_over
from aai_gateway.gateway.webhook_secrets import WebhookSecrets
from aai_gateway.gateway.wire import parse_json_object
from aai_gateway.settings import Settings
from aai_gateway.store import Store, holds, intents, transcripts, uploads, webhooks
from aai_gateway.store.holds import Hold, Room
from aai_gateway.store.webhooks import Webhook

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes that a submission, or AssemblyAI's answer to one, may have."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """AssemblyAI's answer to a submission, what is held for the job (micro-dollars), and what is left.

    `webhook` is the team's own, where the gateway's callback stands in its place.
    """

    status: int
    raw_headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    held_micros: int
    room: Room
    webhook: Webhook | None = None


class Submissions:
    """Submits jobs, each in a task of its own: a client that leaves does not stop the record of its job."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        upstream: Upstream,
        prices: Prices,
        secrets: WebhookSecrets | None = None,
    ) -> None:
        """`secrets` are the webhooks'; without them a webhook goes to AssemblyAI as it came."""
        self._settings = settings
        self._store = store
        self._upstream = upstream
        self._prices = prices
        self.turns = JobTurns(store, settings.account_concurrent_jobs, settings.queue_timeout)
        """Who submits while all of the account's jobs run waits for its turn."""
        self._secrets = secrets
        self._under_way: set[asyncio.Task[Submitted]] = set()

    async def submit(
        self,
        caller: Caller,
        region: Region,
        *,
        headers: dict[str, str],
        query: str,
        body: bytes,
        attribution: Attribution,
    ) -> Submitted:
        """Forward one submission as it was sent, but for its webhook.

        Raises InvalidRequest for a body that cannot be owned, priced or told of, Refused for another team's
        upload, BudgetExceeded when its likely cost is not left, TooManyRequests when no further job may run
        at once (AccountBusy: none of the account's), and UpstreamFailed.
        """
        request = parse_json_object(body)
        audio_url = request.get("audio_url")
        if not isinstance(audio_url, str) or not audio_url.strip():
            raise InvalidRequest("audio_url is required and must be a string.")
        if "\0" in audio_url:
            raise InvalidRequest("audio_url may not contain NUL.")
        headers["content-type"] = "application/json"
        intent = _intent(caller, region, audio_url, request, attribution)
        require_few_names(intent.requested)
        webhook, body = taken_over(self._settings, self._secrets, intent, request, body)
        # The job costs money from the moment AssemblyAI has it.
        task = asyncio.ensure_future(self._submit(caller, intent, webhook, headers, query, body))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait until no submission is under way; each ends by itself within its deadline."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _submit(
        self,
        caller: Caller,
        intent: intents.Intent,
        webhook: Webhook | None,
        headers: dict[str, str],
        query: str,
        body: bytes,
    ) -> Submitted:
        length = await self._length(caller, intent)
        hold, room = await self._hold(intent, length, webhook)
        try:
            # Given up before the settler looks for it: what it finds then is not under way any more.
            async with self._upstream.request(
                intent.region,
                "POST",
                "/v2/transcript",
                headers=headers,
                query=query,
                body=body,
                deadline=self._settings.recover_after * 0.75,
            ) as response:
                with current().waiting():
                    answer = await response.read()
        except UpstreamFailed as error:
            # Without a clear answer AssemblyAI may have the job: intent and hold stay, and the settler looks.
            if not error.sent:
                await self._refused(intent)
            raise
        accepted = _accepted(response.status, answer)
        if accepted is not None:
            async with self._store.write() as connection:
                await record_accepted(connection, intent, accepted, self._settings.settle_after)
        elif response.status < 500:
            await self._refused(intent)
        return Submitted(response.status, response.raw_headers, answer, hold.micros, room, webhook)

    async def _length(self, caller: Caller, intent: intents.Intent) -> Length:
        """How long the audio is: known of an upload that went by, assumed of a public URL.

        Raises Refused: an upload may be transcribed by its owner alone.
        """
        assumed = Length(self._settings.assumed_audio_seconds)
        if not is_upload_url(intent.audio_url):
            return assumed
        async with self._store.read() as connection:
            upload = await uploads.get(connection, intent.region, intent.audio_url)
        if not owns(caller, upload.owner if upload else None, upload.key_hash if upload else None):
            # The text that AssemblyAI gives for another project's upload.
            raise Refused("Cannot access uploaded file", status=403)
        if upload is None or upload.duration_ms is None:
            return assumed
        return Length(-(-upload.duration_ms // 1000), upload.channels)

    async def _hold(
        self, intent: intents.Intent, length: Length, webhook: Webhook | None
    ) -> tuple[Hold, Room]:
        """Intent, hold and webhook on disk, at once: from now on the job cannot be lost.

        Raises BudgetExceeded, TooManyRequests.
        """
        async with self._store.write() as connection:
            book = await self._prices.book(connection)
            cost = likely_speech_cost(book, intent.requested, length, at=intent.created_at)
            hold = Hold(
                id=intent.id,
                service="speech",
                region=intent.region,
                owner=intent.owner,
                team_id=intent.team_id,
                key_hash=intent.key_hash,
                model=cost.model,
                micros=cost.micros,
                tags=intent.tags,
                end_user=intent.end_user,
                created_at=intent.created_at,
                expires_at=intent.created_at + timedelta(seconds=self._settings.hold_expiry),
            )
            most = self._settings.account_concurrent_jobs
            room = await holds.place(connection, hold, account_jobs=most)
            await intents.open(connection, intent)
            if webhook is not None:
                await webhooks.add(connection, webhook)
        return hold, room

    async def _refused(self, intent: intents.Intent) -> None:
        async with self._store.write() as connection:
            await intents.close(connection, intent.id, "refused")
            await webhooks.forget(connection, intent.id)
            await holds.release(connection, intent.id, utc_now())


async def record_accepted(
    connection: Any, intent: intents.Intent, accepted: Mapping[str, Any], settle_after: float
) -> bool:
    """Make the intent's transcript row from AssemblyAI's answer (or list item), in one transaction.

    False, and no change, when the job has a row already: it is its first owner's.
    """
    now = utc_now()
    new = await transcripts.record(
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
            tags=intent.tags,
            end_user=intent.end_user,
        ),
    )
    if new:
        await intents.accept(connection, intent.id, accepted["id"])
    return new


def _intent(
    caller: Caller, region: Region, audio_url: str, request: Mapping[str, Any], attribution: Attribution
) -> intents.Intent:
    return intents.Intent(
        id=uuid.uuid4().hex,
        region=region,
        owner=caller.owner,
        team_id=caller.team_id,
        key_hash=caller.key_hash,
        audio_url=audio_url,
        requested=billable_options(request),
        tags=attribution.tags,
        end_user=attribution.end_user,
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

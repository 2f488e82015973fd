"""From AssemblyAI's answers to usage rows: each job and completion is booked once, with its line items."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.core.prices import Cost, PriceBook, TokenUsage, price_chat, price_speech, speech_job_from
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import NotFound, PriceError, UpstreamFailed
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.store import Store, transcripts, usage
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
"""Waits of the settler between two looks at a job, growing from the first to the longest."""


def back_off(attempts: int, factor: float) -> timedelta:
    """How long to wait after so many looks, `factor` times longer each time, within bounds."""
    return min(FIRST_WAIT * factor ** min(attempts, 20), LONGEST_WAIT)


class Ledger:
    """Books what transcripts and completions cost."""

    def __init__(self, store: Store, upstream: Upstream, prices: PriceBook) -> None:
        self._store = store
        self._upstream = upstream
        self._prices = prices

    async def settle_body(self, row: Transcript, body: bytes) -> bool:
        """Settle `row` if this transcript body says that the job has ended; whether it is settled now."""
        try:
            transcript = orjson.loads(body)
        except ValueError:
            return False
        if not isinstance(transcript, dict) or transcript.get("id") != row.id:
            return False
        if transcript.get("status") not in ("completed", "error"):
            return False
        await self.settle(row, transcript)
        return True

    async def settle(self, row: Transcript, transcript: Mapping[str, Any]) -> None:
        """Book an ended job: one usage row, the charge to team and key, and the settled mark, at once."""
        cost, seconds, channels = self._price(row, transcript)
        now = utc_now()
        error = transcript.get("error")
        async with self._store.write() as connection:
            booked = await usage.record(
                connection,
                usage.UsageRow(
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
                    audio_seconds=seconds,
                    channels=channels,
                    created_at=now,
                ),
            )
            await transcripts.mark_status(
                connection,
                row.region,
                row.id,
                str(transcript["status"]),
                completed_at=now,
                error=str(error) if error else None,
            )
            await transcripts.mark_settled(connection, row.region, row.id, now)
        if booked:
            log.info("settled transcript %s of %s: %s", row.id, row.owner, dollars(cost.micros))

    async def settle_now(self, row: Transcript) -> bool:
        """Ask AssemblyAI how a job stands and settle it if it has ended; whether it is settled.

        Raises UpstreamFailed.
        """
        headers = self._upstream.headers(row.region)
        async with self._upstream.request(
            row.region, "GET", f"/v2/transcript/{row.id}", headers=headers
        ) as response:
            body = await response.read()
            if response.status == 400 and NotFound().text.encode() in body:
                await self._settle_vanished(row)
                return True
            if response.status != 200:
                raise UpstreamFailed(f"AssemblyAI answered {response.status}.", status=502)
        if await self.settle_body(row, body):
            return True
        await self._note_status(row, body)
        return False

    async def book_chat(
        self,
        caller: Caller,
        region: Region,
        *,
        completion_id: str,
        model: str,
        tokens: TokenUsage,
        global_region: bool,
        tags: tuple[str, ...] = (),
        end_user: str | None = None,
    ) -> Cost:
        """Book a completion by its LiteLLM call id; a second booking changes nothing."""
        now = utc_now()
        cost = price_chat(self._prices, region, model, tokens, global_region=global_region, at=now)
        async with self._store.write() as connection:
            await usage.record(
                connection,
                usage.UsageRow(
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
                    tags=tags,
                    end_user=end_user,
                    created_at=now,
                ),
            )
        return cost

    def _price(self, row: Transcript, transcript: Mapping[str, Any]) -> tuple[Cost, int, int]:
        try:
            job = speech_job_from(transcript, row.requested, at=row.created_at)
        except PriceError as error:
            # Completed without a length: booked at nothing and flagged, so that it is seen and not retried.
            log.error("transcript %s cannot be priced: %s", row.id, error)
            return Cost(items=(), model="unknown", priced_as="unpriced"), 0, 1
        cost = price_speech(self._prices, job)
        if cost.priced_as is not None:
            log.warning("transcript %s used a model or add-on without a price: %s", row.id, cost.model)
        return cost, job.seconds, job.channels

    async def _settle_vanished(self, row: Transcript) -> None:
        """A job that AssemblyAI no longer knows was deleted elsewhere: what it cost can no longer be read."""
        log.error("transcript %s is gone at AssemblyAI before it was settled", row.id)
        await self.settle(row, {"status": "error", "error": "The transcript is gone at AssemblyAI."})

    async def _note_status(self, row: Transcript, body: bytes) -> None:
        """Keep the list's status fresh and put the next look further away."""
        transcript = orjson.loads(body)
        wait = back_off(row.attempts, 1.5)
        async with self._store.write() as connection:
            await transcripts.mark_status(
                connection,
                row.region,
                row.id,
                str(transcript.get("status") or row.status),
                throttled=transcript.get("throttled") is True,
            )
            await transcripts.postpone(connection, row.region, row.id, utc_now() + wait, row.attempts + 1)


def _items(cost: Cost) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "name": item.name,
            "quantity": item.quantity,
            "unit": item.unit,
            "unit_price": str(item.unit_price),
            "micros": item.micros,
        }
        for item in cost.items
    )

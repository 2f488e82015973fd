"""From AssemblyAI's answers to usage rows: each job and completion is booked once, with its line items."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.attribution import Attribution
from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.core.prices import Cost, TokenUsage, price_chat
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import NotFound, UpstreamFailed
from aai_gateway.gateway.asking import ask
from aai_gateway.gateway.bookings import completion_row, job_row, lost_job_row, lost_request_row
from aai_gateway.gateway.finishing import finished
from aai_gateway.gateway.prices import Prices
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.settings import Settings
from aai_gateway.store import Store, audit_log, holds, intents, transcripts, usage
from aai_gateway.store.holds import Hold, Room
from aai_gateway.store.intents import Intent
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
"""Waits of the settler between two looks at a job, growing from the first to the longest."""

FIRST_PATIENCE = 20.0
LONGEST_PATIENCE = 600.0
"""Seconds that the settler gives an answer at its first look at a job and, doubled each time, at most: so one
that hangs holds up little, and a long transcript on a slow line still comes through."""

LOOKS_FOR_VANISHED = 10
"""Looks after which a job that AssemblyAI does not know is believed to be gone."""

EXPIRED_AT_ONCE = 200
"""Expired holds that one round ends."""


def back_off(attempts: int, factor: float) -> timedelta:
    """How long to wait after so many looks, `factor` times longer each time, within bounds."""
    return min(FIRST_WAIT * factor ** min(attempts, 20), LONGEST_WAIT)


class Ledger:
    """Books what transcripts and completions cost."""

    def __init__(self, settings: Settings, store: Store, upstream: Upstream, prices: Prices) -> None:
        self._settings = settings
        self._store = store
        self._upstream = upstream
        self._prices = prices

    async def settle_body(self, row: Transcript, body: bytes) -> int | None:
        """Settle `row` if this transcript body says that the job has ended; its micro-dollars, else None."""
        try:
            transcript = orjson.loads(body)
        except ValueError:
            return None
        if not isinstance(transcript, dict) or transcript.get("id") != row.id:
            return None
        if transcript.get("status") not in ("completed", "error"):
            return None
        return await self.settle(row, transcript)

    async def settle(self, row: Transcript, transcript: Mapping[str, Any], *, audited: bool = False) -> int:
        """Book an ended job: usage row, charge and the end of its hold at once. Its cost in micro-dollars.

        One that was adopted was never submitted here, and costs nothing. `audited` when somebody has it
        booked: what happens by itself is not for the audit log.
        """
        now = utc_now()
        error = transcript.get("error")
        booked, micros = False, 0
        async with self._store.write() as connection:
            if row.adopted_at is None:
                held = await holds.take(connection, row.intent_id) if row.intent_id else None
                row = await _as_submitted(connection, row, held)
                booking = job_row(row, transcript, await self._prices.book(connection), now)
                booked, micros = await usage.record(connection, booking, held), booking.micros
            await transcripts.mark_settled(
                connection,
                row.region,
                row.id,
                now,
                status=str(transcript["status"]),
                error=str(error) if error else None,
            )
            if booked and audited:
                target = audit_log.transcript_target(row.region, row.id)
                details = {"micros": micros, "model": booking.model}
                audit_log.record(connection, "usage.book", target, details, team_id=row.team_id)
        if booked:
            log.info("settled transcript %s of %s: %s", row.id, row.owner, dollars(micros))
        return micros

    async def settle_now(self, row: Transcript) -> bool:
        """Ask AssemblyAI how a job stands and settle it if it has ended; whether it is settled.

        What is being written is written to its end, whoever is cancelled. Raises UpstreamFailed, StoreError.
        """
        patience = min(FIRST_PATIENCE * 2 ** min(row.attempts, 20), LONGEST_PATIENCE)
        path = f"/v2/transcript/{row.id}"
        try:
            transcript = await ask(self._upstream, row.region, path, deadline=patience)
        except NotFound:
            if row.attempts < LOOKS_FOR_VANISHED:
                await finished(self._note_status(row, {}))
                return False
            await finished(self._settle_vanished(row))
            return True
        if transcript.get("id") != row.id:
            raise UpstreamFailed("AssemblyAI answered with another transcript.", status=502)
        if transcript.get("status") not in ("completed", "error"):
            await finished(self._note_status(row, transcript))
            return False
        await finished(self.settle(row, transcript))
        return True

    async def hold_chat(
        self,
        caller: Caller,
        region: Region,
        *,
        completion_id: str,
        model: str,
        tokens: TokenUsage,
        global_region: bool,
        attribution: Attribution,
    ) -> tuple[Hold, Room]:
        """Set aside what a completion of so many tokens would cost. Raises BudgetExceeded.

        A second hold for the same completion, such as a second attempt's, replaces the first.
        """
        now = utc_now()
        async with self._store.write() as connection:
            book = await self._prices.book(connection)
            cost = price_chat(book, region, model, tokens, global_region=global_region, at=now)
            hold = Hold(
                id=completion_id,
                service="chat",
                region=region,
                owner=caller.owner,
                team_id=caller.team_id,
                key_hash=caller.key_hash,
                model=model,
                micros=cost.micros,
                tags=attribution.tags,
                end_user=attribution.end_user,
                created_at=now,
                expires_at=now + timedelta(seconds=self._settings.chat_hold_expiry),
            )
            return hold, await holds.place(connection, hold)

    async def release_chat(self, completion_id: str) -> None:
        """Give back what was held for a completion that AssemblyAI turned away."""
        async with self._store.write() as connection:
            await holds.release(connection, completion_id, utc_now())

    async def book_chat(
        self,
        caller: Caller,
        region: Region,
        *,
        completion_id: str,
        model: str,
        tokens: TokenUsage,
        global_region: bool,
        attribution: Attribution,
    ) -> Cost:
        """Book a completion by its id, at the prices of its beginning; a second booking changes nothing."""
        now = utc_now()
        async with self._store.write() as connection:
            held = await holds.take(connection, completion_id)
            at = now if held is None else held.created_at
            book = await self._prices.book(connection)
            cost = price_chat(book, region, model, tokens, global_region=global_region, at=at)
            row = completion_row(caller, region, completion_id, cost, tokens, attribution, now)
            row = replace(row, global_region=global_region, priced_at=at)
            await usage.record(connection, row, held)
        return cost

    async def expire_holds(self) -> int:
        """End the holds whose time is over, and say how many there were.

        A completion or understanding whose answer never came is put on record as unknown, at nothing: it may
        have been charged, but AssemblyAI keeps no list to ask. A speech job stays due without its hold.
        """
        now = utc_now()
        async with self._store.read() as connection:
            late = await holds.expired(connection, now, EXPIRED_AT_ONCE)
        for hold in late:
            async with self._store.write() as connection:
                if await holds.release(connection, hold.id, now) is None:
                    continue
                if hold.service != "speech":
                    await usage.record(connection, lost_request_row(hold, now))
            log.warning(
                "the hold of %s for %s %s of %s has expired",
                dollars(hold.micros),
                hold.service,
                hold.id,
                hold.owner,
            )
        return len(late)

    async def _settle_vanished(self, row: Transcript) -> None:
        """Put a job that AssemblyAI does not know on record as unknown, at nothing.

        What it cost cannot be read, now. Should the account's key be another project's, then `reconcile` with
        the right one finds the job and books it over this.
        """
        log.error("transcript %s is gone at AssemblyAI before it was settled", row.id)
        now = utc_now()
        async with self._store.write() as connection:
            if row.adopted_at is None:
                held = await holds.take(connection, row.intent_id) if row.intent_id else None
                submitted = await _as_submitted(connection, row, held)
                await usage.record(connection, lost_job_row(submitted, held, now), held)
            gone = "The transcript is gone at AssemblyAI."
            await transcripts.mark_settled(connection, row.region, row.id, now, status="error", error=gone)

    async def _note_status(self, row: Transcript, transcript: Mapping[str, Any]) -> None:
        """Keep the list's status fresh and put the next look further away."""
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


async def _as_submitted(connection: AsyncConnection, row: Transcript, held: Hold | None) -> Transcript:
    """The row as it is charged: to who submitted it, whoever has the transcript by now.

    A job that was found without its submission is charged to who has it.
    """
    payer: Hold | Intent | None = held
    if payer is None and row.intent_id is not None:
        payer = await intents.get(connection, row.intent_id)
    if payer is None:
        return row
    return replace(row, owner=payer.owner, team_id=payer.team_id, key_hash=payer.key_hash)

"""Speech understanding of a transcript that is there already: held, forwarded, and booked with the answer.

Priced as the same add-ons are inline, by the length of the transcript's audio. AssemblyAI keeps no list of
what it ran, so an answer that never came is on record as unknown, as a completion's is.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta

from aai_gateway.core.attribution import Attribution, attribution
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.prices import price_understanding, speech_job_from
from aai_gateway.core.regions import Host, Region
from aai_gateway.core.tenancy import Caller, require_budget
from aai_gateway.errors import InvalidRequest, NotFound, PriceError, UpstreamFailed
from aai_gateway.gateway.asking import ask
from aai_gateway.gateway.bookings import understanding_row
from aai_gateway.gateway.chat_answer import is_clear_refusal
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.cost_headers import cost_headers
from aai_gateway.gateway.finishing import finished
from aai_gateway.gateway.forwarding import Call, require_transcript, whole
from aai_gateway.gateway.identifiers import without_identifiers
from aai_gateway.gateway.submission import BODY_LIMIT
from aai_gateway.gateway.understanding_request import asked_of
from aai_gateway.gateway.wire import (
    Headers,
    all_headers,
    parse_json_object,
    read_body,
    respond,
    response_headers,
)
from aai_gateway.store import holds, usage
from aai_gateway.store.holds import Hold, Room
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")

ANSWER_LIMIT = 128 * 1024 * 1024
"""Bytes of an answer at most: ten hours of words and utterances in several languages."""


@dataclass(frozen=True, slots=True)
class Audio:
    """How long a transcript's audio is: whole seconds of one channel, and the channels that are charged."""

    seconds: int
    channels: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the LLM Gateway answered, with the headers that are told."""

    status: int
    headers: Headers
    body: bytes


async def understand(call: Call) -> None:
    """Serve `POST /v1/understanding`."""
    require_budget(call.caller, utc_now())
    headers = {**call.headers(), "content-type": "application/json"}
    body = await read_body(call.receive, BODY_LIMIT)
    asked = asked_of(parse_json_object(body))
    if asked.transcript_id is None:
        raise InvalidRequest("transcript_id is required.")
    row = await require_transcript(call, asked.transcript_id)
    understanding = Understanding(
        call.gateway,
        call.caller,
        call.region,
        asked.transcript_id,
        row,
        asked.addons,
        attribution(call.caller, headers=all_headers(call.scope)),
    )
    # It costs money from the moment AssemblyAI has it, whether or not the client stays.
    answer = await asyncio.shield(call.gateway.chat.start(understanding.run(headers, call.query, body)))
    await respond(call.send, answer.status, answer.headers, answer.body)


@dataclass(frozen=True, slots=True)
class Understanding:
    """One allowed request: who pays, for which add-ons on which transcript. `row` is the transcript's own."""

    gateway: Gateway
    caller: Caller
    region: Region
    transcript_id: str
    row: Transcript | None
    addons: tuple[str, ...]
    attribution: Attribution

    async def run(self, headers: dict[str, str], query: str, body: bytes) -> Answer:
        """Hold, forward, and book or give back. Raises BudgetExceeded, UpstreamFailed."""
        settings = self.gateway.settings
        try:
            audio = await self._audio()
        except UpstreamFailed as error:
            # The gateway's own question has failed: its status, such as a 401, is not about the client.
            raise UpstreamFailed(error.text, status=504 if error.status == 504 else 502) from None
        hold, room = await self._hold(audio or Audio(settings.assumed_audio_seconds, 1))
        try:
            async with self.gateway.upstream.request(
                self.region,
                "POST",
                "/v1/understanding",
                headers=headers,
                query=query,
                body=body,
                host=Host.LLM_GATEWAY,
                # Beyond it the hold is given up, and the outcome on record as unknown.
                deadline=settings.chat_hold_expiry,
                patience=settings.chat_hold_expiry,
            ) as response:
                answer = await whole(response, ANSWER_LIMIT)
        except UpstreamFailed as error:
            if not error.sent:
                await self._release(hold)
            raise
        told: Headers = []
        if response.status == 200:
            booked: list[int] = []

            async def book() -> None:
                booked.append(await self._book(hold, audio))

            await self.gateway.chat.book(f"understanding {hold.id}", book)
            if booked:
                told = cost_headers(cost_micros=booked[0], room=room.after(hold, booked[0]))
        elif is_clear_refusal(response.status, answer):
            await self._release(hold)
        else:
            log.warning("understanding %s ended without a word about its cost", hold.id)
        passed = [*response_headers(response.raw_headers), *told]
        return Answer(response.status, passed, without_identifiers(answer))

    async def _audio(self) -> Audio | None:
        """How long the audio is: as it was booked, else as AssemblyAI's transcript says, which is booked too.

        None for a transcript that has not completed, or is gone. Raises UpstreamFailed, StoreError.
        """
        async with self.gateway.store.read() as connection:
            booked = await usage.get(connection, "speech", self.region, self.transcript_id)
        if booked is not None and booked.status == "completed" and booked.audio_seconds:
            return Audio(booked.audio_seconds, booked.channels)
        try:
            found = await ask(self.gateway.upstream, self.region, f"/v2/transcript/{self.transcript_id}")
        except NotFound:
            return None
        if found.get("id") != self.transcript_id or found.get("status") != "completed":
            return None
        requested = self.row.requested if self.row is not None else None
        if self.row is not None and self.row.settled_at is None:
            await finished(self.gateway.ledger.settle(self.row, found))
        try:
            job = speech_job_from(found, requested, at=utc_now())
        except PriceError:
            return None
        return Audio(job.seconds, job.channels)

    async def _hold(self, audio: Audio) -> tuple[Hold, Room]:
        now = utc_now()
        async with self.gateway.store.write() as connection:
            book = await self.gateway.prices.book(connection)
            cost = price_understanding(book, self.addons, audio.seconds * audio.channels, at=now)
            hold = Hold(
                id=str(uuid.uuid4()),
                service="understanding",
                region=self.region,
                owner=self.caller.owner,
                team_id=self.caller.team_id,
                key_hash=self.caller.key_hash,
                model=cost.model,
                micros=cost.micros,
                tags=self.attribution.tags,
                end_user=self.attribution.end_user,
                created_at=now,
                expires_at=now + timedelta(seconds=self.gateway.settings.chat_hold_expiry),
            )
            return hold, await holds.place(connection, hold)

    async def _release(self, hold: Hold) -> None:
        async with self.gateway.store.write() as connection:
            await holds.release(connection, hold.id, utc_now())

    async def _book(self, hold: Hold, audio: Audio | None) -> int:
        """Book at the prices of the hold's moment; the micro-dollars. A second booking changes nothing.

        Raises UpstreamFailed while the length cannot be read, and what the store raises.
        """
        audio = audio or await self._audio()
        if audio is None:
            raise UpstreamFailed(f"The length of transcript {self.transcript_id} is not known.")
        seconds = audio.seconds * audio.channels
        async with self.gateway.store.write() as connection:
            held = await holds.take(connection, hold.id)
            book = await self.gateway.prices.book(connection)
            cost = price_understanding(book, self.addons, seconds, at=hold.created_at)
            row = understanding_row(hold, cost, seconds=audio.seconds, channels=audio.channels, now=utc_now())
            await usage.record(connection, row, held)
        if cost.priced_as is not None:
            log.warning("understanding %s has an add-on without a price: %s", hold.id, self.addons)
        return cost.micros

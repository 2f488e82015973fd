"""Delivering to teams' webhooks: in order for each job, fair between teams, beside everything else.

Processes share the work by leases. What was delivered but could not be noted is delivered again: its id, in
a header, says that it is the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver

from aai_gateway import __version__
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.webhooks import Kind, Verdict, fair_shares, transcript_event, verdict
from aai_gateway.errors import ConfigurationError, GatewayError
from aai_gateway.gateway.finishing import finished
from aai_gateway.gateway.webhook_post import Answer, post, receivers_session
from aai_gateway.gateway.webhook_secrets import WebhookSecrets
from aai_gateway.settings import Settings
from aai_gateway.store import Store, webhook_deliveries, webhooks
from aai_gateway.store.webhook_deliveries import Attempt, Delivery

log = logging.getLogger("aai_gateway")

AT_ONCE = 32
OF_ONE_OWNER = 8
"""Deliveries that a process has under way, and how many of them may be one team's."""
LEASE = timedelta(minutes=1)
"""How long a delivery is this process's: as long as a killed one's waits for another."""
LOOK_SECONDS = 1.0
"""Between two looks at what is due; what is noted in this process is seen at once."""
OVERLOOKED_AFTER = timedelta(minutes=2)
"""This long after a job was settled AssemblyAI's call is believed to be lost: its webhook is told without."""
ID_HEADER = "X-AAI-Gateway-Delivery"


class WebhookDelivery:
    """Delivers until it is cancelled; `secrets` are the webhooks' own."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        secrets: WebhookSecrets,
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
    ) -> None:
        self.secrets = secrets
        self._allowed = settings.webhook_allow_networks
        self._look = min(LOOK_SECONDS, settings.settle_interval)
        self._store = store
        self._resolver = resolver
        self._wake = asyncio.Event()
        self._under_way: dict[asyncio.Task[None], str] = {}

    def wake(self) -> None:
        """Something has become due."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver what is due and look for what was overlooked. A failing round is logged and tried again."""
        async with receivers_session(self._allowed, self._resolver()) as session:

            async def deliver() -> None:
                await self.begin_due(session)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._look)

            async def look_for_overlooked() -> None:
                await self.note_overlooked()
                await asyncio.sleep(OVERLOOKED_AFTER.total_seconds() / 4)

            try:
                # With return_exceptions the end of one is not the end of the wait for the other.
                rounds = (self._again(deliver), self._again(look_for_overlooked))
                await asyncio.gather(*rounds, return_exceptions=True)
            finally:
                for task in self._under_way:
                    task.cancel()
                await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _again(self, one_round: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await one_round()
            except GatewayError as error:
                log.error("delivering of webhooks stopped for a round: %s", error)
                await asyncio.sleep(self._look)
            except Exception:
                log.exception("delivering of webhooks stopped for a round")
                await asyncio.sleep(self._look)

    async def begin_due(self, session: aiohttp.ClientSession) -> list[asyncio.Task[None]]:
        """Claim what is due, as much as there is room for, and begin to deliver it."""
        self._wake.clear()
        free, now = AT_ONCE - len(self._under_way), utc_now()
        if free <= 0:
            return []
        async with self._store.read() as connection:
            owners = await webhook_deliveries.owners_due(connection, now)
        shares = fair_shares(owners, Counter(self._under_way.values()), free, OF_ONE_OWNER)
        if not shares:
            return []
        async with self._store.write() as connection:
            claimed = await webhook_deliveries.claim_due(connection, shares, now, now + LEASE)
        tasks = []
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(session, delivery))
            self._under_way[task] = delivery.owner
            task.add_done_callback(self._over)
            tasks.append(task)
        return tasks

    def _over(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease ends, and it is delivered again.
            log.error("a webhook's delivery could not be noted: %s", error)

    async def _deliver(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        began, at = time.monotonic(), utc_now()
        answer = await self._answer(session, delivery)
        milliseconds = round((time.monotonic() - began) * 1000)
        attempt = Attempt(at, answer.status, answer.error, milliseconds)
        pointless = pointless_because(delivery) is not None
        outcome = Verdict() if pointless else verdict(delivery.attempts, answer.status, answer.retry_after)
        await finished(self._note(delivery, attempt, outcome))

    async def _answer(self, session: aiohttp.ClientSession, delivery: Delivery) -> Answer:
        if (reason := pointless_because(delivery)) is not None:
            return Answer(error=reason)
        headers = {
            "content-type": "application/json",
            "user-agent": f"aai-gateway/{__version__}",
            ID_HEADER: str(delivery.id),
        }
        if delivery.header_name is not None and delivery.header_value is not None:
            try:
                headers[delivery.header_name] = self.secrets.unseal(delivery.header_value)
            except ConfigurationError as error:
                log.error("delivery %d cannot be made: %s", delivery.id, error)
                return Answer(error="the header cannot be read")
        return await post(session, delivery.url, headers, orjson.dumps(delivery.body), self._allowed)

    async def _note(self, delivery: Delivery, attempt: Attempt, outcome: Verdict) -> None:
        async with self._store.write() as connection:
            await webhook_deliveries.record_attempt(connection, delivery, attempt, outcome)
        if not outcome.delivered and outcome.again_after is None:
            # The URL may hold a secret: it is in the log that the team reads.
            log.warning(
                "delivery %d for transcript %s was given up after %d attempts: %s",
                delivery.id,
                delivery.transcript_id,
                delivery.attempts,
                attempt.error or f"HTTP {attempt.status}",
            )

    async def note_overlooked(self) -> int:
        """Note the end of jobs that are settled and of which AssemblyAI has not called; how many."""
        now = utc_now()
        async with self._store.read() as connection:
            found = await webhooks.untold(connection, now - OVERLOOKED_AFTER)
        for webhook, job in found:
            async with self._store.write() as connection:
                await webhooks.note_event(connection, webhook, job, transcript_event(job.id, job.status), now)
        if found:
            log.info("%d webhooks are told without AssemblyAI's call, which did not come", len(found))
            self.wake()
        return len(found)


def pointless_because(delivery: Delivery) -> str | None:
    """Why a delivery is not made at all, if so."""
    if delivery.job_owner != delivery.owner:
        return "not sent: the transcript is another team's by now"
    if delivery.event is Kind.REDACTED_AUDIO and delivery.job_deleted:
        return "not sent: the transcript was deleted"
    return None

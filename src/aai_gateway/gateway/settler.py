"""The settler: prices every job whose client never came back for it, and finds jobs that were cut off.

A few tasks per process, no thread and no memory per pending job: what is due is read from the store. Workers
share the work by leases; the usage row's key makes a second settling harmless. Each region goes on by
itself: one that is in trouble pauses, is tried with one job now and then, and goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from aai_gateway.core.breaker import Breaker
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.errors import GatewayError, StoreError, UpstreamFailed
from aai_gateway.gateway.asking import AccountJobs, Pace
from aai_gateway.gateway.ledger import EXPIRED_AT_ONCE, Ledger, back_off
from aai_gateway.gateway.recovery import Recovery
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.settings import Settings
from aai_gateway.store import Store, transcripts
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")

BATCH = 60
PARALLEL = 12
LEASE = timedelta(seconds=30)
"""How many jobs a round takes, how many are asked for at once, and how long they are this worker's: as long
as a killed worker's jobs wait for another."""


class Settler:
    """Settles in rounds until it is cancelled."""

    def __init__(self, settings: Settings, store: Store, upstream: Upstream, ledger: Ledger) -> None:
        self._interval = settings.settle_interval
        self._store = store
        self._ledger = ledger
        self._pace = Pace(settings.settle_rate)
        self._recovery = Recovery(settings, store, AccountJobs(upstream, self._pace))
        self._breakers = dict.fromkeys(Region, Breaker())

    async def run(self) -> None:
        """Settle what is due, again and again, until cancelled; bookings under way are finished first."""
        rounds: list[Callable[[], Awaitable[bool]]] = [self._expire_holds]
        for region in Region:
            rounds += [self._settling(region), self._recovering(region)]
        # With return_exceptions the end of one is not the end of the wait for the others.
        await asyncio.gather(*(self._again(one) for one in rounds), return_exceptions=True)

    async def settle_due(self, region: Region) -> int:
        """One round of a region: claim what is due and settle it; how many were claimed.

        In a pause nothing is claimed; after it, a single job.
        """
        breaker = self._breakers[region]
        if breaker.pause(_clock()):
            return 0
        now = utc_now()
        lease = now + LEASE
        limit = 1 if breaker.probing else BATCH
        async with self._store.write() as connection:
            claimed = await transcripts.claim_due(connection, region, now, lease, limit)
        waiting = deque(claimed)
        try:
            workers = [self._settle(region, waiting) for _ in range(min(PARALLEL, len(claimed)))]
            # All are over before the rest is given back, and no error goes unheard.
            for ended in await asyncio.gather(*workers, return_exceptions=True):
                if isinstance(ended, BaseException):
                    raise ended
        finally:
            await self._give_back(waiting, lease)
        return len(claimed)

    async def _give_back(self, waiting: Collection[Transcript], lease: datetime) -> None:
        if not waiting:
            return
        try:
            async with self._store.write() as connection:
                await transcripts.give_back(connection, waiting, lease, utc_now())
        except StoreError as error:
            log.warning("%d claimed jobs wait for their lease's end: %s", len(waiting), error)

    async def _settle(self, region: Region, waiting: deque[Transcript]) -> None:
        """Settle one waiting job after the other, until there is trouble."""
        while waiting:
            await self._pace.turn()
            if not waiting or self._breakers[region].pause(_clock()):
                return
            row = waiting.popleft()
            try:
                await self._ledger.settle_now(row)
                self._answered(region)
            except UpstreamFailed as error:
                self._troubled(region, error)
                await self._postpone(row)
            except asyncio.CancelledError:
                waiting.append(row)
                raise

    async def _postpone(self, row: Transcript) -> None:
        """Another job is the next to be tried, lest one that cannot be had holds up all."""
        wait = back_off(row.attempts, 2)
        async with self._store.write() as connection:
            await transcripts.postpone(connection, row.region, row.id, utc_now() + wait, row.attempts + 1)

    async def recover(self, region: Region) -> int:
        """One round of looking for jobs that were cut off, unless the region pauses; how many were found."""
        if self._breakers[region].pause(_clock()):
            return 0
        try:
            found = await self._recovery.round(region)
        except UpstreamFailed as error:
            self._troubled(region, error)
            return 0
        return found

    def _answered(self, region: Region) -> None:
        before = self._breakers[region]
        self._breakers[region] = before.answered(_clock())
        if before.probing and not self._breakers[region].probing:
            log.info("AssemblyAI (%s) answers again, settling goes on", region.value)

    def _troubled(self, region: Region, error: UpstreamFailed) -> None:
        before = self._breakers[region]
        after = before.troubled(_clock(), random.random(), error.retry_after)  # noqa: S311 - no secret
        self._breakers[region] = after
        if after.failures > before.failures:
            wait = after.pause(_clock())
            log.warning("settling (%s) pauses for %.1f s: %s", region.value, wait, error)

    def _settling(self, region: Region) -> Callable[[], Awaitable[bool]]:
        async def settling() -> bool:
            if pause := self._breakers[region].pause(_clock()):
                await asyncio.sleep(pause)
            full = 1 if self._breakers[region].probing else BATCH
            return await self.settle_due(region) == full

        return settling

    def _recovering(self, region: Region) -> Callable[[], Awaitable[bool]]:
        async def recovering() -> bool:
            return await self.recover(region) > 0

        return recovering

    async def _expire_holds(self) -> bool:
        return await self._ledger.expire_holds() == EXPIRED_AT_ONCE

    async def _again(self, one_round: Callable[[], Awaitable[bool]]) -> None:
        """Rounds for ever: the next at once when one says that there is more, else after the interval.

        A failing round is logged and tried again.
        """
        while True:
            more = False
            try:
                more = await one_round()
            except GatewayError as error:
                log.error("settling stopped for a round: %s", error)
            except Exception:
                # Whatever it was, the other jobs must still be settled.
                log.exception("settling stopped for a round")
            if not more:
                await asyncio.sleep(self._interval)


def _clock() -> float:
    return asyncio.get_running_loop().time()

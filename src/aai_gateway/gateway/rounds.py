"""Work that is due, done in rounds: claimed from the store by leases, and asked of AssemblyAI at a modest
pace.

Workers and processes share it. Each region goes on by itself: one that is in trouble pauses, is tried with
one job now and then, and goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from aai_gateway.core.breaker import Breaker
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.errors import GatewayError, StoreError, UpstreamFailed
from aai_gateway.gateway.asking import Pace
from aai_gateway.gateway.ledger import back_off
from aai_gateway.settings import Settings
from aai_gateway.store import Store, transcripts
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")

BATCH = 60
LEASE = timedelta(seconds=30)
"""How many jobs a round takes, and how long they are this worker's: as long as a killed worker's jobs wait
for another."""


class LeasedRounds(ABC):
    """Takes what is due of each region and carries it out, `parallel` jobs at once. `doing` is for the
    log."""

    doing: str
    parallel: int

    def __init__(self, settings: Settings, store: Store, pace: Pace) -> None:
        self._interval = settings.settle_interval
        self._store = store
        self._pace = pace
        self._breakers = dict.fromkeys(Region, Breaker())

    @abstractmethod
    async def _claim(self, region: Region, now: datetime, lease: datetime, limit: int) -> list[Transcript]:
        """Take what is due for this worker until the lease ends."""

    @abstractmethod
    async def _carry_out(self, row: Transcript) -> None:
        """Do one job's work. Raises UpstreamFailed."""

    async def take_due(self, region: Region) -> int:
        """One round of a region: claim what is due and carry it out; how many were claimed.

        In a pause nothing is claimed; after it, a single job.
        """
        breaker = self._breakers[region]
        if breaker.pause(_clock()):
            return 0
        now = utc_now()
        lease = now + LEASE
        limit = 1 if breaker.probing else BATCH
        claimed = await self._claim(region, now, lease, limit)
        waiting = deque(claimed)
        try:
            workers = [self._work(region, waiting) for _ in range(min(self.parallel, len(claimed)))]
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

    async def _work(self, region: Region, waiting: deque[Transcript]) -> None:
        """Carry out one waiting job after the other, until there is trouble."""
        while waiting:
            await self._pace.turn()
            if not waiting or self._breakers[region].pause(_clock()):
                return
            row = waiting.popleft()
            try:
                await self._carry_out(row)
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

    def _answered(self, region: Region) -> None:
        before = self._breakers[region]
        self._breakers[region] = before.answered(_clock())
        if before.probing and not self._breakers[region].probing:
            log.info("AssemblyAI (%s) answers again, %s goes on", region.value, self.doing)

    def _troubled(self, region: Region, error: UpstreamFailed) -> None:
        before = self._breakers[region]
        after = before.troubled(_clock(), random.random(), error.retry_after)  # noqa: S311 - no secret
        self._breakers[region] = after
        if after.failures > before.failures:
            wait = after.pause(_clock())
            log.warning("%s (%s) pauses for %.1f s: %s", self.doing, region.value, wait, error)

    def _pause(self, region: Region) -> float:
        return self._breakers[region].pause(_clock())

    def taking(self, region: Region) -> Callable[[], Awaitable[bool]]:
        """Rounds of `take_due` for `again`: each says whether there is more."""

        async def taking() -> bool:
            if pause := self._pause(region):
                await asyncio.sleep(pause)
            full = 1 if self._breakers[region].probing else BATCH
            return await self.take_due(region) == full

        return taking

    async def again(self, one_round: Callable[[], Awaitable[bool]]) -> None:
        """Rounds for ever: the next at once when one says that there is more, else after the interval.

        A failing round is logged and tried again.
        """
        while True:
            more = False
            try:
                more = await one_round()
            except GatewayError as error:
                log.error("%s stopped for a round: %s", self.doing, error)
            except Exception:
                # Whatever it was, the other jobs must still have their turn.
                log.exception("%s stopped for a round", self.doing)
            if not more:
                await asyncio.sleep(self._interval)


def _clock() -> float:
    return asyncio.get_running_loop().time()

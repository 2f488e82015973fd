"""The settler: prices every job whose client never came back for it, and finds jobs that were cut off.

A few tasks per process, no thread and no memory per pending job: what is due is read from the store. The
usage row's key makes a second settling harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from aai_gateway.core.regions import Region
from aai_gateway.errors import UpstreamFailed
from aai_gateway.gateway.asking import AccountJobs, Pace
from aai_gateway.gateway.ledger import EXPIRED_AT_ONCE, Ledger
from aai_gateway.gateway.recovery import Recovery
from aai_gateway.gateway.rounds import LeasedRounds
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.settings import Settings
from aai_gateway.store import Store, transcripts
from aai_gateway.store.transcripts import Transcript


class Settler(LeasedRounds):
    """Settles in rounds until it is cancelled. `pace` is that of all that a process asks by itself."""

    doing = "settling"
    parallel = 12

    def __init__(self, settings: Settings, store: Store, upstream: Upstream, ledger: Ledger) -> None:
        self.pace = Pace(settings.settle_rate)
        super().__init__(settings, store, self.pace)
        self._ledger = ledger
        self._recovery = Recovery(settings, store, AccountJobs(upstream, self.pace))

    async def run(self) -> None:
        """Settle what is due, again and again, until cancelled; bookings under way are finished first."""
        rounds: list[Callable[[], Awaitable[bool]]] = [self._expire_holds]
        for region in Region:
            rounds += [self.taking(region), self._recovering(region)]
        # With return_exceptions the end of one is not the end of the wait for the others.
        await asyncio.gather(*(self.again(one) for one in rounds), return_exceptions=True)

    async def settle_due(self, region: Region) -> int:
        """One round of a region: claim what is due and settle it; how many were claimed."""
        return await self.take_due(region)

    async def _claim(self, region: Region, now: datetime, lease: datetime, limit: int) -> list[Transcript]:
        async with self._store.write() as connection:
            return await transcripts.claim_due(connection, region, now, lease, limit)

    async def _carry_out(self, row: Transcript) -> None:
        await self._ledger.settle_now(row)

    async def recover(self, region: Region) -> int:
        """One round of looking for jobs that were cut off, unless the region pauses; how many were found."""
        if self._pause(region):
            return 0
        try:
            found = await self._recovery.round(region)
        except UpstreamFailed as error:
            self._troubled(region, error)
            return 0
        return found

    def _recovering(self, region: Region) -> Callable[[], Awaitable[bool]]:
        async def recovering() -> bool:
            return await self.recover(region) > 0

        return recovering

    async def _expire_holds(self) -> bool:
        return await self._ledger.expire_holds() == EXPIRED_AT_ONCE

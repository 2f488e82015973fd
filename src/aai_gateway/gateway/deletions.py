"""Deletions that were ordered with a team's: each transcript is deleted at AssemblyAI, and its upload with
it.

AssemblyAI documentation, "Delete transcript". The order is in the store, so that it outlives this process.
What a job cost can no longer be read once it is deleted: one that is not booked yet is left to the settler
first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.errors import NotFound
from aai_gateway.gateway.asking import Pace, ask
from aai_gateway.gateway.finishing import finished
from aai_gateway.gateway.rounds import LeasedRounds
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.settings import Settings
from aai_gateway.store import Store, ownership, transcripts
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")

HANDED_OVER_AT_ONCE = 500
"""Transcripts of a former owner that one transaction gives to its heir: some hundredths of a second."""
PATIENCE = 60.0
"""Seconds that AssemblyAI may take for one deletion."""


class Deletions(LeasedRounds):
    """Hands over what former owners left, and deletes what is to be deleted, until it is cancelled.

    `pace` is shared with the settler, which asks with more at once and so goes first.
    """

    doing = "deleting"
    parallel = 4

    def __init__(self, settings: Settings, store: Store, upstream: Upstream, pace: Pace) -> None:
        super().__init__(settings, store, pace)
        self._upstream = upstream

    async def run(self) -> None:
        """Go on, again and again, until cancelled; what is being written is finished first."""
        rounds: list[Callable[[], Awaitable[bool]]] = []
        for region in Region:
            rounds += [self._handing_over(region), self.taking(region)]
        await asyncio.gather(*(self.again(one) for one in rounds), return_exceptions=True)

    async def _claim(self, region: Region, now: datetime, lease: datetime, limit: int) -> list[Transcript]:
        async with self._store.read() as connection:
            if not await transcripts.is_deletion_due(connection, region, now):
                return []
        async with self._store.write() as connection:
            return await transcripts.claim_deletions(connection, region, now, lease, limit)

    async def _carry_out(self, row: Transcript) -> None:
        try:
            path = f"/v2/transcript/{row.id}"
            await ask(self._upstream, row.region, path, method="DELETE", deadline=PATIENCE)
        except NotFound:
            log.info("transcript %s was gone at AssemblyAI already", row.id)
        await finished(self._deleted(row))

    async def _deleted(self, row: Transcript) -> None:
        async with self._store.write() as connection:
            await transcripts.mark_deleted(connection, row.region, row.id, utc_now())

    def _handing_over(self, region: Region) -> Callable[[], Awaitable[bool]]:
        async def handing_over() -> bool:
            return await hand_over(self._store, region) > 0

        return handing_over


async def hand_over(store: Store, region: Region) -> int:
    """Give some of what former owners left in a region to their heirs; how many transcripts."""
    async with store.read() as connection:
        if not await ownership.is_left(connection, region):
            return 0
    async with store.write() as connection:
        return await ownership.hand_over(connection, region, utc_now(), HANDED_OVER_AT_ONCE)

"""Writes what this process counted to the store, every few seconds and at its end."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.traffic import Tally
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, traffic

log = logging.getLogger("aai_gateway")

INTERVAL = 5.0
"""Seconds between two writes, where there is anything to write."""
PRUNE_EVERY = 900.0
"""Seconds between two times that old minutes are forgotten."""
LAST_TRIES = 3
"""How often the last counts are tried to be written."""


class TrafficWriter:
    """Writes for one process. A killed one loses its last seconds."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._lock = asyncio.Lock()
        self._next_prune = 0.0

    async def run(self) -> None:
        """Write what was counted, again and again, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            # A write that is cut short would be neither there nor not there.
            await asyncio.shield(self.flush())

    async def flush(self) -> bool:
        """Write what was counted; False where it could not be, and stays counted here."""
        async with self._lock:
            counted = self._tally.take()
            if not counted:
                return True
            try:
                async with self._store.write() as connection:
                    await traffic.add(connection, counted)
                    if monotonic() >= self._next_prune:
                        await traffic.prune(connection, utc_now())
                        self._next_prune = monotonic() + PRUNE_EVERY
            except BaseException as error:
                self._tally.put_back(counted)
                if not isinstance(error, StoreError):
                    raise
                log.error("traffic is written later: %s", error)
                return False
        return True

    async def close(self) -> None:
        """Write the last counts."""
        for _ in range(LAST_TRIES):
            if await self.flush():
                return
            await asyncio.sleep(0.5)

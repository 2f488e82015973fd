"""When each key was last used, to the minute: remembered here, written in one batch a minute.

A request costs no write. What is remembered is written at shutdown; a killed process loses its last minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime

from aai_gateway.core.tenancy import VirtualKey
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, keys

log = logging.getLogger("aai_gateway")

INTERVAL = 60.0
"""Seconds between two writes. Each also empties what the identities of all processes remember."""
BATCH = 1000
"""Keys in one transaction."""


class LastUsed:
    """Remembers for one process. `note` is called with every request."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._used: dict[str, datetime] = {}

    def note(self, key: VirtualKey, now: datetime) -> None:
        """A key was used."""
        minute = now.replace(second=0, microsecond=0)
        if key.last_used_at is None or key.last_used_at < minute:
            self._used[key.hash] = minute

    async def run(self) -> None:
        """Write what is remembered, again and again, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.flush()

    async def flush(self) -> None:
        """Write what is remembered. What cannot be written now is remembered for the next time."""
        for batch in _batches(list(self._used)):
            used = {key_hash: self._used.pop(key_hash) for key_hash in batch}
            left = set(used)
            try:
                async with self._store.write() as connection:
                    busy = await keys.note_used(connection, used)
                left = busy
            except StoreError as error:
                log.error("when keys were last used is written later: %s", error)
            finally:
                for key_hash in left:
                    self._used.setdefault(key_hash, used[key_hash])


def _batches(hashes: list[str]) -> Iterable[list[str]]:
    return (hashes[start : start + BATCH] for start in range(0, len(hashes), BATCH))

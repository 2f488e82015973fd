"""Uploads within the limits of their key and team: begun with a lease, which grows with an upload's bytes.

An upload that says its length reserves all of it before a byte is read. Another reserves a little ahead of
what has come, and is cut off when the day has no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import StoreError
from aai_gateway.gateway.finishing import finished
from aai_gateway.store import Store, upload_leases
from aai_gateway.store.upload_leases import Lease

log = logging.getLogger("aai_gateway")

AHEAD = 1024 * 1024
"""Bytes that an upload of unknown length reserves ahead, or an eighth of what has come where that is more."""


class Allowance:
    """The bytes that one upload may have; without limits, any number and nothing is written."""

    def __init__(self, store: Store, lease: Lease | None, reserved: int) -> None:
        self._store = store
        self._lease = lease
        self._reserved = reserved

    async def cover(self, size: int) -> None:
        """Have so many bytes allowed in all. Raises TooManyRequests, StoreError."""
        if self._lease is None or size <= self._reserved:
            return
        async with self._store.write() as connection:
            wish = size + max(AHEAD, size // 8)
            self._reserved = await upload_leases.reserve(connection, self._lease, size, wish, utc_now())

    async def end(self, connection: AsyncConnection) -> None:
        """Give up what is reserved, in a transaction of `Store.write`."""
        if self._lease is not None:
            await upload_leases.end(connection, self._lease)

    async def stay(self) -> None:
        """Renew the lease until cancelled."""
        while self._lease is not None:
            await asyncio.sleep(upload_leases.LIFE.total_seconds() / 3)
            try:
                async with self._store.write() as connection:
                    await upload_leases.renew(connection, self._lease, self._reserved, utc_now())
            except StoreError as error:
                log.warning("an upload's lease could not be renewed: %s", error)


@asynccontextmanager
async def allowance(store: Store, caller: Caller, length: int | None) -> AsyncIterator[Allowance]:
    """What an upload of `length` bytes (None: not said) may have, until the block ends.

    Raises TooManyRequests before anything is read.
    """
    if not _is_limited(caller):
        yield Allowance(store, None, 0)
        return
    lease = Lease(caller.team_id, caller.key_hash)
    least, most = (0, AHEAD) if length is None else (length, length)
    async with store.write() as connection:
        reserved = await upload_leases.begin(connection, lease, least, most, utc_now())
    allowed = Allowance(store, lease, reserved)
    staying = asyncio.ensure_future(allowed.stay())
    try:
        yield allowed
    finally:
        staying.cancel()
        with suppress(StoreError):
            await finished(_ended(store, allowed))


async def _ended(store: Store, allowed: Allowance) -> None:
    async with store.write() as connection:
        await allowed.end(connection)


def _is_limited(caller: Caller) -> bool:
    return any(
        holder.limits.concurrent_uploads is not None or holder.limits.upload_bytes_per_day is not None
        for holder in (caller.key, caller.team)
        if holder is not None
    )

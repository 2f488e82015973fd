"""Uploads under way, of those who have a limit: each has a lease with the bytes that are reserved for it.

The rows of key and team are locked while it is decided, so limits hold across processes. The lease of a
process that died stops counting when it expires; a living one's is renewed. The bytes of uploads that have
ended are those in `uploads`, on the UTC day on which they ended: a limit that is set at noon counts the
morning too.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.errors import TooManyRequests
from aai_gateway.store._budgets import Account, accounts
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import teams, upload_leases, uploads, virtual_keys

LIFE = timedelta(seconds=60)
"""How long a lease counts after it was last renewed."""
UPLOAD_SECONDS = 5.0
"""When to try again while as many uploads run as may."""

_c = upload_leases.c
_IS_HOLDERS = {
    virtual_keys: _c.key_hash == sa.bindparam("account"),
    teams: _c.team_id == sa.bindparam("account"),
}
_IS_OTHER = (_c.id != sa.bindparam("but")) & (_c.expires_at > sa.bindparam("now", type_=_c.expires_at.type))
_OTHERS = {
    table: sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_c.reserved_bytes), 0)).where(
        is_its, _IS_OTHER
    )
    for table, is_its in _IS_HOLDERS.items()
}
_UPLOADED = {
    table: sa.select(sa.func.coalesce(sa.func.sum(uploads.c.size_bytes), 0)).where(
        column == sa.bindparam("account"),
        uploads.c.created_at >= sa.bindparam("midnight", type_=uploads.c.created_at.type),
    )
    for table, column in ((virtual_keys, uploads.c.key_hash), (teams, uploads.c.team_id))
}
_CLEAR = {
    table: sa.delete(upload_leases).where(
        is_its, _c.expires_at <= sa.bindparam("now", type_=_c.expires_at.type)
    )
    for table, is_its in _IS_HOLDERS.items()
}


@dataclass(frozen=True, slots=True)
class Lease:
    """One upload under way, and whose it is."""

    team_id: str | None
    key_hash: str | None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


async def begin(connection: AsyncConnection, lease: Lease, least: int, most: int, now: datetime) -> int:
    """Begin an upload with `least` to `most` bytes reserved, and say how many. Needs `Store.write`.

    Raises TooManyRequests when as many uploads run as the key or team may have, or `least` is not left of its
    day.
    """
    async for account in _holders(connection, lease, now):
        await connection.execute(_CLEAR[account.table], {"account": account.id, "now": now})
        allowed = account.limits.concurrent_uploads
        if allowed is not None and (await _others(connection, account, lease, now))[0] >= allowed:
            text = f"{account.name} may have {allowed} uploads under way at once."
            raise TooManyRequests(text, retry_after=UPLOAD_SECONDS)
    return await reserve(connection, lease, least, most, now)


async def reserve(connection: AsyncConnection, lease: Lease, least: int, most: int, now: datetime) -> int:
    """Have `least` to `most` bytes in all reserved for an upload, as the day has room, and say how many.

    Needs `Store.write`. Raises TooManyRequests when `least` is not left of the key's or the team's day.
    """
    async for account in _holders(connection, lease, now):
        if (allowed := account.limits.upload_bytes_per_day) is None:
            continue
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        uploaded = await connection.scalar(
            _UPLOADED[account.table], {"account": account.id, "midnight": midnight}
        )
        left = max(0, allowed - int(uploaded or 0) - (await _others(connection, account, lease, now))[1])
        if least > left:
            raise TooManyRequests(
                f"{account.name} may upload {allowed:,} bytes a day (UTC) and has {left:,} left.",
                retry_after=(midnight + timedelta(days=1) - now).total_seconds(),
            )
        most = min(most, left)
    await renew(connection, lease, most, now)
    return most


async def renew(connection: AsyncConnection, lease: Lease, reserved: int, now: datetime) -> None:
    """Let a lease count from now on for LIFE, also one that had expired and was cleared away."""
    values = {"reserved_bytes": reserved, "expires_at": now + LIFE}
    known = {"id": lease.id, "team_id": lease.team_id, "key_hash": lease.key_hash}
    if not await insert_new(connection, upload_leases, {**known, **values}):
        await connection.execute(sa.update(upload_leases).where(_c.id == lease.id).values(values))


async def end(connection: AsyncConnection, lease: Lease) -> None:
    """End an upload's lease; in the transaction that records the upload, if there was one."""
    await connection.execute(sa.delete(upload_leases).where(_c.id == lease.id))


async def _holders(connection: AsyncConnection, lease: Lease, now: datetime) -> AsyncIterator[Account]:
    """Key and team of an upload, locked; the gateway's row has no limit of uploads."""
    async for account in accounts(connection, lease.key_hash, lease.team_id, now):
        if account.table in _OTHERS:
            yield account


async def _others(
    connection: AsyncConnection, account: Account, lease: Lease, now: datetime
) -> tuple[int, int]:
    """How many other uploads of a key or team are under way, and the bytes that are reserved for them."""
    values = {"account": account.id, "but": lease.id, "now": now}
    count, reserved = (await connection.execute(_OTHERS[account.table], values)).one()
    return int(count), int(reserved)

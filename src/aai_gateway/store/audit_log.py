"""The audit log: who did what to what, when, from where. `core.auditing` says how its entries are chained.

What changes something calls `record` in its own transaction, and the entry is on disk with it or not at all.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.auditing import (
    GENESIS,
    Actor,
    Broken,
    Entry,
    Event,
    Head,
    chained,
    event,
    follow,
    require_reached,
)
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.errors import StoreError
from aai_gateway.store.schema import audit_log

PAGE = 2000
"""Entries that are read, and in memory, at once."""

_CHAIN_LOCK = 0x6161_6175
"""Postgres's advisory lock on the chain's end; SQLite's writers take turns anyway."""
_PENDING = "aai_gateway_audit"

_c = audit_log.c
_HEAD = sa.select(_c.seq, _c.hash).order_by(_c.seq.desc()).limit(1)

_acting: ContextVar[Actor] = ContextVar("aai_gateway_actor")
_GATEWAY = Actor("gateway", socket.gethostname())


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Whatever is recorded in this block, `actor` has done; outside of one it is the gateway itself."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


@asynccontextmanager
async def collecting(connection: AsyncConnection) -> AsyncIterator[None]:
    """Let `record` be called in this block, and write its entries at the block's end.

    At the end, because on Postgres the chain's lock must be a transaction's last: one that held it while it
    waited for a key's row would wait for ever for another that has the row and waits for the chain.
    """
    # The dictionary itself: asking a connection that broke for it would raise.
    info = connection.info
    events: list[Event] = []
    info[_PENDING] = events
    try:
        yield
        if events:
            await _append(connection, events)
    finally:
        del info[_PENDING]


def record(
    connection: AsyncConnection,
    action: str,
    target: str,
    details: Mapping[str, Any],
    *,
    team_id: str | None = None,
) -> None:
    """Note what this transaction does; it is written, in the name of who is acting, when that ends.

    `target` is `team:<id>`, `key:<hash>`, `transcript:<region>/<id>`, `price_book:<number>`,
    `session:<begin of its hash>` or `gateway`. Needs `Store.write`.
    """
    events: list[Event] | None = connection.info.get(_PENDING)
    if events is None:
        raise StoreError("What the audit log tells of must happen in Store.write.")
    actor = _acting.get(_GATEWAY)
    events.append(event(actor, action, target, at=utc_now(), team_id=team_id, details=details))


def transcript_target(region: Region, transcript_id: str) -> str:
    """A transcript as a target."""
    return f"transcript:{region.value}/{transcript_id}"


async def _append(connection: AsyncConnection, events: list[Event]) -> None:
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CHAIN_LOCK)))
    end = await head(connection)
    rows = []
    for one in events:
        entry = chained(end, one)
        rows.append({column.name: getattr(entry, column.name) for column in audit_log.columns})
        end = Head(entry.seq, entry.hash)
    await connection.execute(sa.insert(audit_log), rows)


async def head(connection: AsyncConnection) -> Head:
    """The newest entry's number and hash; GENESIS when there is none."""
    row = (await connection.execute(_HEAD)).first()
    return GENESIS if row is None else Head(row.seq, row.hash)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are meant; None means all. A text that ends in `*` means all that begin so.

    An actor may be given without the alias in brackets.
    """

    team_id: str | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = AuditFilter()


async def list_entries(
    connection: AsyncConnection,
    where: AuditFilter = ALL,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
) -> list[Entry]:
    """A page of entries, newest first: those older than entry `before`.

    With `after`, oldest first: those newer than that entry.
    """
    query = sa.select(audit_log).where(*_conditions(where)).limit(limit)
    if before is not None:
        query = query.where(_c.seq < before)
    if after is not None:
        query = query.where(_c.seq > after)
    query = query.order_by(_c.seq.desc() if after is None else _c.seq)
    return [Entry(**row) for row in (await connection.execute(query)).mappings()]


async def pages(
    connection: AsyncConnection,
    where: AuditFilter = ALL,
    *,
    oldest_first: bool = False,
    limit: int | None = None,
) -> AsyncIterator[list[Entry]]:
    """All that are meant, or the first `limit`, a page at a time however many there are."""
    place: dict[str, int] = {"after": 0} if oldest_first else {}
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = await list_entries(connection, where, limit=size, **place)
        if page:
            yield page
        if len(page) < size:
            return
        place = {"after" if oldest_first else "before": page[-1].seq}
        left = None if left is None else left - size


def _conditions(where: AuditFilter) -> Iterator[sa.ColumnElement[bool]]:
    for column, text in ((_c.action, where.action), (_c.target, where.target), (_c.actor, where.actor)):
        if text is None:
            continue
        if text.endswith("*"):
            yield column.startswith(text[:-1], autoescape=True)
        elif column is _c.actor:
            yield (column == text) | column.startswith(f"{text} (", autoescape=True)
        else:
            yield column == text
    if where.team_id is not None:
        yield _c.team_id == where.team_id
    if where.since is not None:
        yield _c.at >= where.since
    if where.until is not None:
        yield _c.at < where.until


async def verify(
    connection: AsyncConnection,
    expected: Head | None = None,
    told: Callable[[int], None] = lambda seq: None,
) -> Head | Broken:
    """Follow the whole chain, a page at a time: its newest entry, or the first place where it is broken.

    `expected` is an entry that was there once, such as an earlier answer: a chain alone cannot show that its
    end was cut off. `told` is called after each page with the number of its last entry.
    """
    end, last, size = GENESIS, -(2**63), PAGE
    while True:
        try:
            page = await list_entries(connection, limit=size, after=last)
        except (TypeError, ValueError):
            # A value that its column's type cannot have: found by asking one by one.
            if size == 1:
                number = await connection.scalar(sa.select(sa.func.min(_c.seq)).where(_c.seq > last))
                return Broken(int(number or 0), f"Entry {number} was changed: it cannot be read.")
            size = 1
            continue
        found = follow(end, page, expected)
        if isinstance(found, Broken):
            return found
        if len(page) < size:
            return found if expected is None else require_reached(found, expected)
        end, last = found, found.seq
        told(last)

"""Who is signed in to the dashboard, and which of its forms have been used. Cookies are kept as hashes.

Functions take a connection of `Store.write`; one of `Store.read` will do for `get`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.errors import TooManyRequests
from aai_gateway.store import audit_log
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import dashboard_forms, dashboard_sessions

MINUTE = timedelta(minutes=1)
MOST_A_MINUTE = 20
"""Sessions that one key may begin in a minute: each is two rows that are written."""
MOST_AT_ONCE = 100
"""Sessions of one key; another one ends the oldest."""
FORMS_KEPT = timedelta(days=1)
"""How long a used form is known: longer than any session that it can be sent in."""

_c = dashboard_sessions.c
_GET = sa.select(dashboard_sessions).where(_c.hash == sa.bindparam("hash"))


@dataclass(frozen=True, slots=True)
class Session:
    """A session: by which secret (None: the master key, of which it has a keyed hash), and until when."""

    hash: str
    secret_hash: str | None
    master_hash: str | None
    created_at: datetime
    expires_at: datetime

    @property
    def target(self) -> str:
        """The session in the audit log: enough of its hash to tell it from others."""
        return f"session:{self.hash[:16]}"


async def begin(connection: AsyncConnection, session: Session, team_id: str | None) -> None:
    """Keep a new session. Raises TooManyRequests for one key's 21st in a minute."""
    now = session.created_at
    # Those that were ended within the last minute are still counted.
    await connection.execute(sa.delete(dashboard_sessions).where(_c.expires_at < now - MINUTE))
    holder = _c.secret_hash == session.secret_hash if session.secret_hash else _c.secret_hash.is_(None)
    query = sa.select(_c.hash, _c.created_at).where(holder).order_by(_c.created_at.desc(), _c.hash)
    others = (await connection.execute(query)).all()
    if sum(other.created_at > now - MINUTE for other in others) >= MOST_A_MINUTE:
        raise TooManyRequests(
            f"A key may sign in to the dashboard {MOST_A_MINUTE} times a minute.",
            retry_after=MINUTE.total_seconds(),
        )
    if oldest := [other.hash for other in others[MOST_AT_ONCE - 1 :]]:
        await connection.execute(sa.delete(dashboard_sessions).where(_c.hash.in_(oldest)))
    await connection.execute(sa.insert(dashboard_sessions).values(asdict(session)))
    audit_log.record(connection, "session.create", session.target, {}, team_id=team_id)


async def get(connection: AsyncConnection, session_hash: str, now: datetime) -> Session | None:
    """The session with this hash, unless it has ended."""
    row = (await connection.execute(_GET, {"hash": session_hash})).mappings().first()
    return None if row is None or row[_c.expires_at] <= now else Session(**row)


async def renew(connection: AsyncConnection, session_hash: str, now: datetime, until: datetime) -> None:
    """Let a session go on, unless it has ended."""
    alive = (_c.hash == session_hash, _c.expires_at > now)
    await connection.execute(sa.update(dashboard_sessions).where(*alive).values(expires_at=until))


async def end(connection: AsyncConnection, session: Session, now: datetime, team_id: str | None) -> None:
    """End a session, once."""
    alive = (_c.hash == session.hash, _c.expires_at > now)
    ended = await connection.execute(sa.update(dashboard_sessions).where(*alive).values(expires_at=now))
    if ended.rowcount:
        audit_log.record(connection, "session.delete", session.target, {}, team_id=team_id)


async def use_form(connection: AsyncConnection, form_hash: str, now: datetime) -> bool:
    """Note that a form does its work in this transaction; False when it has done it before."""
    await connection.execute(sa.delete(dashboard_forms).where(dashboard_forms.c.used_at < now - FORMS_KEPT))
    return await insert_new(connection, dashboard_forms, {"hash": form_hash, "used_at": now})

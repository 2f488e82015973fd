"""`GET /audit`: the audit log for the master key, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from aai_gateway.core.auditing import entry_json
from aai_gateway.gateway import management_shapes as shapes
from aai_gateway.store.audit_log import AuditFilter, list_entries

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def list_audit(connection: AsyncConnection, data: Mapping[str, Any], now: datetime) -> Any:
    """`{"entries": […]}`, newest first and those older than entry `before`; with `after`, oldest first."""
    query = shapes.read(shapes.ListAudit, data)
    where = AuditFilter(
        team_id=query.team_id,
        actor=query.actor,
        action=query.action,
        target=query.target,
        since=_aware(query.since),
        until=_aware(query.until),
    )
    entries = await list_entries(connection, where, limit=query.limit, before=query.before, after=query.after)
    return {"entries": [entry_json(entry) for entry in entries]}


def _aware(moment: datetime | None) -> datetime | None:
    """The moment, in UTC where it says nothing else."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=timezone.utc)

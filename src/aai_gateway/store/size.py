"""How much room the store takes."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.store.schema import POSTGRES_SCHEMA

_SQLITE = sa.text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
_POSTGRES = sa.text(
    "SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = :schema AND c.relkind = 'r'"
)


async def size_bytes(connection: AsyncConnection) -> int:
    """Bytes of the SQLite file without its log, or of our tables and their indexes in Postgres."""
    if connection.dialect.name == "sqlite":
        return int(await connection.scalar(_SQLITE) or 0)
    return int(await connection.scalar(_POSTGRES, {"schema": POSTGRES_SCHEMA}) or 0)

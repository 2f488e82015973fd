"""The one place where SQLite and Postgres are spoken differently."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_new(connection: AsyncConnection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same unique columns is there. Whether it was new."""
    if connection.dialect.name == "postgresql":
        result = await connection.execute(postgresql.insert(table).on_conflict_do_nothing(), values)
    else:
        result = await connection.execute(sqlite.insert(table).on_conflict_do_nothing(), values)
    return result.rowcount == 1

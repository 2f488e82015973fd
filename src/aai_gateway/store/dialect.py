"""The one place where SQLite and Postgres are spoken differently."""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_new(connection: AsyncConnection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same unique columns is there. Whether it was new."""
    statement = _insert_new(table, connection.dialect.name)
    options = {"preserve_rowcount": True}
    return (await connection.execute(statement, values, execution_options=options)).rowcount == 1


@cache
def _insert_new(table: sa.Table, name: str) -> sa.Insert:
    dialect = postgresql if name == "postgresql" else sqlite
    # inline: a RETURNING that nobody reads would hide how many rows there were.
    statement: sa.Insert = dialect.insert(table).on_conflict_do_nothing().inline()
    return statement

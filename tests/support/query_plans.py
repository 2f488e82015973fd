"""How SQLite carries out what it is asked."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection


def explained(connection: AsyncConnection) -> list[str]:
    """The plans of what is asked of the connection from now on."""
    plans: list[str] = []

    def explain(asked: sa.Connection, _cursor: object, sql: str, parameters: object, *_: object) -> None:
        cursor = asked.connection.cursor()
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
        plans.extend(row[3] for row in cursor.fetchall())
        cursor.close()

    sa.event.listen(connection.sync_connection, "before_cursor_execute", explain)
    return plans

"""The names of all teams and keys, for tables that have many of them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.names import Names
from aai_gateway.store import keys, teams


async def load_names(connection: AsyncConnection) -> Names:
    """The names of all that are there."""
    return Names(
        {team.id: team.alias for team in await teams.list_all(connection)},
        {key.hash: key.alias or key.masked for key in await keys.list_all(connection)},
    )

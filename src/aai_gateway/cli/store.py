"""The store, opened for one command."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from aai_gateway.core.tenancy import Team
from aai_gateway.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store import Store

T = TypeVar("T")


def on_store(work: Callable[[Store], Awaitable[T]]) -> T:
    """What `work` gives with the store that the settings name. Raises StoreError or ConfigurationError.

    What it changes, the user of this process has changed.
    """
    from aai_gateway.cli.actor import command_actor
    from aai_gateway.cli.output import note
    from aai_gateway.settings import load_settings
    from aai_gateway.store import Store
    from aai_gateway.store.audit_log import acting
    from aai_gateway.store.engine import file_of, parse_url

    url = load_settings().resolved_store_url
    file = file_of(parse_url(url))
    if file is not None and not os.path.lexists(file):
        note(f"There was no store at {file}: a new one is made, without teams, keys or usage.")

    async def opened() -> T:
        store = await Store.open(url)
        try:
            return await work(store)
        finally:
            await store.close()

    with acting(command_actor()):
        return asyncio.run(opened())


async def existing_team(connection: AsyncConnection, name: str) -> Team:
    """The team with this name or id. Raises StoreError."""
    from aai_gateway.store import teams

    if (team := await teams.get(connection, name)) is None:
        raise StoreError(f"There is no team {name}; `aai-gateway teams list` shows those there are.")
    return team

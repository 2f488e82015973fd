from __future__ import annotations

from aai_gateway.core.tenancy import Team
from aai_gateway.store import Store, teams
from aai_gateway.store.size import size_bytes


async def test_a_store_that_has_more_in_it_is_larger(store: Store) -> None:
    async with store.read() as connection:
        before = await size_bytes(connection)
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "large", metadata={"text": "x" * 500_000}))
    async with store.read() as connection:
        # Postgres packs what repeats itself.
        assert 10_000 < before < await size_bytes(connection)

"""Another process on the same store: `audit_worker.py <url> <name> <times>`.

Makes a team and a key and deletes both, again and again, and each is told to the audit log.
"""

from __future__ import annotations

import asyncio
import sys

from aai_gateway.core.auditing import Actor
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.store import Store, keys, teams
from aai_gateway.store.audit_log import acting


async def main(url: str, name: str, times: int) -> None:
    store = await Store.open(url)
    with acting(Actor(f"cli:{name}")):
        for _ in range(times):
            async with store.write() as connection:
                await teams.create(connection, Team(name, name))
                await keys.create(connection, VirtualKey(hash=name, masked="sk-...Ab3d", team_id=name))
            async with store.write() as connection:
                await teams.delete(connection, name)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3], int(sys.argv[3])))

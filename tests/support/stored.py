"""What a gateway's store holds, read from outside its process."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aai_gateway.core.regions import Region
from aai_gateway.store import Store, transcripts, usage
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageFilter, UsageRow


def usage_rows(path: Path, team_id: str | None = None) -> list[UsageRow]:
    """The ledger of a team, or all of it."""

    async def read() -> list[UsageRow]:
        store = await Store.open(f"sqlite:///{path}")
        try:
            async with store.read() as connection:
                return await usage.list_rows(connection, UsageFilter(team_id=team_id), limit=10_000)
        finally:
            await store.close()

    return asyncio.run(read())


def transcript_row(path: Path, region: Region, transcript_id: str) -> Transcript | None:
    """A transcript's row."""

    async def read() -> Transcript | None:
        store = await Store.open(f"sqlite:///{path}")
        try:
            async with store.read() as connection:
                return await transcripts.get(connection, region, transcript_id)
        finally:
            await store.close()

    return asyncio.run(read())

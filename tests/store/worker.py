"""Another process on the same store: `worker.py <url> <team> <name> <jobs>`.

Books jobs one by one, each a transcript and a usage row in one transaction, and prints a line after each
commit. With 0 jobs it only opens the store and closes it.
"""

from __future__ import annotations

import asyncio
import sys

from aai_gateway.core.regions import Region
from aai_gateway.store import Store, transcripts, usage


async def main(url: str, team: str, name: str, jobs: int) -> None:
    store = await Store.open(url)
    for number in range(jobs):
        job, owner = f"{name}-{number}", f"team:{team}"
        async with store.write() as connection:
            transcript = transcripts.Transcript(
                job, Region.US, owner, "https://example.com/a.mp3", team_id=team
            )
            await transcripts.record(connection, transcript)
            row = usage.UsageRow("speech", job, Region.US, owner, micros=7, team_id=team)
            await usage.record(connection, row)
        print(number, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))

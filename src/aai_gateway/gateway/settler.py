"""The settler: prices every job whose client never came back for it, and finds jobs that were cut off.

One task per process, no thread and no memory per pending job: what is due is read from the store. Workers
share the work by leases; the usage row's key makes a second settling harmless.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.errors import GatewayError, UpstreamFailed
from aai_gateway.gateway.ledger import FIRST_WAIT, Ledger, back_off
from aai_gateway.gateway.submission import record_accepted
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.settings import Settings
from aai_gateway.store import Store, intents, transcripts
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")

BATCH = 50
PARALLEL = 8
LEASE = timedelta(minutes=2)
"""How many jobs a round takes, how many at once, and how long they are this worker's."""

INTENT_AGE = timedelta(minutes=2)
"""An intent this old without a transcript was cut off: its request has timed out."""
INTENT_GIVE_UP = timedelta(hours=6)
"""After this long without a match the job was never accepted."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far AssemblyAI's clock may differ from ours when an intent is matched."""
LIST_PAGES = 50
"""Pages of AssemblyAI's list (200 each) that a search for cut-off jobs reads at most."""


class Settler:
    """Settles in rounds until it is cancelled."""

    def __init__(self, settings: Settings, store: Store, upstream: Upstream, ledger: Ledger) -> None:
        self._settings = settings
        self._store = store
        self._upstream = upstream
        self._ledger = ledger
        self._searches: dict[str, datetime] = {}

    async def run(self) -> None:
        """Settle what is due, again and again. A failing round is logged and tried again."""
        while True:
            try:
                for region in Region:
                    await self.recover_intents(region)
                while await self.settle_due() == BATCH:
                    pass
            except GatewayError as error:
                log.error("settling stopped for a round: %s", error)
            except Exception:
                # Whatever it was, the other jobs must still be settled.
                log.exception("settling stopped for a round")
            await asyncio.sleep(self._settings.settle_interval)

    async def settle_due(self) -> int:
        """One round: claim what is due and settle it; how many were claimed."""
        now = utc_now()
        async with self._store.write() as connection:
            claimed = await transcripts.claim_due(connection, now, now + LEASE, BATCH)
        places = asyncio.Semaphore(PARALLEL)

        async def one(row: Transcript) -> None:
            async with places:
                await self._settle_one(row)

        await asyncio.gather(*(one(row) for row in claimed))
        return len(claimed)

    async def _settle_one(self, row: Transcript) -> None:
        try:
            await self._ledger.settle_now(row)
        except (GatewayError, ValueError) as error:
            wait = back_off(row.attempts, 2)
            log.warning("transcript %s cannot be settled yet (%s); again in %s", row.id, error, wait)
            async with self._store.write() as connection:
                await transcripts.postpone(connection, row.region, row.id, utc_now() + wait, row.attempts + 1)

    async def recover_intents(self, region: Region) -> int:
        """Match intents without a transcript against AssemblyAI's list; how many were found.

        A job matches by audio URL and time, the nearest first, and only when no transcript row has it.
        """
        now = utc_now()
        async with self._store.read() as connection:
            open_intents = await intents.unresolved(connection, region, now - INTENT_AGE)
        due = [i for i in open_intents if self._searches.get(i.id, i.created_at) <= now]
        if not due or self._settings.account_key(region) is None:
            return 0
        # The longer the search has been in vain, the longer until the next: the list may be long.
        self._searches |= {i.id: now + max(FIRST_WAIT, (now - i.created_at) / 4) for i in due}
        try:
            listed = await self._list_since(region, due[0].created_at - CLOCK_SKEW)
        except UpstreamFailed as error:
            log.warning("cut-off jobs cannot be looked for yet: %s", error)
            return 0
        found = 0
        for intent in due:
            found += await self._recover(intent, listed, now)
        return found

    async def _recover(self, intent: intents.Intent, listed: list[dict[str, Any]], now: datetime) -> bool:
        async with self._store.write() as connection:
            if await _has_rival(connection, intent):
                return False
            for item in _candidates(intent, listed):
                if await transcripts.owner_of(connection, intent.region, item["id"]) is None:
                    await record_accepted(connection, intent, item, self._settings.settle_after)
                    log.info("found transcript %s of %s, which was cut off", item["id"], intent.owner)
                    self._searches.pop(intent.id)
                    return True
            if intent.created_at < now - INTENT_GIVE_UP:
                await intents.close(connection, intent.id, "unknown")
                self._searches.pop(intent.id)
        return False

    async def _list_since(self, region: Region, since: datetime) -> list[dict[str, Any]]:
        """AssemblyAI's list back to `since`, newest first. Raises UpstreamFailed."""
        headers = self._upstream.headers(region)
        listed: list[dict[str, Any]] = []
        query = "limit=200"
        for _ in range(LIST_PAGES):
            async with self._upstream.request(
                region, "GET", "/v2/transcript", headers=headers, query=query
            ) as response:
                body = await response.read()
                if response.status != 200:
                    raise UpstreamFailed(f"AssemblyAI answered {response.status}.")
            page = orjson.loads(body)["transcripts"]
            listed += page
            if not page or _created(page[-1]) < since:
                break
            query = f"limit=200&before_id={page[-1]['id']}"
        return [item for item in listed if _created(item) >= since]


async def _has_rival(connection: AsyncConnection, intent: intents.Intent) -> bool:
    """Whether another submission of the audio is under way, whose job could be taken for the lost one."""
    now = utc_now()
    unanswered = await intents.unresolved(connection, intent.region, now + CLOCK_SKEW)
    return any(i.audio_url == intent.audio_url and i.created_at >= now - INTENT_AGE for i in unanswered)


def _created(item: dict[str, Any]) -> datetime:
    moment = datetime.fromisoformat(str(item["created"]).replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=utc_now().tzinfo)


def _candidates(intent: intents.Intent, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs of the intent's audio from about its time, the nearest first."""
    earliest, latest = intent.created_at - CLOCK_SKEW, intent.created_at + INTENT_AGE + CLOCK_SKEW
    near = [
        item
        for item in listed
        if item.get("audio_url") == intent.audio_url and earliest <= _created(item) <= latest
    ]
    return sorted(near, key=lambda item: abs(_created(item) - intent.created_at))

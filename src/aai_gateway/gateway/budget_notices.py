"""Telling of spent soft budgets by webhook, in the shape of LiteLLM's webhook alerts.

One task per process, beside the settler and never in the way of a charge: what is to be told stands in the
store since the charge that caused it. Processes share the work by leases. A notice that was told, but could
not be marked so, is told again: its `id` says that it is the same.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import orjson
from pydantic import HttpUrl
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway import __version__
from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.errors import GatewayError
from aai_gateway.gateway.ledger import back_off
from aai_gateway.gateway.management_rows import iso, to_dollars
from aai_gateway.settings import Settings
from aai_gateway.store import Store, keys, notices, teams
from aai_gateway.store.notices import Notice

log = logging.getLogger("aai_gateway")

BATCH = 20
LEASE = timedelta(minutes=1)
"""How many notices a round takes, and how long they are this process's."""
TIMEOUT_SECONDS = 10.0
"""How long the receiver may take to answer."""
GIVE_UP = timedelta(days=1)
"""After this long without a 2xx a notice is given up."""
ID_HEADER = "x-aai-gateway-notice-id"


class BudgetNotices:
    """Tells what is due in rounds until it is cancelled."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    async def run(self) -> None:
        """Tell what is due, again and again. A failing round is logged and tried again."""
        while True:
            try:
                while await self.tell_due() == BATCH:
                    pass
            except GatewayError as error:
                log.error("telling of budgets stopped for a round: %s", error)
            except Exception:
                log.exception("telling of budgets stopped for a round")
            await asyncio.sleep(self._settings.settle_interval)

    async def tell_due(self) -> int:
        """One round: claim what is due and tell it, at once; how many were claimed."""
        now = utc_now()
        async with self._store.read() as connection:
            if not await notices.any_due(connection, now):
                return 0
        async with self._store.write() as connection:
            claimed = await notices.claim_due(connection, now, now + LEASE, BATCH)
        if self._settings.budget_webhook is None:
            for notice in claimed:
                log.warning("%s No webhook is set to tell it to.", message(notice))
                await self._postpone(notice, None)
        else:
            await self._tell(claimed, self._settings.budget_webhook)
        return len(claimed)

    async def _tell(self, claimed: list[Notice], url: HttpUrl) -> None:
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS), cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            await asyncio.gather(*(self._tell_one(session, notice, url) for notice in claimed))

    async def _tell_one(self, session: aiohttp.ClientSession, notice: Notice, url: HttpUrl) -> None:
        async with self._store.read() as connection:
            body = await event_of(connection, notice)
        trouble = await _post(session, str(url), notice.id, orjson.dumps(body))
        if trouble is None:
            async with self._store.write() as connection:
                await notices.mark_delivered(connection, notice.id, utc_now())
            return
        # The URL may hold a secret: only its host is logged.
        if notice.created_at + GIVE_UP <= utc_now():
            log.error("notice %s was given up, %s: %s. %s", notice.id, url.host, trouble, message(notice))
            await self._postpone(notice, None)
        else:
            wait = back_off(notice.attempts - 1, 2)
            log.warning("notice %s was not taken, %s: %s; again in %s", notice.id, url.host, trouble, wait)
            await self._postpone(notice, utc_now() + wait)

    async def _postpone(self, notice: Notice, until: datetime | None) -> None:
        async with self._store.write() as connection:
            await notices.postpone(connection, notice.id, until)


async def _post(session: aiohttp.ClientSession, url: str, notice_id: int, body: bytes) -> str | None:
    """Send one notice; what went wrong, or None when it was taken. Redirects are not followed."""
    headers = {
        "content-type": "application/json",
        "user-agent": f"aai-gateway/{__version__}",
        ID_HEADER: str(notice_id),
    }
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return None if 200 <= response.status < 300 else f"HTTP {response.status}"
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
        # Its text may name the URL.
        return type(error).__name__


def message(notice: Notice) -> str:
    """What has happened, in a sentence."""
    body = notice.body
    return (
        f"Soft Budget Crossed: {body['name']} has spent {dollars(body['spent_micros'])} "
        f"of its soft budget of {dollars(body['soft_micros'])}."
    )


async def event_of(connection: AsyncConnection, notice: Notice) -> dict[str, Any]:
    """A notice as the fields of LiteLLM's `WebhookEvent` (1.106.2), and our `id` and the budget's period.

    Amounts are USD. A key or team that is gone meanwhile is known by its hash or id alone.
    """
    kind, _, name = notice.scope.partition(":")
    key, team = None, None
    if kind == "key" and (found := await keys.with_team(connection, name)) is not None:
        key, team = found
    elif kind == "team":
        team = await teams.by_id(connection, name)
    body = notice.body
    return {
        "id": notice.id,
        "event": notice.event,
        "event_group": {"gateway": "proxy"}.get(kind, kind),
        "event_message": message(notice),
        "spend": to_dollars(body["spent_micros"]),
        "max_budget": to_dollars(body["max_micros"]),
        "soft_budget": to_dollars(body["soft_micros"]),
        "token": name if kind == "key" else None,
        "key_alias": key.alias if key else None,
        "user_id": key.user_id if key else None,
        "team_id": name if kind == "team" else (team.id if team else None),
        "team_alias": team.alias if team else None,
        "customer_id": None,
        "organization_id": None,
        "user_email": None,
        "projected_exceeded_date": None,
        "projected_spend": None,
        "budget_duration": body["duration"],
        "budget_reset_at": body["resets_at"],
        "created_at": iso(notice.created_at),
    }

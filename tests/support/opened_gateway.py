"""The gateway's insides, opened in the test's own process, with LiteLLM left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from aai_gateway.core.rates import Rates
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key
from aai_gateway.emulator import Emulator
from aai_gateway.gateway.chat_wire import ChatUpstream
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.identity import Identity
from aai_gateway.gateway.ledger import Ledger
from aai_gateway.gateway.llm_routes import LLM_HANDLERS
from aai_gateway.gateway.passthrough import SpeechRoutes
from aai_gateway.gateway.prices import Prices
from aai_gateway.gateway.submission import Submissions
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.gateway.webhook_delivery import WebhookDelivery
from aai_gateway.gateway.webhook_secrets import webhook_secrets
from aai_gateway.price_book import load_price_book
from aai_gateway.settings import Settings
from aai_gateway.store import Store, keys, teams

MASTER = "sk-master"
KEY = "sk-key-of-team"
TEAM = "team-1"


@asynccontextmanager
async def opened_gateway(emulator: Emulator, directory: Path, **settings: Any) -> AsyncIterator[Gateway]:
    """A gateway for `emulator` with one team, TEAM, and its key, KEY."""
    given = {
        "assemblyai_api_key": emulator.config.account_key,
        "assemblyai_eu_api_key": None,
        "us_url": emulator.urls.us,
        "eu_url": emulator.urls.eu,
        "llm_us_url": emulator.urls.llm_us,
        "llm_eu_url": emulator.urls.llm_eu,
        "data_dir": directory,
        **settings,
    }
    configured = Settings(**given)
    store = await Store.open(configured.resolved_store_url)
    upstream = Upstream(configured)
    prices = Prices(load_price_book())
    chat = ChatUpstream(configured)
    webhooks = None
    if configured.public_url or configured.eu_public_url:
        webhooks = WebhookDelivery(configured, store, webhook_secrets(configured))
    secrets = webhooks.secrets if webhooks else None
    try:
        async with store.write() as connection:
            if await teams.by_id(connection, TEAM) is None:
                await teams.create(connection, Team(id=TEAM, alias=TEAM))
                key = VirtualKey(hash=hash_key(KEY), masked=mask_key(KEY), team_id=TEAM)
                await keys.create(connection, key)
        yield Gateway(
            settings=configured,
            store=store,
            identity=Identity(store, lambda key: key == MASTER),
            upstream=upstream,
            prices=prices,
            ledger=Ledger(configured, store, upstream, prices),
            submissions=Submissions(configured, store, upstream, prices, secrets),
            chat=chat,
            rates=Rates(),
            webhooks=webhooks,
        )
    finally:
        await chat.close()
        await upstream.close()
        await store.close()


async def another_key(gateway: Gateway, secret: str, **rights: Any) -> str:
    """A further key of TEAM's, which is returned; `rights` are `own_only` and `read_only`."""
    async with gateway.store.write() as connection:
        key = VirtualKey(hash=hash_key(secret), masked=mask_key(secret), team_id=TEAM, **rights)
        await keys.create(connection, key)
    return secret


def speech_client(gateway: Gateway, key: str = KEY) -> httpx.AsyncClient:
    """A client of AssemblyAI's routes of the gateway, without a server between."""

    async def ready() -> Gateway:
        return gateway

    return httpx.AsyncClient(
        transport=httpx.ASGITransport(SpeechRoutes(ready, LLM_HANDLERS)),
        base_url="http://gateway",
        headers={"Authorization": key},
    )

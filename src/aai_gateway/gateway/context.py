"""The opened gateway: what every request needs, opened once per process and closed with it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from aai_gateway import litellm_models
from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.guesses import Guesses
from aai_gateway.core.rates import Rates
from aai_gateway.core.traffic import Tally
from aai_gateway.errors import GatewayError
from aai_gateway.gateway import litellm_host
from aai_gateway.gateway.budget_notices import BudgetNotices
from aai_gateway.gateway.chat_wire import ChatUpstream
from aai_gateway.gateway.deletions import Deletions
from aai_gateway.gateway.identity import Identity
from aai_gateway.gateway.ledger import Ledger
from aai_gateway.gateway.prices import Prices
from aai_gateway.gateway.settler import Settler
from aai_gateway.gateway.submission import Submissions
from aai_gateway.gateway.traffic_writer import TrafficWriter
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.gateway.webhook_delivery import WebhookDelivery
from aai_gateway.gateway.webhook_secrets import webhook_secrets
from aai_gateway.price_book import load_price_book
from aai_gateway.settings import Settings
from aai_gateway.store import Store, gateway_budget

log = logging.getLogger("aai_gateway")


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything that a request needs. `webhooks` is None where the gateway has no public URL."""

    settings: Settings
    store: Store
    identity: Identity
    upstream: Upstream
    prices: Prices
    ledger: Ledger
    submissions: Submissions
    chat: ChatUpstream
    rates: Rates
    webhooks: WebhookDelivery | None = None


class Runtime:
    """Opens the gateway on first use in this process's event loop and closes it when the loop ends."""

    def __init__(
        self,
        settings: Settings,
        limits: Budget | None = None,
        guesses: Guesses | None = None,
        tally: Tally | None = None,
    ) -> None:
        """`limits` are the gateway's own budget as configured; without them the stored ones stay.

        `guesses` are the process's; without them the gateway's identity counts its own. `tally` is where the
        process's requests are counted, to be written to the store.
        """
        self._tally = tally or Tally()
        self._traffic: TrafficWriter | None = None
        self._guesses = guesses or Guesses(settings.unknown_keys_per_minute)
        self._settings = settings
        self._limits = limits
        self._lock = asyncio.Lock()
        self._gateway: Gateway | None = None
        self._background: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open the gateway and begin settling, in the background."""
        self._background = asyncio.get_running_loop().create_task(self._run(), name="aai-gateway")

    async def ready(self) -> Gateway:
        """The opened gateway. Raises StoreError, PriceError or ConfigurationError."""
        if self._gateway is None:
            async with self._lock:
                if self._gateway is None:
                    self._gateway = await self._open()
        return self._gateway

    async def _open(self) -> Gateway:
        prices = Prices(load_price_book(), on_change=litellm_models.register)
        store = await Store.open(self._settings.resolved_store_url)
        try:
            await self._set_limits(store)
            webhooks = self._webhooks(store)
        except BaseException:
            await store.close()
            raise
        upstream = Upstream(self._settings, self._tally)
        self._traffic = TrafficWriter(store, self._tally)
        return Gateway(
            settings=self._settings,
            store=store,
            identity=Identity(store, litellm_host.is_master_key, self._guesses),
            upstream=upstream,
            prices=prices,
            ledger=Ledger(self._settings, store, upstream, prices),
            submissions=Submissions(
                self._settings, store, upstream, prices, webhooks.secrets if webhooks else None
            ),
            chat=ChatUpstream(self._settings, self._tally),
            rates=Rates(),
            webhooks=webhooks,
        )

    def _webhooks(self, store: Store) -> WebhookDelivery | None:
        if self._settings.public_url is None and self._settings.eu_public_url is None:
            return None
        return WebhookDelivery(self._settings, store, webhook_secrets(self._settings))

    async def _set_limits(self, store: Store) -> None:
        if self._limits is not None:
            async with store.write() as connection:
                if await gateway_budget.set_limits(connection, self._limits, utc_now()):
                    log.info("the gateway's budget has changed")

    async def _run(self) -> None:
        """Settle, delete and tell until cancelled, then close what was opened."""
        try:
            gateway = await self._opened()
            settler = Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger)
            deletions = Deletions(gateway.settings, gateway.store, gateway.upstream, settler.pace)
            notices = BudgetNotices(gateway.settings, gateway.store)
            beside = [settler.run(), deletions.run(), notices.run(), gateway.identity.last_used.run()]
            if gateway.webhooks is not None:
                beside.append(gateway.webhooks.run())
            if self._traffic is not None:
                beside.append(self._traffic.run())
            # Cancelled together; with return_exceptions the end of one is not the end of the wait.
            await asyncio.gather(*beside, return_exceptions=True)
        finally:
            with contextlib.suppress(Exception):
                await asyncio.shield(self.close())

    async def _opened(self) -> Gateway:
        """The gateway, once it can be opened: a store that is away at the start must not end the settling."""
        while True:
            try:
                return await self.ready()
            except GatewayError as error:
                log.error("the gateway cannot be opened yet: %s", error)
                await asyncio.sleep(self._settings.settle_interval)

    async def stop(self) -> None:
        """End what `start` began, what is being written first, and close the store and the connections."""
        if self._background is not None:
            self._background.cancel()
            await asyncio.wait([self._background])

    async def close(self) -> None:
        """Close the store and the connections."""
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            await gateway.submissions.drain()
            await gateway.chat.close()
            await gateway.upstream.close()
            await gateway.identity.last_used.flush()
            if self._traffic is not None:
                await self._traffic.close()
            await gateway.store.close()

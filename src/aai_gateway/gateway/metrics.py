"""`/metrics` for Prometheus: what the store says, so that every worker tells the same, over restarts too."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from aai_gateway.core.budgets import utc_now
from aai_gateway.gateway.metric_families import families
from aai_gateway.store import Store, figures
from aai_gateway.store.figures import Figures

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from pydantic import SecretStr

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
KEPT_SECONDS = 5.0
"""For how long a process gives the same answer: scrapes that come more often cost nothing."""


class Metrics:
    """Renders the figures, at most once in KEPT_SECONDS however many ask."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._page = b""
        self._until = 0.0

    async def page(self, store: Store) -> bytes:
        """The metrics in Prometheus's text format. Raises StoreError."""
        async with self._lock:
            if time.monotonic() >= self._until:
                now = utc_now()
                async with store.read() as connection:
                    found = await figures.read(connection, now)
                # Thousands of lines: requests go on meanwhile.
                self._page = await asyncio.to_thread(render, found, now)
                self._until = time.monotonic() + KEPT_SECONDS
        return self._page


def render(found: Figures, now: datetime) -> bytes:
    """The figures in Prometheus's text format; amounts in USD, exact."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Collector:
        def collect(self) -> Iterable[Metric]:
            return families(found, now)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector())
    return generate_latest(registry)


def is_metrics_token(presented: str, token: SecretStr | None) -> bool:
    """Whether `presented` is the token that opens `/metrics` alone, compared in constant time."""
    return token is not None and hmac.compare_digest(presented.encode(), token.get_secret_value().encode())

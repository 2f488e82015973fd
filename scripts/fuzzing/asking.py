"""Sends random requests, so many at a time, and counts how they ended."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

SECONDS = 120.0
"""Within this each request must end."""


@dataclass(frozen=True)
class Ask:
    """One request. `target` is the path as it is written, `kind` a line of the table."""

    kind: str
    method: str
    target: str
    headers: Mapping[str, str]
    json: Any = None
    data: bytes | None = None


@dataclass
class Endings:
    """How many requests of each kind ended how: by class of status, `2xx` to `5xx`, or `none`."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, kind: str, status: int | None) -> None:
        """Count one."""
        self.counts.setdefault(kind, Counter())[f"{status // 100}xx" if status else "none"] += 1

    @property
    def total(self) -> int:
        """All of them."""
        return sum(sum(counter.values()) for counter in self.counts.values())


async def ask_all(
    base: str,
    number: int,
    next_ask: Callable[[], Ask],
    learn: Callable[[Ask, int, bytes], Awaitable[None] | None],
    at_once: int,
) -> Endings:
    """Send `number` requests to the server at `base`; `learn` hears of each answer."""
    endings, left = Endings(), iter(range(number))
    timeout = aiohttp.ClientTimeout(total=SECONDS)

    async def client(session: aiohttp.ClientSession) -> None:
        for count in left:
            ask = next_ask()
            status, body = await _answer(session, base, ask)
            endings.add(ask.kind, status)
            if status is not None:
                learn(ask, status, body)
            if (count + 1) % 1000 == 0:
                print(f"… {count + 1} of {number} requests", file=sys.stderr, flush=True)

    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        await asyncio.gather(*(client(session) for _ in range(at_once)))
    return endings


async def _answer(session: aiohttp.ClientSession, base: str, ask: Ask) -> tuple[int | None, bytes]:
    url = URL(f"{base}{ask.target}", encoded=True)
    try:
        async with session.request(
            ask.method, url, headers=ask.headers, json=ask.json, data=ask.data, allow_redirects=False
        ) as response:
            return response.status, await response.read()
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError):
        return None, b""

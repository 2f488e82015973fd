"""Telling a webhook: up to ten attempts of ten seconds each, until a 2xx; a 4xx ends it for good.

Source: AssemblyAI documentation, "Webhooks". The waits between attempts are the emulator's own, short ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

_ATTEMPTS = 10
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0


async def deliver(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], told: Mapping[str, Any]
) -> int | None:
    """POST `told` as JSON to `url`; gives the last HTTP status, None when nobody ever answered."""
    status = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT))
        try:
            async with session.post(
                url, json=told, headers=headers, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, asyncio.TimeoutError, ValueError):
            continue
        if 200 <= status < 300 or 400 <= status < 500:
            return status
    return status

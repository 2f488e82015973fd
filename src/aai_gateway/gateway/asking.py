"""The gateway's own questions to AssemblyAI about the account's jobs, at a modest pace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from aai_gateway.core.matching import Listed, listed_from
from aai_gateway.core.regions import Region
from aai_gateway.errors import NotFound, UpstreamFailed
from aai_gateway.gateway.upstream import Upstream

PAGE = 200
"""Jobs on a page of AssemblyAI's list, the most that it gives."""


async def ask(
    upstream: Upstream, region: Region, path: str, *, query: str = "", deadline: float | None = None
) -> dict[str, Any]:
    """What AssemblyAI answers to a GET. Raises NotFound for an id that it does not know, UpstreamFailed."""
    headers = upstream.headers(region)
    async with upstream.request(
        region, "GET", path, headers=headers, query=query, deadline=deadline
    ) as response:
        body = await response.read()
    if response.status == 400 and NotFound().text.encode() in body:
        raise NotFound
    if response.status != 200:
        wait = retry_after(response.headers)
        raise UpstreamFailed(f"AssemblyAI answered {response.status}.", status=502, retry_after=wait)
    try:
        answer = orjson.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise UpstreamFailed("AssemblyAI's answer cannot be read.", status=502)
    return answer


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a `Retry-After` asks to wait, given as such or as a date (RFC 9110, section 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


class Pace:
    """Lets questions through one after the other, so many per second at most, whoever asks."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        self._next = at + self._gap
        if at > now:
            await asyncio.sleep(at - now)


class AccountJobs:
    """The jobs that AssemblyAI has for this account, whoever submitted them."""

    def __init__(self, upstream: Upstream, pace: Pace) -> None:
        self._upstream = upstream
        self._pace = pace

    async def transcript(self, region: Region, transcript_id: str) -> dict[str, Any]:
        """A job's transcript. Raises NotFound, UpstreamFailed."""
        await self._pace.turn()
        return await ask(self._upstream, region, f"/v2/transcript/{transcript_id}")

    async def page(self, region: Region, before_id: str | None = None) -> list[Listed]:
        """The newest jobs, or those next older than one, newest first. Raises NotFound, UpstreamFailed."""
        await self._pace.turn()
        query = f"limit={PAGE}" + (f"&before_id={before_id}" if before_id else "")
        answer = await ask(self._upstream, region, "/v2/transcript", query=query)
        try:
            return [listed_from(item) for item in answer["transcripts"]]
        except (KeyError, TypeError, ValueError):
            raise UpstreamFailed("AssemblyAI's list cannot be read.", status=502) from None

    async def back_to(
        self, region: Region, earliest: datetime, anchors: Iterable[str] = ()
    ) -> AsyncIterator[list[Listed]]:
        """Pages from the newest job back to a moment, each newest first.

        With `anchors` they begin below the first of these jobs that AssemblyAI still knows. Raises
        UpstreamFailed.
        """
        jobs = await self._first(region, anchors)
        while jobs:
            yield jobs
            if jobs[-1].created < earliest:
                return
            try:
                jobs = await self.page(region, jobs[-1].id)
            except NotFound:
                raise UpstreamFailed("AssemblyAI's list has lost its place.", status=502) from None

    async def _first(self, region: Region, anchors: Iterable[str]) -> list[Listed]:
        for anchor in anchors:
            try:
                return await self.page(region, anchor)
            except NotFound:
                continue
        return await self.page(region)

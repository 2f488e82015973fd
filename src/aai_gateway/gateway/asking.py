"""The gateway's own questions to AssemblyAI about the account's jobs, at a modest pace."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar

import orjson

from aai_gateway.core.breaker import Breaker
from aai_gateway.core.matching import Listed, listed_from
from aai_gateway.core.regions import Region
from aai_gateway.errors import NotFound, TooManyRequests, UpstreamFailed
from aai_gateway.gateway.fair_queue import GATEWAY
from aai_gateway.gateway.observing import current
from aai_gateway.gateway.upstream import Upstream

PAGE = 200
"""Jobs on a page of AssemblyAI's list, the most that it gives."""
TRIES = 8
"""Of a patient question, with pauses of a second to a minute in between: three minutes in all."""
NOT_BY_WAITING = (401, 403)
"""Statuses that stay: the account's key is wrong."""

T = TypeVar("T")


async def ask(
    upstream: Upstream,
    region: Region,
    path: str,
    *,
    method: Literal["GET", "DELETE"] = "GET",
    query: str = "",
    deadline: float | None = None,
) -> dict[str, Any]:
    """What AssemblyAI answers to a GET or a DELETE.

    Raises NotFound for an id that it does not know, and UpstreamFailed with AssemblyAI's own status.
    """
    headers = upstream.headers(region)
    try:
        await upstream.turns.turn(GATEWAY)
    except TooManyRequests as error:
        raise UpstreamFailed(error.text, status=429, sent=False, retry_after=error.retry_after) from None
    async with upstream.request(
        region, method, path, headers=headers, query=query, deadline=deadline
    ) as response:
        with current().waiting():
            body = await response.read()
    if response.status == 400 and NotFound().text.encode() in body:
        raise NotFound
    if response.status != 200:
        told = f"AssemblyAI answered {response.status}."
        raise UpstreamFailed(told, status=response.status, retry_after=retry_after(response.headers))
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

    async def page(
        self, region: Region, before_id: str | None = None, *, after_id: str | None = None, limit: int = PAGE
    ) -> list[Listed]:
        """The newest jobs, those next older than one, or those newer than one, newest first.

        Raises NotFound, UpstreamFailed.
        """
        await self._pace.turn()
        place = {"before_id": before_id, "after_id": after_id}
        query = "&".join([f"limit={limit}", *(f"{name}={one}" for name, one in place.items() if one)])
        answer = await ask(self._upstream, region, "/v2/transcript", query=query)
        try:
            return [listed_from(item) for item in answer["transcripts"]]
        except (KeyError, TypeError, ValueError):
            raise UpstreamFailed("AssemblyAI's list cannot be read.", status=502) from None

    async def listed(self, region: Region, transcript_id: str) -> Listed | None:
        """How AssemblyAI lists one job: the item next older than the one next newer.

        None when that is another, as while jobs are being submitted. Raises NotFound, UpstreamFailed.
        """
        newer = await self.page(region, after_id=transcript_id, limit=1)
        found = await self.page(region, newer[-1].id if newer else None, limit=1)
        return next((job for job in found if job.id == transcript_id), None)

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


class PatientJobs(AccountJobs):
    """The same, each question asked again in trouble: what cannot come back later waits for minutes."""

    def __init__(self, upstream: Upstream, pace: Pace) -> None:
        super().__init__(upstream, pace)
        self._breaker = Breaker()

    async def transcript(self, region: Region, transcript_id: str) -> dict[str, Any]:
        """A job's transcript. Raises NotFound, and UpstreamFailed when AssemblyAI stays away."""
        ask_once = super().transcript
        return await self._patiently(lambda: ask_once(region, transcript_id))

    async def page(
        self, region: Region, before_id: str | None = None, *, after_id: str | None = None, limit: int = PAGE
    ) -> list[Listed]:
        """A page of jobs, newest first. Raises NotFound, and UpstreamFailed when AssemblyAI stays away."""
        ask_once = super().page
        return await self._patiently(lambda: ask_once(region, before_id, after_id=after_id, limit=limit))

    async def _patiently(self, question: Callable[[], Awaitable[T]]) -> T:
        clock = asyncio.get_running_loop().time
        while True:
            try:
                answer = await question()
            except UpstreamFailed as error:
                if error.status in NOT_BY_WAITING or self._breaker.failures >= TRIES:
                    raise
                chance = random.random()  # noqa: S311 - spreads pauses, no secret
                self._breaker = self._breaker.troubled(clock(), chance, error.retry_after)
                await asyncio.sleep(self._breaker.pause(clock()))
            else:
                self._breaker = self._breaker.answered(clock())
                return answer

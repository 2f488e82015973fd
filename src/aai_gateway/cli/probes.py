"""What `doctor` asks over the network: AssemblyAI's hosts in each region, the gateway, the time."""

from __future__ import annotations

import asyncio
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from aai_gateway.cli.checks import Check
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import ALL_REGIONS, Region

if TYPE_CHECKING:
    from aai_gateway.settings import Settings

TIMEOUT = 10.0
"""Seconds for each request."""

MOST_SKEW = 60.0
"""Seconds that this clock may differ from AssemblyAI's; budgets and expiry go by ours."""


async def probe_all(settings: Settings) -> list[Check]:
    """Ask every host at once; the findings in a fixed order."""
    async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
        upstream = [probe(client, settings, region) for region in ALL_REGIONS for probe in (_speech, _chat)]
        found = await asyncio.gather(*upstream, _gateway(client, settings))
    checks = [check for checks, _ in found for check in checks]
    moments = [moment for _, moment in found if moment is not None]
    return [*checks, _clock(moments)] if moments else checks


Found = tuple[list[Check], datetime | None]


async def _speech(client: httpx.AsyncClient, settings: Settings, region: Region) -> Found:
    url = f"{settings.speech_url(region)}/v2/transcript?limit=1"
    return await _upstream(client, f"speech {region.value}", url, settings.account_key(region))


async def _chat(client: httpx.AsyncClient, settings: Settings, region: Region) -> Found:
    url = f"{settings.llm_url(region)}/v1/models"
    return await _upstream(client, f"chat {region.value}", url, settings.account_key(region))


async def _upstream(client: httpx.AsyncClient, name: str, url: str, key: str | None) -> Found:
    try:
        response = await client.get(url, headers={"authorization": key} if key else {})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        text = f"{_host(url)} cannot be reached ({type(error).__name__}); check network, proxy and firewall"
        return [Check(name, "fail" if key else "warn", text)], None
    return [_judge(name, url, response.status_code, has_key=key is not None)], _date(response)


def _judge(name: str, url: str, status: int, *, has_key: bool) -> Check:
    if status == 200 and has_key:
        return Check(name, "ok", f"{_host(url)} takes the account key")
    if status in (200, 401, 403) and not has_key:
        return Check(name, "ok", f"{_host(url)} answers; no account key to try")
    if status in (401, 403):
        return Check(name, "fail", f"{_host(url)} refuses the account key; copy it afresh from the dashboard")
    return Check(name, "warn", f"{_host(url)} answers with status {status}; try again later")


async def _gateway(client: httpx.AsyncClient, settings: Settings) -> Found:
    base = str(settings.url).rstrip("/")
    try:
        alive = await client.get(f"{base}/health/liveliness")
        answer = await client.get(f"{base}/{Region.US.speech_prefix}/v2/transcript")
    except httpx.HTTPError:
        return [
            Check("gateway", "warn", f"nothing answers at {base}; start it (serve) or set AAI_GATEWAY_URL")
        ], None
    if alive.status_code != 200:
        return [
            Check("gateway", "fail", f"{base} is no healthy LiteLLM proxy: status {alive.status_code}")
        ], None
    if not _is_ours(answer):
        text = f"{base} is a LiteLLM proxy without the gateway; its config needs the callbacks line"
        return [Check("gateway", "fail", text)], None
    checks = [Check("gateway", "ok", f"{base} answers /assemblyai as the gateway")]
    if settings.key is not None:
        checks.append(await _virtual_key(client, base, settings.key.get_secret_value()))
    return checks, None


def _is_ours(answer: httpx.Response) -> bool:
    """Whether a request without a key met our data plane: 401 and AssemblyAI's `{"error": "text"}`."""
    try:
        return answer.status_code == 401 and isinstance(answer.json()["error"], str)
    except (ValueError, KeyError, TypeError):
        return False


async def _virtual_key(client: httpx.AsyncClient, base: str, key: str) -> Check:
    name, allowed = "virtual key", []
    for region in ALL_REGIONS:
        url = f"{base}/{region.speech_prefix}/v2/transcript?limit=1"
        try:
            status = (await client.get(url, headers={"authorization": key})).status_code
        except (httpx.HTTPError, ValueError) as error:
            return Check(name, "fail", f"could not be tried ({type(error).__name__})")
        if status == 401:
            return Check(
                name, "fail", "the gateway refuses AAI_GATEWAY_KEY; make one: aai-gateway keys create"
            )
        if status == 200:
            allowed.append(region.value.upper())
    text = f"may use {' and '.join(allowed)}" if allowed else "may use no region"
    return Check(name, "ok" if allowed else "fail", text)


def _clock(moments: list[datetime]) -> Check:
    skew = min(abs((utc_now() - moment).total_seconds()) for moment in moments)
    if skew <= MOST_SKEW:
        return Check("clock", "ok", "agrees with AssemblyAI's")
    return Check(
        "clock", "warn", f"{skew:.0f} s away from AssemblyAI's; budgets and expiry go by it: use NTP"
    )


def _date(response: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["date"])
    except (KeyError, ValueError):
        return None


def _host(url: str) -> str:
    return httpx.URL(url).netloc.decode()

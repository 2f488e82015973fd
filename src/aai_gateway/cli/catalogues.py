"""Asks the regions' LLM Gateways which chat models they offer, and at which prices. No key is needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx

from aai_gateway.core.catalogue import Catalogue, parse_catalogue
from aai_gateway.core.regions import Region
from aai_gateway.errors import PriceError

if TYPE_CHECKING:
    from aai_gateway.settings import Settings

MOST_BYTES = 8 * 1024 * 1024
"""A catalogue of fifty models has some 60 kB."""

MOST_SECONDS = 60.0
"""For the whole of one region's answer."""


async def fetch_all(
    settings: Settings, regions: Sequence[Region]
) -> tuple[list[Catalogue], dict[Region, str]]:
    """The catalogues of `regions`, and a sentence for each that could not be had."""
    timeout = httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout)
    async with httpx.AsyncClient(timeout=timeout, follow_redirects=False) as client:
        found = await asyncio.gather(*(_fetch(client, settings, region) for region in regions))
    catalogues = [one for one in found if isinstance(one, Catalogue)]
    return catalogues, {
        region: one for region, one in zip(regions, found, strict=True) if isinstance(one, str)
    }


def address(settings: Settings, region: Region) -> str:
    """The catalogue's URL, without a user and password that it may have been given."""
    return str(httpx.URL(f"{settings.llm_url(region)}/v1/models").copy_with(userinfo=b""))


async def _fetch(client: httpx.AsyncClient, settings: Settings, region: Region) -> Catalogue | str:
    try:
        content = await asyncio.wait_for(
            _get(client, f"{settings.llm_url(region)}/v1/models"), timeout=MOST_SECONDS
        )
        return parse_catalogue(region, json.loads(content, parse_float=Decimal))
    except PriceError as error:
        problem = str(error)
    except (httpx.HTTPError, httpx.InvalidURL, asyncio.TimeoutError) as error:
        problem = f"it cannot be reached ({type(error).__name__})"
    except (ValueError, ArithmeticError, RecursionError):
        problem = "its answer is no JSON"
    return f"{region.value.upper()}: {address(settings, region)}: {problem}."


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    async with client.stream("GET", url, headers={"accept": "application/json"}) as response:
        if response.status_code != 200:
            raise PriceError(f"it answered {response.status_code}")
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MOST_BYTES:
                raise PriceError("its answer is too long")
    return bytes(content)

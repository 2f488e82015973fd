"""AssemblyAI as the gateway talks to it: one pooled HTTP client, and its failures as refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from aai_gateway.core.regions import Region
from aai_gateway.errors import Refused, UpstreamFailed
from aai_gateway.gateway.wire import ClientGone
from aai_gateway.settings import Settings

KEEP_ALIVE_SECONDS = 15.0
"""Shorter than load balancers keep a connection, so that a request is not sent into a closing one."""


class Upstream:
    """AssemblyAI's speech-to-text hosts. Redirects are not followed; bodies are not decoded."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bases = {region: settings.speech_url(region) for region in Region}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            timeout=self._timeout(),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    def account_key(self, region: Region) -> str:
        """The account's key in a region. Raises UpstreamFailed (503) when there is none."""
        key = self._settings.account_key(region)
        if key is None:
            raise UpstreamFailed(
                f"This gateway has no AssemblyAI key for the {region.value.upper()} region.",
                status=503,
                sent=False,
            )
        return key

    def headers(self, region: Region) -> dict[str, str]:
        """Headers of the gateway's own requests. Raises UpstreamFailed (503) for a region without a key."""
        return {"authorization": self.account_key(region), "accept-encoding": "identity"}

    @asynccontextmanager
    async def request(
        self,
        region: Region,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: str = "",
        body: bytes | AsyncIterator[bytes] | None = None,
        deadline: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request; the query string goes out as given. Raises UpstreamFailed (502, 504).

        `deadline` is the seconds that everything may take, the reading of the answer included.
        """
        url = URL(f"{self._bases[region]}{path}{'?' + query if query else ''}", encoded=True)
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=self._timeout(deadline),
            ) as response:
                yield response
        except (ClientGone, Refused):
            raise
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise UpstreamFailed("AssemblyAI could not be reached.", status=502, sent=False) from None
        except (aiohttp.ServerTimeoutError, asyncio.TimeoutError):
            raise UpstreamFailed("AssemblyAI took too long to answer.", status=504) from None
        except aiohttp.ClientError as error:
            # aiohttp wraps what the body iterator raised; that is the client's, and no fault of AssemblyAI's.
            if isinstance(error.__cause__, ClientGone | Refused):
                raise error.__cause__ from None
            raise UpstreamFailed("AssemblyAI could not be reached.", status=502) from None

    def _timeout(self, deadline: float | None = None) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=deadline,
            sock_connect=self._settings.connect_timeout,
            sock_read=self._settings.read_timeout,
        )

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._session.close()

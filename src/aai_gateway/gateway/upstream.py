"""AssemblyAI as the gateway talks to it: one pooled HTTP client, and its failures as refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from aai_gateway.core.regions import Host, Region
from aai_gateway.core.traffic import BROKEN, TIMEOUT, UNREACHABLE, Tally
from aai_gateway.errors import GatewayError, Refused, UpstreamFailed
from aai_gateway.gateway.fair_queue import RequestTurns
from aai_gateway.gateway.observing import Asking
from aai_gateway.gateway.wire import ClientGone
from aai_gateway.settings import Settings

REDIRECTS = frozenset({300, 301, 302, 303, 305, 307, 308})
REDIRECTED = "AssemblyAI answered with a redirect, which the gateway does not follow."

KEEP_ALIVE_SECONDS = 15.0
"""Shorter than load balancers keep a connection, so that a request is not sent into a closing one."""


class Upstream:
    """AssemblyAI's hosts. Redirects are failures; bodies are not decoded.

    How requests end is counted in `tally`; without it, nobody hears of it.
    """

    def __init__(self, settings: Settings, tally: Tally | None = None) -> None:
        self._settings = settings
        self._tally = tally or Tally()
        self.turns = RequestTurns(settings.account_requests_per_5_minutes, settings.queue_timeout)
        """Who sends a request waits for its turn first."""
        self._bases = {
            Host.SPEECH: {region: settings.speech_url(region) for region in Region},
            Host.LLM_GATEWAY: {region: settings.llm_url(region) for region in Region},
        }
        self._hosts = {
            host: {region: urlsplit(base).netloc.rpartition("@")[2] for region, base in bases.items()}
            for host, bases in self._bases.items()
        }
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
        host: Host = Host.SPEECH,
        patience: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request; the query string goes out as given. Raises UpstreamFailed (502, 504).

        It bears the id of the client's request that it is made for.

        A redirect is such a failure: neither the gateway nor its client shall follow it to another host.
        `deadline` is the seconds that everything may take, the reading of the answer included; `patience` is
        how long AssemblyAI may be silent, the settings' `read_timeout` when it is not given.
        """
        url = URL(f"{self._bases[host][region]}{path}{'?' + query if query else ''}", encoded=True)
        asking = Asking(self._tally, self._hosts[host][region], method)
        if asking.request_id:
            headers = {**headers, "x-request-id": asking.request_id}
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=self._timeout(deadline, patience),
            ) as response:
                asking.answered(response.status)
                if response.status in REDIRECTS:
                    raise UpstreamFailed(REDIRECTED, status=502)
                yield response
        except (ClientGone, Refused):
            raise
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            asking.outcome = UNREACHABLE
            raise UpstreamFailed("AssemblyAI could not be reached.", status=502, sent=False) from None
        except (aiohttp.ServerTimeoutError, asyncio.TimeoutError):
            asking.outcome = TIMEOUT
            raise UpstreamFailed("AssemblyAI took too long to answer.", status=504) from None
        except aiohttp.ClientError as error:
            # aiohttp wraps what the body iterator raised; a client that left is no fault of AssemblyAI, and
            # neither is an upload that may not go on.
            if isinstance(error.__cause__, (ClientGone, GatewayError)):
                raise error.__cause__ from None
            asking.outcome = BROKEN
            raise UpstreamFailed("AssemblyAI could not be reached.", status=502) from None
        finally:
            asking.end()

    def _timeout(self, deadline: float | None = None, patience: float | None = None) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=deadline,
            sock_connect=self._settings.connect_timeout,
            sock_read=self._settings.read_timeout if patience is None else patience,
        )

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._session.close()

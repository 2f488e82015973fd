"""One POST to a team's receiver, over connections that only lead where a webhook may go.

The address that was checked is the address that is connected to: a name that resolves differently a moment
later changes nothing. No proxy of the environment, no redirect, no cookie, and the answer's body is not read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

from aai_gateway.core.destinations import Network, destination, is_public
from aai_gateway.core.webhooks import TIMEOUT_SECONDS
from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway.asking import retry_after

MOST_INTERIM = 8
"""Interim answers (1xx) that a receiver may send before its answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A receiver's status and the seconds that it asks to wait; or what went wrong, in a few words."""

    status: int | None = None
    retry_after: float | None = None
    error: str | None = None


class BriefResponse(aiohttp.ClientResponse):
    """An answer before which a few interim ones (1xx) may come.

    aiohttp reads any number of them without a pause: a receiver that sends nothing else would hold up
    whatever else the process does.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head. Raises ClientPayloadError after too many interim answers."""
        protocol = connection.protocol
        assert protocol is not None
        read, left = protocol.read, MOST_INTERIM + 1

        async def counted() -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise aiohttp.ClientPayloadError("too many interim answers")
            return await read()

        protocol.read = counted  # type: ignore[method-assign]  # no connection is used twice
        return await super().start(connection)


class PublicResolver(AbstractResolver):
    """Resolves by `inner` and keeps the addresses that a webhook may go to."""

    def __init__(self, inner: AbstractResolver, allowed: Collection[Network]) -> None:
        self._inner = inner
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses. Raises OSError when none is left."""
        found = await self._inner.resolve(host, port, family)
        kept = [one for one in found if is_public(ipaddress.ip_address(one["host"]), self._allowed)]
        if not kept:
            raise OSError("no public address")
        return kept

    async def close(self) -> None:
        """Release the inner one."""
        await self._inner.close()


def receivers_session(
    allowed: Collection[Network], resolver: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    """A client for `post`; `resolver` is the system's own unless given."""
    checked = PublicResolver(resolver or aiohttp.ThreadedResolver(), allowed)
    return aiohttp.ClientSession(
        # A connection is not kept: the next delivery to the host is checked anew.
        connector=aiohttp.TCPConnector(resolver=checked, use_dns_cache=False, force_close=True, limit=0),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=BriefResponse,
        trust_env=False,
    )


async def post(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    allowed: Collection[Network],
) -> Answer:
    """Send a body to a receiver. What it answers, or that it does not, is the answer: nothing is raised."""
    try:
        # An address in the URL itself is not resolved, so it is judged here.
        target = destination(url, allowed)
        async with session.post(target, data=body, headers=headers, allow_redirects=False) as response:
            return Answer(response.status, retry_after(response.headers))
    except (InvalidRequest, aiohttp.ClientConnectorDNSError):
        # One text for a name that does not exist and one that leads inside: nobody is to find names out.
        return Answer(error="no public address")
    except (asyncio.TimeoutError, aiohttp.ServerTimeoutError):
        return Answer(error="timeout")
    except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError):
        return Answer(error="TLS failed")
    except aiohttp.ClientConnectorError:
        return Answer(error="connection failed")
    except (aiohttp.ClientError, OSError, ValueError):
        return Answer(error="no valid answer")

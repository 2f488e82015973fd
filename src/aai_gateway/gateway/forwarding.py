"""Carrying out one request to a route of AssemblyAI's: sent on, its answer streamed back with flat memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from aai_gateway.core.operations import Operation, Target
from aai_gateway.core.regions import Host, Region
from aai_gateway.core.tenancy import Caller, require_owner
from aai_gateway.errors import Refused
from aai_gateway.gateway import submission
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.identifiers import NOTHING, IdentifierFilter, Replacements, without_identifiers
from aai_gateway.gateway.observing import current
from aai_gateway.gateway.webhook_view import own_webhook
from aai_gateway.gateway.wire import (
    ClientGone,
    Headers,
    Receive,
    Scope,
    Send,
    request_headers,
    respond,
    response_headers,
)
from aai_gateway.store import transcripts

INSPECT_LIMIT = 4 * 1024 * 1024
"""Bodies up to this many bytes are looked at whole; longer ones are filtered as they stream by."""
SMALL_BODY_LIMIT = 64 * 1024
"""Bytes that a GET may carry as a body; AssemblyAI reads none."""
WATCH_AFTER = 0.05
"""Seconds after which an answer counts as slow, and its client is watched for leaving."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a route of AssemblyAI's, after it is known who asks for what."""

    gateway: Gateway
    caller: Caller
    target: Target
    scope: Scope
    receive: Receive
    send: Send

    @property
    def region(self) -> Region:
        """The region of the route."""
        return self.target.region

    @property
    def transcript_id(self) -> str:
        """The transcript that the path names."""
        assert self.target.transcript_id is not None
        return self.target.transcript_id

    @property
    def query(self) -> str:
        """The query string as it was sent."""
        return str(self.scope["query_string"].decode("latin-1"))

    async def turn(self) -> None:
        """Wait until the team may send a request to AssemblyAI. Raises TooManyRequests."""
        await self.gateway.upstream.turns.turn(self.caller.owner)

    def headers(self) -> dict[str, str]:
        """Headers for AssemblyAI. Raises UpstreamFailed (503) when the region has no key."""
        return request_headers(self.scope, self.gateway.upstream.account_key(self.region))


Handlers = Mapping[Operation, Callable[[Call], Coroutine[Any, Any, None]]]
"""What carries out each operation."""


async def require_transcript(call: Call, transcript_id: str) -> transcripts.Transcript | None:
    """The transcript's row; None for one that only the master key may see. Raises NotFound."""
    row = await call.gateway.identity.transcript(call.caller, call.region, transcript_id)
    require_owner(call.caller, row.owner if row else None, row.key_hash if row else None)
    return row


async def forward(
    call: Call,
    method: str,
    inspect: Callable[[bytes], Awaitable[Headers]] | None = None,
    *,
    row: transcripts.Transcript | None = None,
    body: bytes | None = None,
) -> None:
    """Send the request on and stream the answer back.

    `inspect` sees a body that is short enough, and gives headers to add. `row` is the transcript that the
    answer shows, with its webhook.
    """
    if call.target.host is Host.SPEECH:
        await call.turn()
    async with call.gateway.upstream.request(
        call.region,
        method,
        call.target.upstream_path,
        headers=call.headers(),
        query=call.query,
        body=body,
        host=call.target.host,
    ) as response:
        if inspect is None:
            await _stream(call, response)
            return
        head = await _read_up_to(response, INSPECT_LIMIT)
        is_whole = response.content.at_eof()
        own = await own_webhook(call.gateway.store, row, head, whole=is_whole)
        if not is_whole:
            await _stream(call, response, head, IdentifierFilter(own))
            return
        told = await inspect(head) if response.status == 200 else []
        await reply(call, response, head, told, own)


async def reply(
    call: Call,
    response: aiohttp.ClientResponse,
    body: bytes,
    told: Sequence[tuple[bytes, bytes]] = (),
    own: Replacements = NOTHING,
) -> None:
    """Answer with AssemblyAI's answer, whose whole body is `body`, and headers that are `told`."""
    headers = [*response_headers(response.raw_headers), *told]
    await respond(call.send, response.status, headers, without_identifiers(body, own))


async def _stream(
    call: Call,
    response: aiohttp.ClientResponse,
    head: bytes = b"",
    identifiers: IdentifierFilter | None = None,
) -> None:
    headers = response_headers(response.raw_headers)
    length = response.headers.get("content-length")
    if identifiers is None and length is not None:
        headers.append((b"content-length", length.encode()))
    await call.send({"type": "http.response.start", "status": response.status, "headers": headers})

    async def send(chunk: bytes, more: bool) -> None:
        if identifiers is not None:
            chunk = identifiers.feed(chunk) if more else identifiers.feed(chunk) + identifiers.finish()
        if chunk or not more:
            await call.send({"type": "http.response.body", "body": chunk, "more_body": more})

    await send(head, True)
    async for chunk in response.content.iter_any():
        await send(chunk, True)
    await send(b"", False)


async def _read_up_to(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    with current().waiting():
        while size < limit and (chunk := await response.content.readany()):
            parts.append(chunk)
            size += len(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def whole(response: aiohttp.ClientResponse, limit: int = submission.BODY_LIMIT) -> bytes:
    """The whole body of an answer. Raises Refused (502) when it has more bytes than `limit`."""
    body = await _read_up_to(response, limit)
    if not response.content.at_eof():
        raise Refused("AssemblyAI's answer is too large.", status=502)
    return body


async def until_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; end it, and raise ClientGone, when the client goes away."""
    task = asyncio.ensure_future(work)
    gone: asyncio.Future[None] | None = None

    def watch() -> None:
        nonlocal gone
        gone = asyncio.ensure_future(_gone(receive))
        gone.add_done_callback(lambda _: task.cancel())

    # Most answers are there before anybody could have left: only a slow one is worth a watcher.
    timer = asyncio.get_running_loop().call_later(WATCH_AFTER, watch)
    try:
        await task
    except asyncio.CancelledError:
        if gone is None or not gone.done():
            raise
        raise ClientGone from None
    finally:
        timer.cancel()
        if gone is not None:
            gone.cancel()


async def _gone(receive: Receive) -> None:
    """Return once the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass

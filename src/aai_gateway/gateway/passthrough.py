"""`/assemblyai/*` and `/eu.assemblyai/*`: AssemblyAI's REST API for the teams behind one account.

Each request is decided first (who, which operation, whose transcript), then carried out: streamed both ways
with flat memory, or answered from the store.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from aai_gateway.core.attribution import attribution
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.operations import Operation, Target, resolve
from aai_gateway.core.regions import Region, require_region
from aai_gateway.core.tenancy import Caller, require_budget, require_owner
from aai_gateway.errors import GatewayError, Refused, StoreError, UpstreamFailed
from aai_gateway.gateway import listing, submission
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.cost_headers import cost_headers
from aai_gateway.gateway.identifiers import NOTHING, IdentifierFilter, Replacements, without_identifiers
from aai_gateway.gateway.webhook_view import as_own, own_webhook
from aai_gateway.gateway.wire import (
    ClientGone,
    Headers,
    Message,
    Receive,
    Scope,
    Send,
    all_headers,
    body_chunks,
    header,
    read_body,
    request_headers,
    respond,
    respond_json,
    respond_refusal,
    response_headers,
)
from aai_gateway.media import MediaProbe
from aai_gateway.store import transcripts, uploads

log = logging.getLogger("aai_gateway")

INSPECT_LIMIT = 4 * 1024 * 1024
"""Bodies up to this many bytes are looked at whole; longer ones are filtered as they stream by."""
SMALL_BODY_LIMIT = 64 * 1024
"""Bytes that a GET may carry as a body; AssemblyAI reads none."""
WATCH_AFTER = 0.05
"""Seconds after which an answer counts as slow, and its client is watched for leaving."""

_FINISHED = re.compile(rb'"status"\s*:\s*"(?:completed|error)"')


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a speech route, after it is known who asks for what."""

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

    def headers(self) -> dict[str, str]:
        """Headers for AssemblyAI. Raises UpstreamFailed (503) when the region has no key."""
        return request_headers(self.scope, self.gateway.upstream.account_key(self.region))


class SpeechRoutes:
    """The ASGI application behind the speech routes. `ready` gives the opened gateway."""

    def __init__(self, ready: Callable[[], Awaitable[Gateway]]) -> None:
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every refusal has AssemblyAI's shape."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "No streaming route here."})
            return
        started = False

        async def tracked(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._serve(scope, receive, tracked)
            return
        except ClientGone:
            return
        except Refused as error:
            refusal = error
        except GatewayError as error:
            log.error("speech route failed: %s", error)
            refusal = Refused("The gateway cannot serve this now.", status=503)
        except Exception:
            log.exception("speech route failed")
            refusal = Refused("The gateway failed on this request.", status=500)
        if started:
            # Returning without the end of the body makes the server close the connection.
            log.warning("%s %s: the answer broke off: %s", scope["method"], scope["path"], refusal)
        else:
            await respond_refusal(send, refusal)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = await self._ready()
        caller = await gateway.identity.caller_of(
            header(scope, b"authorization") or header(scope, b"x-litellm-api-key")
        )
        try:
            target = resolve(scope["method"], route_path(scope))
        except Refused:
            log.warning("refused unknown operation %s %r", scope["method"], scope["path"])
            raise
        require_region(target.region, caller.regions)
        await _HANDLERS[target.operation](Call(gateway, caller, target, scope, receive, send))


def route_path(scope: Scope) -> str:
    """The path below the server's root path."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


# -- operations -------------------------------------------------------------------------------------------


async def _upload(call: Call) -> None:
    headers = call.headers()
    if (length := header(call.scope, b"content-length")) is not None:
        headers["content-length"] = length
    probe = MediaProbe()

    async def watched() -> AsyncIterator[bytes]:
        async for chunk in body_chunks(call.receive):
            probe.feed(chunk)
            yield chunk

    async with call.gateway.upstream.request(
        call.region, "POST", call.target.upstream_path, headers=headers, query=call.query, body=watched()
    ) as response:
        body = await _whole(response)
        if response.status == 200 and isinstance(url := _member(body, "upload_url"), str):
            media = await asyncio.to_thread(probe.finish)
            async with call.gateway.store.write() as connection:
                await uploads.record(
                    connection,
                    url=url,
                    region=call.region,
                    owner=call.caller.owner,
                    key_hash=call.caller.key_hash,
                    team_id=call.caller.team_id,
                    size_bytes=probe.size,
                    created_at=utc_now(),
                    duration_ms=media.duration_ms if media else None,
                    channels=media.channels if media else None,
                )
        await _reply(call, response, body)


async def _submit(call: Call) -> None:
    require_budget(call.caller, utc_now())
    headers = call.headers()
    body = await read_body(call.receive, submission.BODY_LIMIT)
    done = await call.gateway.submissions.submit(
        call.caller,
        call.region,
        headers=headers,
        query=call.query,
        body=body,
        attribution=attribution(call.caller, headers=all_headers(call.scope)),
    )
    told = cost_headers(held_micros=done.held_micros if done.status == 200 else None, room=done.room)
    answer = [*response_headers(done.raw_headers), *told]
    own = NOTHING if done.webhook is None else as_own(done.webhook)
    await respond(call.send, done.status, answer, without_identifiers(done.body, own))


async def _list(call: Call) -> None:
    base = f"{call.scope.get('scheme', 'http')}://{header(call.scope, b'host') or 'localhost'}"
    root = str(call.scope.get("root_path") or "").rstrip("/")
    prefix = f"{base}{root}/{call.region.speech_prefix}"
    page = await listing.list_page(call.gateway.store, call.caller, call.region, call.query, prefix)
    await respond_json(call.send, 200, page)


async def _get(call: Call) -> None:
    row = await _require_transcript(call)

    async def settle(body: bytes) -> Headers:
        if row is None or not _FINISHED.search(body):
            return []
        try:
            if row.settled_at is not None:
                micros = await call.gateway.identity.cost(row.region, row.id)
            else:
                micros = await call.gateway.ledger.settle_body(row, body)
        except StoreError as error:
            log.error("transcript %s is left to the settler: %s", row.id, error)
            return []
        return cost_headers(cost_micros=micros)

    await read_body(call.receive, SMALL_BODY_LIMIT)
    await _until_gone(call.receive, _forward(call, "GET", settle, row))


async def _export(call: Call) -> None:
    await _require_transcript(call)
    await read_body(call.receive, SMALL_BODY_LIMIT)
    await _until_gone(call.receive, _forward(call, "GET"))


async def _delete(call: Call) -> None:
    row = await _require_transcript(call)
    if row is not None and row.settled_at is None:
        # What it cost can no longer be read once it is deleted.
        try:
            await call.gateway.ledger.settle_now(row)
        except UpstreamFailed as error:
            # The gateway's own question has failed: its status, such as a 401, is not about the client.
            raise UpstreamFailed(error.text, status=504 if error.status == 504 else 502) from None
    async with call.gateway.upstream.request(
        call.region, "DELETE", call.target.upstream_path, headers=call.headers(), query=call.query
    ) as response:
        body = await _whole(response)
        if response.status == 200 and row is not None:
            async with call.gateway.store.write() as connection:
                await transcripts.mark_deleted(connection, call.region, call.transcript_id, utc_now())
        await _reply(call, response, body, own=await own_webhook(call.gateway.store, row, body, whole=True))


_HANDLERS: dict[Operation, Callable[[Call], Coroutine[Any, Any, None]]] = {
    Operation.UPLOAD: _upload,
    Operation.SUBMIT: _submit,
    Operation.LIST: _list,
    Operation.GET: _get,
    Operation.DELETE: _delete,
    Operation.SENTENCES: _export,
    Operation.PARAGRAPHS: _export,
    Operation.SRT: _export,
    Operation.VTT: _export,
    Operation.WORD_SEARCH: _export,
    Operation.REDACTED_AUDIO: _export,
}


# -- carrying out -----------------------------------------------------------------------------------------


async def _require_transcript(call: Call) -> transcripts.Transcript | None:
    """The transcript's row; None for one that only the master key may see. Raises NotFound."""
    row = await call.gateway.identity.transcript(call.region, call.transcript_id)
    require_owner(call.caller, row.owner if row is not None else None)
    return row


async def _forward(
    call: Call,
    method: str,
    inspect: Callable[[bytes], Awaitable[Headers]] | None = None,
    row: transcripts.Transcript | None = None,
) -> None:
    """Send the request on and stream the answer back.

    `inspect` sees a body that is short enough, and gives headers to add. `row` is the transcript that the
    answer shows, with its webhook.
    """
    async with call.gateway.upstream.request(
        call.region, method, call.target.upstream_path, headers=call.headers(), query=call.query
    ) as response:
        if inspect is None:
            await _stream(call, response)
            return
        head = await _read_up_to(response, INSPECT_LIMIT)
        whole = response.content.at_eof()
        own = await own_webhook(call.gateway.store, row, head, whole=whole)
        if not whole:
            await _stream(call, response, head, IdentifierFilter(own))
            return
        told = await inspect(head) if response.status == 200 else []
        await _reply(call, response, head, told, own)


async def _reply(
    call: Call,
    response: aiohttp.ClientResponse,
    body: bytes,
    told: Sequence[tuple[bytes, bytes]] = (),
    own: Replacements = NOTHING,
) -> None:
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
    while size < limit and (chunk := await response.content.readany()):
        parts.append(chunk)
        size += len(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = await _read_up_to(response, submission.BODY_LIMIT)
    if not response.content.at_eof():
        raise Refused("AssemblyAI's answer is too large.", status=502)
    return body


def _member(body: bytes, name: str) -> Any:
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    return value.get(name) if isinstance(value, dict) else None


async def _until_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
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

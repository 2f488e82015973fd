"""AssemblyAI's routes, and the REST API for the teams of one account: `/assemblyai/*`, `/eu.assemblyai/*`.

Each request is decided first (who, which operation, whose transcript), then carried out: streamed both ways
with flat memory, or answered from the store.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import aiohttp
import orjson

from aai_gateway.core import routing
from aai_gateway.core.attribution import attribution
from aai_gateway.core.auditing import actor_of
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.operations import READING, Operation, Target, route_of
from aai_gateway.core.presented import key_of_request
from aai_gateway.core.regions import Host, Region, link_stays
from aai_gateway.core.tenancy import Caller, require_budget, require_may_write, require_owner
from aai_gateway.errors import (
    AccountBusy,
    GatewayError,
    MethodNotAllowed,
    Refused,
    StoreError,
    UnknownOperation,
    UpstreamFailed,
)
from aai_gateway.gateway import listing, submission
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.cost_headers import cost_headers
from aai_gateway.gateway.identifiers import NOTHING, IdentifierFilter, Replacements, without_identifiers
from aai_gateway.gateway.llm_refusals import respond_llm_refusal
from aai_gateway.gateway.upload_limits import Allowance, allowance
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
    client_host,
    header,
    read_body,
    request_headers,
    require_length_within,
    respond,
    respond_json,
    respond_refusal,
    response_headers,
    with_headers,
)
from aai_gateway.media import MediaProbe
from aai_gateway.store import transcripts, uploads
from aai_gateway.store.audit_log import acting

log = logging.getLogger("aai_gateway")

INSPECT_LIMIT = 4 * 1024 * 1024
"""Bodies up to this many bytes are looked at whole; longer ones are filtered as they stream by."""
SMALL_BODY_LIMIT = 64 * 1024
"""Bytes that a GET may carry as a body; AssemblyAI reads none."""
COUNTED = "aai_gateway.counted"
"""In the scope of a request that counts in its key's rates already, when it goes on to LiteLLM."""
WATCH_AFTER = 0.05
"""Seconds after which an answer counts as slow, and its client is watched for leaving."""

_FINISHED = re.compile(rb'"status"\s*:\s*"(?:completed|error)"')


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


class SpeechRoutes:
    """The ASGI application behind AssemblyAI's routes. `ready` gives the opened gateway.

    `more` carries out what is no operation of the speech hosts; what nobody carries out is refused.
    """

    def __init__(
        self, ready: Callable[[], Awaitable[Gateway]], more: Handlers = MappingProxyType({})
    ) -> None:
        self._ready = ready
        self._handlers = {**_HANDLERS, **more}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every refusal has the shape of AssemblyAI's host."""
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
            route = route_of(route_path(scope))
            is_llm = route is not None and route.host is Host.LLM_GATEWAY
            await (respond_llm_refusal if is_llm else respond_refusal)(send, refusal)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = await self._ready()
        caller = await gateway.identity.caller_of_key(key_of_request(scope["headers"]), client_host(scope))
        scope[COUNTED] = True
        if (standing := gateway.rates.count(caller, time.monotonic())) is not None:
            send = with_headers(send, standing.headers())
        try:
            target = routing.forward(caller, scope["method"], route_path(scope))
            if (handler := self._handlers.get(target.operation)) is None:
                raise UnknownOperation("This gateway does not serve this operation.")
        except (UnknownOperation, MethodNotAllowed):
            log.warning("refused unknown operation %s %r", scope["method"], scope["path"])
            raise
        if target.operation not in READING:
            require_may_write(caller)
        with acting(actor_of(caller, client_host(scope))):
            await handler(Call(gateway, caller, target, scope, receive, send))


def route_path(scope: Scope) -> str:
    """The path below the server's root path."""
    path, root = str(scope["path"]), str(scope.get("root_path") or "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


# -- operations -------------------------------------------------------------------------------------------


async def _upload(call: Call) -> None:
    length = header(call.scope, b"content-length")
    size = int(length) if length is not None and length.isdecimal() else None
    async with allowance(call.gateway.store, call.caller, size) as allowed:
        await _upload_within(call, allowed)


async def _upload_within(call: Call, allowed: Allowance) -> None:
    headers = call.headers()
    limit = call.gateway.settings.max_upload_bytes
    require_length_within(call.scope, limit)
    if (length := header(call.scope, b"content-length")) is not None:
        headers["content-length"] = length
    probe = MediaProbe()
    await call.turn()

    async def watched() -> AsyncIterator[bytes]:
        async for chunk in body_chunks(call.receive, limit):
            probe.feed(chunk)
            await allowed.cover(probe.size)
            yield chunk

    async with call.gateway.upstream.request(
        call.region, "POST", call.target.upstream_path, headers=headers, query=call.query, body=watched()
    ) as response:
        body = await whole(response)
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
                await allowed.end(connection)
        await reply(call, response, body)


async def _submit(call: Call) -> None:
    require_budget(call.caller, utc_now())
    headers = call.headers()
    body = await read_body(call.receive, submission.BODY_LIMIT)
    done = await _submitted(call, headers, body)
    told = cost_headers(held_micros=done.held_micros if done.status == 200 else None, room=done.room)
    answer = [*response_headers(done.raw_headers), *told]
    own = NOTHING if done.webhook is None else as_own(done.webhook)
    await respond(call.send, done.status, answer, without_identifiers(done.body, own))


async def _submitted(call: Call, headers: dict[str, str], body: bytes) -> submission.Submitted:
    """Submit when it is this team's turn. A client that leaves before is dropped."""
    submissions, owner = call.gateway.submissions, call.caller.owner
    deadline = submissions.turns.deadline()
    await until_gone(call.receive, submissions.turns.turn(owner, deadline))
    await until_gone(call.receive, call.turn())
    while True:
        try:
            return await submissions.submit(
                call.caller,
                call.region,
                headers=headers,
                query=call.query,
                body=body,
                attribution=attribution(call.caller, headers=all_headers(call.scope)),
            )
        except AccountBusy as busy:
            await until_gone(call.receive, submissions.turns.turn(owner, deadline, busy))


async def _list(call: Call) -> None:
    base = f"{call.scope.get('scheme', 'http')}://{header(call.scope, b'host') or 'localhost'}"
    root = str(call.scope.get("root_path") or "").rstrip("/")
    prefix = f"{base}{root}/{call.region.speech_prefix}"
    page = await listing.list_page(call.gateway.store, call.caller, call.region, call.query, prefix)
    await respond_json(call.send, 200, page)


async def _get(call: Call) -> None:
    row = await require_transcript(call, call.transcript_id)

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
    await until_gone(call.receive, forward(call, "GET", settle, row=row))


async def _export(call: Call) -> None:
    await require_transcript(call, call.transcript_id)
    await read_body(call.receive, SMALL_BODY_LIMIT)
    await until_gone(call.receive, forward(call, "GET"))


async def _redacted_audio(call: Call) -> None:
    await require_transcript(call, call.transcript_id)
    await read_body(call.receive, SMALL_BODY_LIMIT)

    async def fetch() -> None:
        await call.turn()
        async with call.gateway.upstream.request(
            call.region, "GET", call.target.upstream_path, headers=call.headers(), query=call.query
        ) as response:
            body = await whole(response)
            if response.status < 400:
                _require_links_to_stay(call, body)
            await reply(call, response, body)

    await until_gone(call.receive, fetch())


def _require_links_to_stay(call: Call, body: bytes) -> None:
    """Raise UpstreamFailed when an answer has a link out of the route's region."""
    hosts = call.gateway.settings.link_hosts(call.region)
    for link in _links(body):
        if not link_stays(link, call.region, hosts):
            region = call.region.value.upper()
            # Without path and query: whoever has the link can fetch the audio.
            log.error(
                "withheld a link for transcript %s to %r, which is not known to be in the %s region",
                call.transcript_id,
                "/".join(link.split("/")[:3]),
                region,
            )
            raise UpstreamFailed(
                f"AssemblyAI's link to this audio may lead out of the {region} region; it is withheld."
            )


async def _delete(call: Call) -> None:
    row = await require_transcript(call, call.transcript_id)
    await call.turn()
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
        body = await whole(response)
        if response.status == 200:
            async with call.gateway.store.write() as connection:
                await transcripts.mark_deleted(connection, call.region, call.transcript_id, utc_now())
        await reply(call, response, body)


_HANDLERS: Handlers = {
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
    Operation.REDACTED_AUDIO: _redacted_audio,
}


# -- carrying out -----------------------------------------------------------------------------------------


async def require_transcript(call: Call, transcript_id: str) -> transcripts.Transcript | None:
    """The transcript's row; None for one that only the master key may see. Raises NotFound."""
    row = await call.gateway.identity.transcript(call.region, transcript_id)
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


def _member(body: bytes, name: str) -> Any:
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    return value.get(name) if isinstance(value, dict) else None


def _links(body: bytes) -> list[str]:
    """The links in a JSON object; an answer that cannot be read counts as one that leads nowhere known."""
    try:
        value = orjson.loads(body)
    except ValueError:
        return [""]
    members = value.values() if isinstance(value, dict) else [value]
    return [member for member in members if isinstance(member, str) and "//" in member]


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

"""AssemblyAI's routes, and the REST API for the teams of one account: `/assemblyai/*`, `/eu.assemblyai/*`.

Each request is decided first (who, which operation, whose transcript), then carried out: streamed both ways
with flat memory, or answered from the store.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import MappingProxyType
from typing import Any

import orjson

from aai_gateway.core import routing
from aai_gateway.core.attribution import attribution
from aai_gateway.core.auditing import actor_of
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.operations import READING, Operation, route_of
from aai_gateway.core.presented import key_of_request
from aai_gateway.core.regions import Host, link_stays
from aai_gateway.core.tenancy import require_budget, require_may_write
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
from aai_gateway.gateway.forwarding import (
    SMALL_BODY_LIMIT,
    Call,
    Handlers,
    forward,
    reply,
    require_transcript,
    until_gone,
    whole,
)
from aai_gateway.gateway.identifiers import NOTHING, without_identifiers
from aai_gateway.gateway.llm_refusals import respond_llm_refusal
from aai_gateway.gateway.observing import current
from aai_gateway.gateway.upload_limits import Allowance, allowance
from aai_gateway.gateway.webhook_view import as_own
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

COUNTED = "aai_gateway.counted"
"""In the scope of a request that counts in its key's rates already, when it goes on to LiteLLM."""
_FINISHED = re.compile(rb'"status"\s*:\s*"(?:completed|error)"')


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
            current().on_target(target)
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
                if (span := current().trace) is not None:
                    span.heard(orjson.loads(body))
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

"""The last metre to the LLM Gateways: each request of LiteLLM's goes through the ledger on its way.

LiteLLM is given a client of ours for each call (`litellm_host.openai_client`), so what decides about money is
what was sent and what came back, and not what LiteLLM makes of it: every route, streamed or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import httpx

from aai_gateway.core.traffic import BROKEN, TIMEOUT, UNREACHABLE, Tally
from aai_gateway.errors import BudgetExceeded
from aai_gateway.gateway.chat_answer import Answered, StreamReader, is_clear_refusal, read_answer
from aai_gateway.gateway.completion import Completion
from aai_gateway.gateway.observing import Asking, current
from aai_gateway.gateway.upstream import REDIRECTED, REDIRECTS
from aai_gateway.settings import Settings

log = logging.getLogger("aai_gateway")

_CONNECTIONS = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=15.0)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_REFRAMED = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of an answer that no longer hold once it has been decoded."""
_ARRIVED_SECONDS = 0.002
"""How long what has arrived may take out of the connection."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0


class ChatUpstream:
    """The LLM Gateways: pooled connections, and what is under way. Redirects are failures.

    How requests end is counted in `tally`; without it, nobody hears of it.
    """

    def __init__(self, settings: Settings, tally: Tally | None = None) -> None:
        self._settings = settings
        self.tally = tally or Tally()
        self._http = httpx.AsyncClient(limits=_CONNECTIONS, follow_redirects=False)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._late: set[asyncio.Task[None]] = set()

    async def send(self, request: httpx.Request, completion: Completion) -> httpx.Response:
        """Send one request and see to its completion's end. Raises what httpx raises.

        It goes on when its caller is cancelled: the completion costs money from the moment AssemblyAI has it.
        """
        exchange = self.start(self._exchange(request, completion))
        try:
            return await asyncio.shield(exchange)
        except asyncio.CancelledError:
            self.start(_close_unread(exchange))
            raise

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` to its end, whoever stops waiting for it."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def book(self, what: str, booking: Callable[[], Awaitable[None]]) -> None:
        """Book `what` by `booking`; should the store be away, again until its hold has expired."""
        try:
            await booking()
        except Exception:
            log.exception("%s could not be booked yet", what)
            later = asyncio.ensure_future(self._book_later(what, booking))
            self._late.add(later)
            later.add_done_callback(self._late.discard)

    async def close(self) -> None:
        """Wait until nothing is under way, or has been silent for too long; then close the connections."""
        while self._under_way:
            _, silent = await asyncio.wait(set(self._under_way), timeout=self._settings.read_timeout)
            for task in silent:
                task.cancel()
        for late in self._late:
            late.cancel()
        await self._http.aclose()

    async def _exchange(self, request: httpx.Request, completion: Completion) -> httpx.Response:
        asking = Asking(self.tally, request.url.netloc.decode(), request.method)
        if asking.request_id:
            request.headers["x-request-id"] = asking.request_id
        if asking.span is not None:
            asking.span.chats(current().model or "unknown")
        is_stream = False
        try:
            response = await self._sent(request, completion, asking)
            is_stream = isinstance(response.stream, _MeteredStream)
            return response
        except httpx.HTTPError as error:
            asking.outcome = _outcome(error)
            raise
        finally:
            if not is_stream:
                asking.end()

    async def _sent(self, request: httpx.Request, completion: Completion, asking: Asking) -> httpx.Response:
        completion.is_sent = completion.notes.handed_on = True
        # LiteLLM's time-out is for the answer, an hour and more; the connection has the gateway's own.
        waits = {"connect": self._settings.connect_timeout, "pool": self._settings.connect_timeout}
        request.extensions = {**request.extensions, "timeout": {**request.extensions["timeout"], **waits}}
        try:
            response = await self._http.send(request, stream=True)
        except _NOT_SENT:
            await _release(completion)
            raise
        if response.status_code == 200 and _is_stream(response):
            asking.answered(response.status_code)
            stream = _MeteredStream(self, response, completion, asking)
            completion.notes.at_end.append(stream.aclose)
            return _passed_on(response, stream=stream)
        # From here a broken connection leaves the hold: nobody knows how the completion ended.
        body = await response.aread()
        asking.answered(response.status_code)
        if response.status_code != 200:
            completion.notes.refused = (response.status_code, body)
            completion.notes.retry_after = response.headers.get("retry-after")
        if response.status_code in REDIRECTS:
            await _release(completion)
            failure = {"error": {"message": REDIRECTED, "type": "api_error"}}
            return httpx.Response(502, json=failure, request=request)
        if is_clear_refusal(response.status_code, body):
            await _release(completion)
        elif response.status_code == 200 and (answered := read_answer(body)) is not None:
            _tell_used(asking, completion, answered)
            await self.book(_named(completion), partial(completion.book, answered))
        else:
            _log_unknown(completion)
        return _passed_on(response, content=body)

    async def _book_later(self, what: str, booking: Callable[[], Awaitable[None]]) -> None:
        wait, left = _FIRST_WAIT, self._settings.chat_hold_expiry
        while left > 0:
            await asyncio.sleep(wait)
            left -= wait
            wait = min(wait * 2, _LONGEST_WAIT)
            try:
                return await booking()
            except Exception as error:
                log.error("%s could not be booked yet: %s", what, error)
        return None


class Wire(httpx.AsyncBaseTransport):
    """Carries the requests of one allowed call, whose hold has been placed."""

    def __init__(self, upstream: ChatUpstream, completion: Completion) -> None:
        self._upstream = upstream
        self._completion = completion

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request: the first uses the call's hold, each further one places its own."""
        completion = self._completion
        if completion.is_sent:
            completion = completion.again(str(uuid.uuid4()))
            try:
                await completion.hold()
            except BudgetExceeded as refusal:
                body = {"error": {"message": refusal.text, "type": "budget_exceeded"}}
                return httpx.Response(refusal.status, json=body, request=request)
        return await self._upstream.send(request, completion)


class _MeteredStream(httpx.AsyncByteStream):
    """A streamed answer as it passes: booked before its end is passed on, or by what came until it broke off.

    A client that leaves before the first usage came does not stop the reading up to it: the prompt is paid.
    """

    def __init__(
        self, upstream: ChatUpstream, response: httpx.Response, completion: Completion, asking: Asking
    ) -> None:
        self._asking = asking
        self._upstream = upstream
        self._response = response
        self._completion = completion
        self._reader = StreamReader()
        self._pieces = response.aiter_bytes()
        self._reading: asyncio.Task[bytes | None] | None = None
        self._booking: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        kept = b""
        try:
            while (piece := await self._next()) is not None:
                if not self._reader.is_ending:
                    yield piece
                    continue
                kept += piece
                if self._reader.is_over:
                    await self._book()
                    yield kept
                    kept = b""
        except httpx.HTTPError:
            await self.aclose()
            if kept:
                yield kept
            raise
        finally:
            await self.aclose()
        if kept:
            yield kept

    async def aclose(self) -> None:
        """Book what came, and close; both go on when whoever asks is cancelled."""
        if self._ending is None:
            self._ending = self._upstream.start(self._end())
        await asyncio.shield(self._ending)

    async def _next(self) -> bytes | None:
        """The next piece, or None at the end. A read that nobody waits for any more is taken up later."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        piece = await asyncio.shield(self._reading)
        self._reading = None
        return piece

    async def _has_arrived(self) -> bool:
        """Whether a further piece is here already: it was sent, so it is paid for."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        done, _ = await asyncio.wait([self._reading], timeout=_ARRIVED_SECONDS)
        return bool(done)

    async def _read(self) -> bytes | None:
        try:
            with current().waiting():
                async for piece in self._pieces:
                    self._reader.feed(piece)
                    return piece
            return None
        except httpx.HTTPError as error:
            self._asking.outcome = _outcome(error)
            raise

    async def _book(self) -> None:
        if self._booking is None and self._reader.answered is not None:
            booking = partial(self._completion.book, self._reader.answered)
            self._booking = self._upstream.start(self._upstream.book(_named(self._completion), booking))
        if self._booking is not None:
            await asyncio.shield(self._booking)

    async def _end(self) -> None:
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
            while self._reader.answered is None and await self._next() is not None:
                pass
            while await self._has_arrived() and await self._next() is not None:
                pass
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self._response.aclose()
        if self._reader.answered is not None:
            _tell_used(self._asking, self._completion, self._reader.answered)
        self._asking.end()
        await self._book()
        if self._booking is None:
            _log_unknown(self._completion)


def _passed_on(response: httpx.Response, **content: Any) -> httpx.Response:
    """The same answer, decoded, for LiteLLM."""
    headers = [(n, v) for n, v in response.headers.multi_items() if n not in _REFRAMED]
    return httpx.Response(response.status_code, headers=headers, request=response.request, **content)


def _is_stream(response: httpx.Response) -> bool:
    return bool(response.headers.get("content-type", "").startswith("text/event-stream"))


def _outcome(error: httpx.HTTPError) -> str:
    if isinstance(error, _NOT_SENT):
        return UNREACHABLE
    return TIMEOUT if isinstance(error, httpx.TimeoutException) else BROKEN


def _tell_used(asking: Asking, completion: Completion, answered: Answered) -> None:
    if asking.span is not None:
        asking.span.used(answered, completion.answering_model(answered))


def _named(completion: Completion) -> str:
    return f"completion {completion.call.id}"


def _log_unknown(completion: Completion) -> None:
    log.warning("completion %s ended without a word about its cost", completion.call.id)


async def _release(completion: Completion) -> None:
    try:
        await completion.release()
    except Exception:
        log.exception("the hold of completion %s stays until it expires", completion.call.id)


async def _close_unread(exchange: asyncio.Task[httpx.Response]) -> None:
    """See an exchange to its end whose answer nobody reads any more."""
    await asyncio.wait([exchange])
    if exchange.exception() is None:
        await exchange.result().aclose()

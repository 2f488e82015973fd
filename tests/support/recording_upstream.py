"""An upstream that keeps what reached it byte for byte, and answers what a test says."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

JOB = "11111111-2222-4333-8444-555555555555"
"""The id of a job that the gateway's team has there."""

BODY = web.RequestKey("BODY", bytes)
SMALL = 1 << 20
"""Bodies up to this many bytes are there for an answer to read, as `request[BODY]`."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Recorded:
    """One request as it came in. `path` is the request target; of the body, its length and SHA-256."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    size: int
    sha256: str

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class RecordingUpstream:
    """Requests in the order of their arrival; `answer` is what the next ones get."""

    url: str = ""
    requests: list[Recorded] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when a connection ended while its request was still being served."""
    answer: Answer | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Record the request, then answer it."""
        digest, size = hashlib.sha256(), 0
        request[BODY] = b""
        try:
            async for chunk in request.content.iter_any():
                digest.update(chunk)
                size += len(chunk)
                if size <= SMALL:
                    request[BODY] += chunk
            headers = tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in request.raw_headers)
            self.requests.append(
                Recorded(request.method, request.raw_path, headers, size, digest.hexdigest())
            )
            if self.answer is None:
                return web.json_response({"ok": True})
            return await self.answer(request)
        except (asyncio.CancelledError, ConnectionError):
            self.ended.set()
            raise


@contextmanager
def recording_upstream() -> Iterator[RecordingUpstream]:
    """Run one in a thread of its own."""
    upstream = RecordingUpstream()
    loop = asyncio.new_event_loop()

    async def serve() -> web.AppRunner:
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", upstream.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    try:
        yield upstream
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def chunks(total: int, size: int = 1 << 16) -> Iterator[bytes]:
    """`total` bytes that do not repeat from chunk to chunk, made as they are read."""
    sent = number = 0
    while sent < total:
        block = hashlib.sha256(str(number).encode()).digest() * (size // 32)
        yield block[: total - sent]
        sent += len(block[: total - sent])
        number += 1


def answering(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """An answer of bytes as they are, or of a JSON value."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=body, status=status, headers={"Content-Type": "application/json", **(headers or {})}
        )

    return answer


def forwarding(url: str) -> Answer:
    """An answer that another server gives."""

    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {"Authorization": request.headers["Authorization"], "Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, url + request.path_qs, headers=headers, data=request[BODY] or None
            ) as given,
        ):
            return web.Response(status=given.status, body=await given.read(), content_type="application/json")

    return answer

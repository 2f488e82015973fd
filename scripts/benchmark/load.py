"""A load generator that costs little: client, gateway and emulator share the machine's cores.

Raw HTTP/1.1 over asyncio: fixed request bytes, connections kept open, each with one request under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import cast
from urllib.parse import urlsplit

CHUNK = b"\x00\x01\x02\x03\x04\x05\x06\x07" * (32 * 1024)
ANSWER_SECONDS = 30.0
UPLOAD_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Polls:
    """What one round measured: answers per second, and latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float

    @classmethod
    def median_of(cls, rounds: list[Polls]) -> Polls:
        """The median of each figure."""
        return cls(*(median(getattr(one, name) for one in rounds) for name in ("per_second", "p50", "p99")))


@dataclass(frozen=True, slots=True)
class Upload:
    """How an upload was answered, and the seconds it took."""

    status: int
    body: bytes
    seconds: float


class UnexpectedAnswerError(Exception):
    """A server answered a poll with something else than 200."""


class _Connection(asyncio.Protocol):
    """One connection: the next request goes out when an answer is whole, until the time is up."""

    def __init__(self, request: bytes, until: float, finished: asyncio.Future[list[float]]) -> None:
        self._request = request
        self._until = until
        self._finished = finished
        self._latencies: list[float] = []
        self._received = b""
        self._missing = -1
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by its class.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._received, self._missing = b"", -1
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._received += data
            head, end, body = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            self._missing = _content_length(head) - len(body)
        else:
            self._missing -= len(data)
        if self._missing > 0:
            return
        now = time.perf_counter()
        self._latencies.append(now - self._sent)
        if not self._received.startswith(b"HTTP/1.1 200"):
            self._end(UnexpectedAnswerError(self._received[:500].decode("latin-1")))
        elif now < self._until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(UnexpectedAnswerError(f"the connection was closed: {error}"))

    def _end(self, error: Exception | None) -> None:
        if self._finished.done():
            return
        if error is not None:
            self._finished.set_exception(error)
        else:
            self._finished.set_result(self._latencies)
        self._transport.close()


async def poll(url: str, authorization: str, *, connections: int, seconds: float) -> Polls:
    """GET `url` over so many connections for so long. Raises UnexpectedAnswerError, OSError, TimeoutError."""
    host, port, request = _head("GET", url, {"authorization": authorization})
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    ends: list[asyncio.Future[list[float]]] = []
    for _ in range(connections):
        end: asyncio.Future[list[float]] = loop.create_future()
        ends.append(end)
        await loop.create_connection(_factory(request, started + seconds, end), host, port)
    per_connection = await asyncio.wait_for(asyncio.gather(*ends), seconds + ANSWER_SECONDS)
    elapsed = time.perf_counter() - started
    latencies = [1000 * latency for one in per_connection for latency in one]
    cuts = quantiles(latencies, n=100, method="inclusive")
    return Polls(len(latencies) / elapsed, cuts[49], cuts[98])


async def upload(url: str, authorization: str, size: int) -> Upload:
    """POST `size` bytes (a multiple of 256 KiB), and the answer, also when it comes before the body's end."""
    headers = {"authorization": authorization, "content-length": str(size), "connection": "close"}
    host, port, head = _head("POST", url, {**headers, "content-type": "application/octet-stream"})
    reader, writer = await asyncio.open_connection(host, port)
    started = time.perf_counter()
    answer = asyncio.ensure_future(reader.read())
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(head)
            for _ in range(size // len(CHUNK)):
                writer.write(CHUNK)
                await writer.drain()
        received = await asyncio.wait_for(answer, UPLOAD_SECONDS)
    finally:
        writer.close()
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head else 0
    return Upload(status, body, time.perf_counter() - started)


def _factory(request: bytes, until: float, end: asyncio.Future[list[float]]) -> Callable[[], _Connection]:
    return lambda: _Connection(request, until, end)


def _head(method: str, url: str, headers: Mapping[str, str]) -> tuple[str, int, bytes]:
    """Host, port, and the bytes of a request's head."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    lines = [f"{method} {parts.path} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return parts.hostname, parts.port, ("\r\n".join(lines) + "\r\n\r\n").encode()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise UnexpectedAnswerError(f"an answer without Content-Length: {head[:500].decode('latin-1')}")

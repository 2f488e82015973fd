"""A load generator that costs little: client, gateway and emulator share the machine's cores.

Raw HTTP/1.1 over asyncio: fixed request bytes, connections kept open, each with one request under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from typing import TypeAlias, cast
from urllib.parse import urlsplit

import orjson

CHUNK = b"\x00\x01\x02\x03\x04\x05\x06\x07" * (32 * 1024)
ANSWER_SECONDS = 30.0
UPLOAD_SECONDS = 300.0

Work: TypeAlias = Callable[[], Generator[bytes, bytes, None]]
"""One unit of what is counted: it yields requests and is sent the body of each answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to ask: where its AssemblyAI begins, where its chat does, and its `Authorization`."""

    base: str
    chat_base: str
    authorization: str
    chat_authorization: str
    chat_model: str

    def poll(self, transcript_id: str) -> Work:
        """A look at a job."""
        request = _get(self, transcript_id)

        def poll() -> Generator[bytes, bytes, None]:
            yield request

        return poll

    def submission(self, audio_url: str, taken: Callable[[str], object] = str) -> Work:
        """A job's submission; `taken` is called with its id."""
        request = _submission(self, audio_url)

        def submit() -> Generator[bytes, bytes, None]:
            answer = yield request
            taken(orjson.loads(answer)["id"])

        return submit

    def life(self, audio_url: str) -> Work:
        """A job from its submission to the poll that finds it ended."""
        request = _submission(self, audio_url)

        def live() -> Generator[bytes, bytes, None]:
            job = orjson.loads((yield request))
            look = _get(self, job["id"])
            while job["status"] not in ("completed", "error"):
                job = orjson.loads((yield look))

        return live

    def chat(self) -> Work:
        """A short completion."""
        body = {"model": self.chat_model, "messages": [{"role": "user", "content": "Hello!"}]}
        headers = {"authorization": self.chat_authorization}
        request = _post(f"{self.chat_base}/chat/completions", headers, body)

        def chat() -> Generator[bytes, bytes, None]:
            yield request

        return chat


@dataclass(frozen=True, slots=True)
class Rate:
    """What one round measured: units of work, as many per second, and their milliseconds."""

    count: int
    per_second: float
    p50: float
    p99: float

    @classmethod
    def median_of(cls, rounds: list[Rate]) -> Rate:
        """The median of each figure, and the sum of the counts."""
        figures = (median(getattr(one, name) for one in rounds) for name in ("per_second", "p50", "p99"))
        return cls(sum(one.count for one in rounds), *figures)


@dataclass(frozen=True, slots=True)
class Upload:
    """How an upload was answered, and the seconds it took."""

    status: int
    body: bytes
    seconds: float


class UnexpectedAnswerError(Exception):
    """A server answered with something else than 200."""


class _Connection(asyncio.Protocol):
    """One connection: the next request goes out when an answer is whole, until work or time is over."""

    def __init__(self, supply: Iterator[Work], until: float, finished: asyncio.Future[list[float]]) -> None:
        self._supply = supply
        self._until = until
        self._finished = finished
        self._latencies: list[float] = []
        self._received = b""
        self._head = -1
        self._missing = -1
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none by its class.
        self._transport = cast(asyncio.Transport, transport)
        self._begin()

    def _begin(self) -> None:
        """The next unit of work, when there is one and time for it."""
        self._began = time.perf_counter()
        work = next(self._supply, None) if self._began < self._until else None
        if work is None:
            self._end(None)
            return
        self._work = work()
        self._send(next(self._work))

    def _send(self, request: bytes) -> None:
        self._received, self._missing = b"", -1
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._missing < 0:
            self._head = self._received.find(b"\r\n\r\n") + 4
            if self._head < 4:
                return
            self._missing = _content_length(self._received[: self._head]) + self._head - len(self._received)
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            self._answered()

    def _answered(self) -> None:
        if not self._received.startswith(b"HTTP/1.1 200"):
            self._end(UnexpectedAnswerError(self._received[:500].decode("latin-1")))
            return
        try:
            request = self._work.send(self._received[self._head :])
        except StopIteration:
            self._latencies.append(time.perf_counter() - self._began)
            self._begin()
        else:
            self._send(request)

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


async def do(base: str, work: Work | Iterable[Work], *, connections: int, seconds: float) -> Rate:
    """Do `work` at a server over so many connections, again and again for so long, or each of several once.

    Raises UnexpectedAnswerError, OSError, TimeoutError.
    """
    supply = repeat(work) if callable(work) else iter(work)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    ends: list[asyncio.Future[list[float]]] = []
    for _ in range(connections):
        end: asyncio.Future[list[float]] = loop.create_future()
        ends.append(end)
        await loop.create_connection(_factory(supply, started + seconds, end), *_address(base))
    per_connection = await asyncio.wait_for(asyncio.gather(*ends), seconds + ANSWER_SECONDS)
    elapsed = time.perf_counter() - started
    latencies = sorted(1000 * latency for one in per_connection for latency in one)
    if not latencies:
        raise UnexpectedAnswerError(f"{base} answered nothing in {seconds} s.")
    p50, p99 = (latencies[len(latencies) * part // 100] for part in (50, 99))
    return Rate(len(latencies), len(latencies) / elapsed, p50, p99)


async def upload(url: str, authorization: str, size: int) -> Upload:
    """POST `size` bytes (a multiple of 256 KiB), and the answer, also when it comes before the body's end."""
    headers = {"authorization": authorization, "content-length": str(size), "connection": "close"}
    head = _head("POST", url, {**headers, "content-type": "application/octet-stream"})
    reader, writer = await asyncio.open_connection(*_address(url))
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


def _factory(
    supply: Iterator[Work], until: float, end: asyncio.Future[list[float]]
) -> Callable[[], _Connection]:
    return lambda: _Connection(supply, until, end)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def _get(target: Target, transcript_id: str) -> bytes:
    headers = {"authorization": target.authorization}
    return _head("GET", f"{target.base}/v2/transcript/{transcript_id}", headers)


def _submission(target: Target, audio_url: str) -> bytes:
    body = {"audio_url": audio_url, "speaker_labels": True}
    return _post(f"{target.base}/v2/transcript", {"authorization": target.authorization}, body)


def _post(url: str, headers: Mapping[str, str], value: object) -> bytes:
    body = orjson.dumps(value)
    more = {"content-type": "application/json", "content-length": str(len(body))}
    return _head("POST", url, {**headers, **more}) + body


def _head(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a request's head."""
    parts = urlsplit(url)
    lines = [f"{method} {parts.path} HTTP/1.1", f"host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise UnexpectedAnswerError(f"an answer without Content-Length: {head[:500].decode('latin-1')}")

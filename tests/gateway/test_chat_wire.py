"""The wire to an LLM Gateway that answers in odd ways: what is booked, given back, and left to expire."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from opened_gateway import KEY, TEAM, opened_gateway
from recording_upstream import Answer, RecordingUpstream, recording_upstream
from waiting import comes

from aai_gateway.core.budgets import Budget
from aai_gateway.core.prices import Cost, TokenUsage
from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator
from aai_gateway.errors import StoreError
from aai_gateway.gateway.chat_estimate import Estimate
from aai_gateway.gateway.chat_wire import Wire
from aai_gateway.gateway.completion import ChatCall, Completion
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.data_plane import Notes
from aai_gateway.gateway.ledger import Ledger
from aai_gateway.gateway.observing import begin
from aai_gateway.store import holds, teams, usage

MODEL = "claude-sonnet-4-6"
USAGE = {"prompt_tokens": 100, "completion_tokens": 10}
COST = 495  # (100 x $3 + 10 x $15) x 1.1 per million
HELD = TokenUsage(prompt=1000, completion=1000)


@dataclass
class House:
    """A gateway, the upstream that answers as a test says, and a call of the team's that is held."""

    gateway: Gateway
    upstream: RecordingUpstream
    completion: Completion
    client: httpx.AsyncClient

    async def post(self, url: str = "") -> httpx.Response:
        return await self.client.post(url or self.upstream.url, json={})

    async def stream_into(self, passed: list[bytes]) -> None:
        async with self.client.stream("POST", self.upstream.url) as response:
            async for piece in response.aiter_bytes():
                passed.append(piece)

    async def booked(self) -> list[int]:
        async with self.gateway.store.read() as connection:
            return [row.micros for row in await usage.list_rows(connection)]

    async def held(self) -> int:
        async with self.gateway.store.read() as connection:
            return len(await holds.list_all(connection))

    async def outcome(self) -> tuple[list[int], int]:
        return await self.booked(), await self.held()


def completion_of(gateway: Gateway, caller: Any, ledger: Ledger | None = None) -> Completion:
    call = ChatCall("the-call", caller, Region.US, MODEL, is_global=False)
    estimate = Estimate(MODEL, is_global=False, tokens=HELD)
    return Completion(ledger or gateway.ledger, gateway.prices, call, estimate, Notes())


@pytest.fixture
async def house(emulator: Emulator, tmp_path: Path) -> AsyncIterator[House]:
    with recording_upstream() as upstream:
        async with opened_gateway(emulator, tmp_path) as gateway:
            completion = completion_of(gateway, await gateway.identity.caller_of_key(KEY))
            await completion.hold()
            async with httpx.AsyncClient(transport=Wire(gateway.chat, completion)) as client:
                yield House(gateway, upstream, completion, client)


def whole(status: int = 200, body: bytes | None = None, **headers: str) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        sent = json.dumps({"usage": USAGE}).encode() if body is None else body
        return web.Response(status=status, body=sent, headers=headers)

    return answer


def event(tokens: int | None, reason: str | None = None) -> bytes:
    used = {"usage": {**USAGE, "completion_tokens": tokens}} if tokens is not None else {}
    return b"data: " + json.dumps({"choices": [{"finish_reason": reason}], **used}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
STREAM = (event(0), event(5), event(10, "stop"), DONE)


def streamed(*pieces: bytes, hangs: bool = False, cut: bool = False) -> Answer:
    """An answer in pieces, sent one by one; then it hangs, is cut off, or ends."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.02)
        if hangs:
            await asyncio.Event().wait()
        if cut and request.transport is not None:
            request.transport.abort()
        return response

    return answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (whole(), ([COST], 0)),
        (
            whole(body=gzip.compress(json.dumps({"usage": USAGE}).encode()), **{"content-encoding": "gzip"}),
            ([COST], 0),
        ),
        (whole(400, b"{}"), ([], 0)),
        (whole(307, b"", location="/elsewhere"), ([], 0)),
        (whole(500, b'{"error": "Server error"}'), ([], 0)),
        (whole(502, b"<html>Bad Gateway</html>"), ([], 1)),
        (whole(504, b""), ([], 1)),
        (whole(200, b"{}"), ([], 1)),
        (whole(200, b"<html>"), ([], 1)),
    ],
    ids=[
        "plain",
        "gzip",
        "400",
        "redirect",
        "500",
        "502 of another's",
        "504 of another's",
        "no usage",
        "no JSON",
    ],
)
async def test_an_answer_decides(house: House, answer: Answer, expected: tuple[list[int], int]) -> None:
    house.upstream.answer = answer

    response = await house.post()

    assert expected == await house.outcome()
    if expected == ([COST], 0):
        assert {"usage": USAGE} == response.json()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (whole(), "ok"),
        (whole(429, b"{}"), "429"),
        (streamed(*STREAM), "ok"),
        (streamed(event(0), cut=True), "broken"),
    ],
    ids=["whole", "refused", "streamed", "cut"],
)
async def test_how_it_ended_is_counted_by_host(house: House, answer: Answer, outcome: str) -> None:
    house.upstream.answer = answer
    begin([(b"x-request-id", b"my-id")])

    with contextlib.suppress(httpx.HTTPError):
        await house.post()

    host = house.upstream.url.removeprefix("http://")
    assert {(host, outcome): 1} == {
        asked: n for (_, asked), n in house.gateway.chat.tally.take().asked.items()
    }
    assert ["my-id"] == house.upstream.requests[0].header("x-request-id")


async def test_what_was_never_sent_is_given_back(house: House) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(httpx.ConnectError):
            await house.post(f"http://127.0.0.1:{unused.getsockname()[1]}")

    assert ([], 0) == await house.outcome()


@pytest.mark.parametrize(
    "pieces", [STREAM, STREAM[:-1], (b"".join(STREAM),)], ids=["done", "not done", "at once"]
)
async def test_a_stream_is_booked_before_its_end_is_passed_on(
    house: House, pieces: tuple[bytes, ...]
) -> None:
    house.upstream.answer = streamed(*pieces)
    passed = b""

    async with house.client.stream("POST", house.upstream.url) as response:
        async for piece in response.aiter_bytes():
            passed += piece
            assert (b'"stop"' in passed) == (await house.booked() == [COST])

    assert b"".join(pieces) == passed
    assert ([COST], 0) == await house.outcome()


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((event(0), event(5)), ([330 + 82], 0)),
        ((event(None),), ([], 1)),
        ((event(0), event(10, "stop")), ([COST], 0)),
    ],
    ids=["mid-stream", "before its usage", "behind its end"],
)
async def test_a_stream_that_breaks_is_booked_as_far_as_it_came(
    house: House, pieces: tuple[bytes, ...], expected: tuple[list[int], int]
) -> None:
    house.upstream.answer = streamed(*pieces, cut=True)
    passed: list[bytes] = []

    with pytest.raises(httpx.HTTPError):
        await house.stream_into(passed)

    assert b"".join(pieces) == b"".join(passed)
    assert expected == await house.outcome()


async def test_a_stream_that_is_closed_is_booked_as_far_as_it_came(house: House) -> None:
    house.upstream.answer = streamed(event(0), event(5), hangs=True)

    async with house.client.stream("POST", house.upstream.url) as response:
        async for piece in response.aiter_bytes():
            if b": 5}" in piece:
                break

    assert ([412], 0) == await house.outcome()
    assert await asyncio.to_thread(house.upstream.ended.wait, 5)


async def test_a_stream_that_nobody_read_is_closed_at_the_requests_end(house: House) -> None:
    house.upstream.answer = streamed(event(None), event(0), hangs=True)
    request = house.client.build_request("POST", house.upstream.url)
    await house.client.send(request, stream=True)

    for end in house.completion.notes.at_end:
        await end()

    assert ([330], 0) == await house.outcome()


@pytest.mark.parametrize("answer", [whole(), streamed(*STREAM)], ids=["whole", "streamed"])
async def test_a_caller_that_is_cancelled_meanwhile_pays_all_the_same(house: House, answer: Answer) -> None:
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def slow(request: web.Request) -> web.StreamResponse:
        loop.call_soon_threadsafe(arrived.set)
        await asyncio.sleep(0.3)
        return await answer(request)

    house.upstream.answer = slow
    waiting = asyncio.ensure_future(house.post())
    await arrived.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await comes(house.booked)
    assert 0 == await house.held()


async def test_each_further_request_is_a_completion_of_its_own(house: House) -> None:
    house.upstream.answer = whole()

    for _ in range(3):
        await house.post()

    assert ([COST] * 3, 0) == await house.outcome()
    assert 3 * COST == house.completion.notes.cost_micros


async def test_a_further_request_needs_its_own_room(house: House) -> None:
    house.upstream.answer = whole(502, b"")
    await house.post()
    async with house.gateway.store.write() as connection:
        await teams.update(connection, TEAM, budget=Budget(max_micros=25_000))

    refused = await house.post()

    assert 400 == refused.status_code
    assert "Budget has been exceeded!" in refused.json()["error"]["message"]
    assert (1, 1) == (len(house.upstream.requests), await house.held())


class Faltering(Ledger):
    """A ledger whose store is away when the first completion is to be booked."""

    async def book_chat(self, *args: Any, **kwargs: Any) -> Cost:
        if not getattr(self, "failed", False):
            self.failed = True
            raise StoreError("The store is away.")
        return await super().book_chat(*args, **kwargs)


async def test_what_cannot_be_booked_is_booked_later(house: House) -> None:
    house.upstream.answer = whole()
    gateway = house.gateway
    ledger = Faltering(gateway.settings, gateway.store, gateway.upstream, gateway.prices)
    completion = completion_of(gateway, house.completion.call.caller, ledger)

    async with httpx.AsyncClient(transport=Wire(gateway.chat, completion)) as client:
        assert 200 == (await client.post(house.upstream.url, json={})).status_code

    assert [] == await house.booked()
    assert await comes(house.booked)
    assert ([COST], 0) == await house.outcome()


async def test_a_redirect_is_neither_followed_nor_passed_on(house: House) -> None:
    house.upstream.answer = whole(307, b"", location=f"{house.upstream.url}/elsewhere")

    response = await house.client.post(house.upstream.url, json={}, follow_redirects=True)

    assert 502 == response.status_code
    assert "location" not in response.headers
    assert ["/"] == [request.path for request in house.upstream.requests]

"""Clients that leave, an upstream that breaks off or cannot be reached, and many polls at once."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from aiohttp import web
from gateway_process import GatewayProcess, TeamAccess
from raw_http import ask, connected
from recording_upstream import JOB, RecordingUpstream, answering
from waiting import until

UPLOAD = "/assemblyai/v2/upload"
POLL = f"/assemblyai/v2/transcript/{JOB}"


def test_a_client_that_goes_away_ends_a_poll(
    wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream
):
    async def never(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    upstream.answer = never
    with connected(wired.url) as connection:
        connection.sendall(f"GET {POLL} HTTP/1.1\r\nHost: x\r\nAuthorization: {team.key}\r\n\r\n".encode())
        until(lambda: upstream.requests)
    assert upstream.ended.wait(30)


def test_a_client_that_goes_away_ends_an_export_under_way(client: httpx.Client, upstream: RecordingUpstream):
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"1\n")
            await asyncio.sleep(0.05)

    upstream.answer = drip
    with client.stream("GET", f"{POLL}/srt") as response:
        next(response.iter_raw())
    assert upstream.ended.wait(30)


def test_a_client_that_goes_away_ends_an_upload(
    wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream
):
    head = (
        f"POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nAuthorization: {team.key}\r\nContent-Length: 1000000\r\n\r\n"
    )
    with connected(wired.url) as connection:
        connection.sendall(head.encode() + b"x" * 500_000)
    assert upstream.ended.wait(30)
    assert [] == upstream.requests
    assert 200 == ask(wired.url, POLL, headers=team.bearer).status


def test_a_submission_whose_client_goes_away_is_recorded_all_the_same(
    wired: GatewayProcess, client: httpx.Client, team: TeamAccess, upstream: RecordingUpstream
):
    slow = answering({"id": "left-alone", "status": "queued"})

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return await slow(request)

    upstream.answer = answer
    body = b'{"audio_url": "https://example.org/a.wav"}'
    head = f"POST /assemblyai/v2/transcript HTTP/1.1\r\nHost: x\r\nAuthorization: {team.key}\r\n"
    with connected(wired.url) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: upstream.requests)
    until(lambda: "left-alone" in client.get("/assemblyai/v2/transcript?limit=200").text)


def test_an_answer_that_breaks_off_breaks_off_for_the_client(
    wired: GatewayProcess, client: httpx.Client, upstream: RecordingUpstream
):
    async def torn(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"1\n")
        request.transport.close()
        return response

    upstream.answer = torn
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"{POLL}/srt")
    torn_poll = client.get(POLL)
    assert (502, {"error": "AssemblyAI could not be reached."}) == (torn_poll.status_code, torn_poll.json())
    assert "Traceback" not in wired.log.read_text()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "upload"), ("POST", "transcript"), ("GET", "x"), ("DELETE", "x")]
)
def test_an_upstream_that_cannot_be_reached_is_a_502(
    wired: GatewayProcess, client: httpx.Client, upstream: RecordingUpstream, method: str, path: str
):
    if path == "x":
        path, client.headers["Authorization"] = "transcript/x", f"Bearer {wired.master_key}"
    content = b'{"audio_url": "https://example.org/a.wav"}' if method == "POST" else None
    got = client.request(method, f"/eu.assemblyai/v2/{path}", content=content)
    assert (502, {"error": "AssemblyAI could not be reached."}) == (got.status_code, got.json())
    assert [] == upstream.requests


async def test_200_polls_at_once(wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream):
    everyone, waiting = asyncio.Event(), 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal waiting
        waiting += 1
        if waiting == 200:
            everyone.set()
        await everyone.wait()
        return web.json_response({"id": JOB, "status": "processing"})

    upstream.answer = answer
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(headers=team.bearer, limits=limits, timeout=60) as client:
        answers = await asyncio.gather(*(client.get(f"{wired.url}{POLL}") for _ in range(200)))
    assert [200] * 200 == [answer.status_code for answer in answers]

"""What the client sees of AssemblyAI's answer, byte for byte."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest
from aiohttp import web
from recording_upstream import JOB, RecordingUpstream, answering

UPLOAD = "/assemblyai/v2/upload"
POLL = f"/assemblyai/v2/transcript/{JOB}"
MB = 1 << 20


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"Both speaker_options and speakers_expected can not be used in the same request."}'),
        (404, b'{"error": "Not found" }'),
        (429, b'{"error":"Too Many Requests"}'),
        (500, b'{"error":"Server error, developers have been alerted."}'),
        (503, b"<html>busy</html>"),
        (504, b""),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", UPLOAD),
        ("POST", "/assemblyai/v2/transcript"),
        ("GET", POLL),
        ("GET", f"{POLL}/sentences"),
        ("DELETE", POLL),
    ],
)
def test_a_refusal_comes_back_as_it_is(
    client: httpx.Client, upstream: RecordingUpstream, status: int, body: bytes, method: str, path: str
):
    limits = {"Retry-After": "17", "X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "0"}
    refusing, fine = answering(body, status, limits), answering({"id": JOB, "status": "processing"})

    async def answer(request: web.Request) -> web.StreamResponse:
        # A deletion looks first whether the job must be settled; that look is not the client's.
        return await (refusing if request.method == method else fine)(request)

    upstream.answer = answer
    content = b'{"audio_url": "https://example.org/a.wav"}' if method == "POST" else None
    got = client.request(method, path, content=content)
    assert (status, body) == (got.status_code, got.content)
    assert limits == {name: got.headers[name] for name in limits}
    assert "application/json" == got.headers["content-type"]


def test_headers_of_one_connection_and_cookies_do_not_come_back(
    client: httpx.Client, upstream: RecordingUpstream
):
    upstream.answer = answering(
        {"id": JOB, "status": "processing"},
        headers={
            "Set-Cookie": "session=1",
            "Proxy-Authenticate": "Basic",
            "Keep-Alive": "timeout=5",
            "Connection": "X-Hop",
            "X-Hop": "1",
            "Alt-Svc": 'h3=":443"',
            "X-Request-Id": "AssemblyAI's own",
            "X-Passed-On": "abc",
        },
    )
    for path in (POLL, f"{POLL}/srt"):
        headers = client.get(path, headers={"x-request-id": "mine"}).headers
        assert "abc" == headers["x-passed-on"]
        assert ["mine"] == headers.get_list("x-request-id")
        hidden = {"set-cookie", "proxy-authenticate", "keep-alive", "x-hop", "alt-svc"}
        assert not hidden & set(headers)
        assert not any(name.startswith("x-litellm") for name in headers)


@pytest.mark.parametrize("size", [10, 5 * MB, 30 * MB])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_accounts_identifiers_do_not_come_back(
    client: httpx.Client, upstream: RecordingUpstream, size: int, chunked: bool
):
    words = [{"text": "w" * 90, "start": n, "end": n + 1} for n in range(size // 120)]
    shown = {"id": JOB, "status": "processing", "words": words, "text": 'a "token_id": 1, said aloud'}
    hidden = json.dumps({"token_id": 4711, **shown, "project_id": {"a": [1]}, "last": None}).encode()

    async def answer(request: web.Request) -> web.StreamResponse:
        if not chunked:
            return web.Response(body=hidden, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for start in range(0, len(hidden), 70_001):
            await response.write(hidden[start : start + 70_001])
        return response

    upstream.answer = answer
    assert {**shown, "last": None} == client.get(POLL).json()


def test_an_export_streams_with_its_length(client: httpx.Client, upstream: RecordingUpstream):
    text = b"1\n00:00:00,240 --> 00:00:01,981\nGood morning\n\n" * 200_000
    upstream.answer = answering(text, headers={"Content-Type": "text/plain; charset=utf-8"})
    got = client.get(f"{POLL}/srt")
    assert (text, str(len(text))) == (got.content, got.headers["content-length"])
    assert "text/plain; charset=utf-8" == got.headers["content-type"]


def test_an_encoded_answer_is_left_encoded(client: httpx.Client, upstream: RecordingUpstream):
    upstream.answer = answering(gzip.compress(b"WEBVTT"), headers={"Content-Encoding": "gzip"})
    assert "WEBVTT" == client.get(f"{POLL}/vtt").text


def test_redirects_are_neither_followed_nor_passed_on(client: httpx.Client, upstream: RecordingUpstream):
    upstream.answer = answering(b"", 302, {"Location": "http://127.0.0.1:9/"})
    got = client.get(POLL, follow_redirects=True)
    text = "AssemblyAI answered with a redirect, which the gateway does not follow."
    assert (502, {"error": text}) == (got.status_code, got.json())
    assert "location" not in got.headers

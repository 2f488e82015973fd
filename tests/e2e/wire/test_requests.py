"""What AssemblyAI sees of a request, byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import psutil
import pytest
from gateway_process import GatewayProcess, TeamAccess
from raw_http import ask
from recording_upstream import JOB, RecordingUpstream, answering, chunks

from aai_gateway.emulator import Emulator

UPLOAD = "/assemblyai/v2/upload"
POLL = f"/assemblyai/v2/transcript/{JOB}"
MB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
@pytest.mark.parametrize("content_type", [None, "application/octet-stream", "application/json", "audio/wav"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_arrives_byte_for_byte(
    client: httpx.Client, upstream: RecordingUpstream, size: int, content_type: str | None, chunked: bool
):
    audio = b"".join(chunks(size))
    headers = {"Content-Type": content_type} if content_type else {}
    upstream.answer = answering({"upload_url": "https://cdn.assemblyai.com/upload/a/b"})
    answer = client.post(UPLOAD, content=iter([audio]) if chunked else audio, headers=headers)
    assert {"upload_url": "https://cdn.assemblyai.com/upload/a/b"} == answer.json()
    [arrived] = upstream.requests
    assert ("POST", "/v2/upload") == (arrived.method, arrived.path)
    assert (size, hashlib.sha256(audio).hexdigest()) == (arrived.size, arrived.sha256)
    assert ([content_type] if content_type else []) == arrived.header("content-type")
    assert (
        (["chunked"], [])
        if chunked
        else ([], [str(size)])
        == (
            arrived.header("transfer-encoding"),
            arrived.header("content-length"),
        )
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_500_mb_pass_through_in_flat_memory(
    wired: GatewayProcess, client: httpx.Client, upstream: RecordingUpstream, chunked: bool
):
    size = 500 * MB
    upstream.answer = answering({"upload_url": "https://cdn.assemblyai.com/upload/a/b"})
    process = psutil.Process(wired.pid)
    before = peak = process.memory_info().rss
    digest = hashlib.sha256()

    def audio() -> Iterator[bytes]:
        nonlocal peak
        for number, chunk in enumerate(chunks(size, MB)):
            digest.update(chunk)
            if number % 8 == 0:
                peak = max(peak, process.memory_info().rss)
            yield chunk

    headers = {} if chunked else {"Content-Length": str(size)}
    client.post(UPLOAD, content=audio(), headers=headers).raise_for_status()
    peak = max(peak, process.memory_info().rss)
    assert (size, digest.hexdigest()) == (upstream.requests[-1].size, upstream.requests[-1].sha256)
    assert peak - before < 16 * MB


@pytest.mark.parametrize(
    "query",
    [
        "words=a,b",
        "words=a%2Cb&words=c&words=",
        "a=1&a=2&A=3",
        "q=%C3%A4+%20&x=%zz&y=%",
        "=&&;=&a",
        "a=b=c?d/e:f@g!$'()*,[]",
        "%2e%2e/=../..",
        "words=%00%0a%0D",
    ],
)
def test_a_query_string_arrives_as_it_was_sent(
    wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream, query: str
):
    for target, arrives_at in (
        (f"{POLL}/word-search", f"/v2/transcript/{JOB}/word-search"),
        (POLL, f"/v2/transcript/{JOB}"),
    ):
        assert 200 == ask(wired.url, f"{target}?{query}", headers=team.bearer).status
        assert f"{arrives_at}?{query}" == upstream.requests[-1].path


def test_a_submission_arrives_as_it_was_written(client: httpx.Client, upstream: RecordingUpstream):
    body = (
        b'{ "audio_url":"https:\\/\\/example.org/a.wav",\n "prompt": "\\u00e4\xc3\xa4", "temperature": 1e-1}'
    )
    upstream.answer = answering({"id": "made-by-bytes", "status": "queued"})
    answer = client.post("/assemblyai/v2/transcript", content=body, headers={"Content-Type": "text/plain"})
    assert (200, "made-by-bytes") == (answer.status_code, answer.json()["id"])
    [arrived] = upstream.requests
    assert (len(body), hashlib.sha256(body).hexdigest()) == (arrived.size, arrived.sha256)
    assert ["application/json"] == arrived.header("content-type")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", UPLOAD), ("POST", "/assemblyai/v2/transcript"), ("GET", POLL), ("DELETE", POLL)],
)
@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
def test_upstream_sees_the_raw_account_key_and_nothing_of_the_gateway(
    wired: GatewayProcess,
    team: TeamAccess,
    emulator: Emulator,
    upstream: RecordingUpstream,
    method: str,
    path: str,
    scheme: str,
):
    # A deletion asks first what the job costs.
    upstream.answer = answering({"id": JOB, "status": "queued"})
    httpx.request(
        method,
        f"{wired.url}{path}",
        content=b'{"audio_url": "https://example.org/a.wav"}' if method == "POST" else None,
        headers={
            "Authorization": f"{scheme}{team.key}",
            "Cookie": "session=1",
            "X-LiteLLM-API-Key": team.key,
            "X-LiteLLM-Tags": "a",
            "X-Forwarded-For": "10.0.0.1",
            "Forwarded": "for=10.0.0.1",
            "Proxy-Authorization": "Basic abc",
            "Connection": "keep-alive, X-Hop",
            "X-Hop": "1",
            "User-Agent": "AssemblyAI/1.0",
            "Accept-Encoding": "gzip, br",
        },
    )
    for arrived in upstream.requests:
        assert [emulator.config.account_key] == arrived.header("authorization")
    names = {name.lower() for name, _ in upstream.requests[-1].headers}
    expected = {"host", "authorization", "user-agent", "accept", "accept-encoding", "x-request-id"}
    submitting = {"content-type"} if path.endswith("/transcript") else set()
    assert expected | submitting == names - {"content-length"}
    assert ["AssemblyAI/1.0"] == upstream.requests[-1].header("user-agent")
    assert ["identity"] == upstream.requests[-1].header("accept-encoding")
    assert not any(team.key in value for r in upstream.requests for _, value in r.headers)

"""What is refused before anything is forwarded."""

from __future__ import annotations

import json

import httpx
import pytest
from gateway_process import GatewayProcess, TeamAccess
from raw_http import ask
from recording_upstream import JOB, RecordingUpstream, answering

UPLOAD = "/assemblyai/v2/upload"
POLL = f"/assemblyai/v2/transcript/{JOB}"
MB = 1 << 20


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("HEAD", POLL, 405, "DELETE, GET"),
        ("PUT", POLL, 405, "DELETE, GET"),
        ("PATCH", UPLOAD, 405, "POST"),
        ("OPTIONS", UPLOAD, 405, "POST"),
        ("GET", UPLOAD, 405, "POST"),
        ("POST", f"{POLL}/srt", 405, "GET"),
        ("GET", "/assemblyai/v2/account", 404, None),
        ("GET", "/assemblyai/v2/realtime/token", 404, None),
        ("POST", "/assemblyai/lemur/v3/generate/task", 404, None),
        ("GET", f"{POLL}/word-search/x", 404, None),
        ("GET", "/assemblyai", 404, None),
        ("GET", "/assemblyai/", 404, None),
        ("GET", "/assemblyai/v2/transcript/..%2f..%2fv2%2faccount", 404, None),
    ],
)
def test_what_is_no_operation_is_refused_and_not_forwarded(
    wired: GatewayProcess,
    team: TeamAccess,
    upstream: RecordingUpstream,
    method: str,
    path: str,
    status: int,
    allow: str | None,
):
    got = ask(wired.url, path, method=method, headers=team.bearer)
    assert (status, allow) == (got.status, got.headers.get("allow"))
    assert method == "HEAD" or ["error"] == list(json.loads(got.body))
    assert [] == upstream.requests


AUDIO = '"audio_url": "https://example.org/a.wav"'


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Invalid JSON body."),
        (b"{", "Invalid JSON body."),
        (b"\xff\xfe", "Invalid JSON body."),
        (f"{{{AUDIO}}}".encode("utf-16"), "Invalid JSON body."),
        (f'{{{AUDIO}, "temperature": NaN}}'.encode(), "Invalid JSON body."),
        (f'{{{AUDIO}, "prompt": "\\ud800"}}'.encode(), "Invalid JSON body."),
        (f"{{{AUDIO}, {AUDIO}}}".encode(), "Invalid JSON body."),
        (f'{{{AUDIO}, "a": {{"b": 1, "b": 2}}}}'.encode(), "Invalid JSON body."),
        (f'{{{AUDIO}, "a": {"[" * 20_000}'.encode(), "Invalid JSON body."),
        (f'{{{AUDIO}, "a": {"[" * 100_000}'.encode(), "The request body holds more than 50,000 values."),
        (b"[1]", "The request body must be a JSON object."),
        (b'"x"', "The request body must be a JSON object."),
        (b"{}", "audio_url is required and must be a string."),
        (b'{"audio_url": null}', "audio_url is required and must be a string."),
        (b'{"audio_url": ["https://example.org/a.wav"]}', "audio_url is required and must be a string."),
        (b'{"audio_url": " "}', "audio_url is required and must be a string."),
    ],
)
def test_a_body_that_cannot_be_owned_or_priced_is_refused(
    client: httpx.Client, upstream: RecordingUpstream, body: bytes, text: str
):
    got = client.post("/assemblyai/v2/transcript", content=body)
    assert (400, {"error": text}) == (got.status_code, got.json())
    assert [] == upstream.requests


@pytest.mark.parametrize("chunked", [False, True])
def test_a_submission_of_more_than_16_mb_is_refused(
    client: httpx.Client, upstream: RecordingUpstream, chunked: bool
):
    body = b'{"prompt": "' + b"a" * (16 * MB) + b'"}'
    got = client.post("/assemblyai/v2/transcript", content=iter([body]) if chunked else body)
    assert (413, ["error"]) == (got.status_code, list(got.json()))
    assert [] == upstream.requests


def test_a_get_takes_no_long_body(client: httpx.Client, upstream: RecordingUpstream):
    upstream.answer = answering({"id": JOB, "status": "processing"})
    assert 200 == client.request("GET", POLL, content=b"{}").status_code
    assert 0 == upstream.requests[-1].size


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "sk-nobody", "Basic c2s6"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", POLL), ("POST", UPLOAD), ("GET", "/assemblyai/v2/account")]
)
def test_without_a_key_nothing_goes_further(
    wired: GatewayProcess,
    upstream: RecordingUpstream,
    authorization: str | None,
    method: str,
    path: str,
):
    headers = {} if authorization is None else {"Authorization": authorization}
    got = ask(wired.url, path, method=method, headers=headers, body=b"x" if method == "POST" else b"")
    assert (401, {"error": "Authentication error, API token missing/invalid"}) == (
        got.status,
        json.loads(got.body),
    )
    assert [] == upstream.requests

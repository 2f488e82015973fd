"""Bodies that JSON allows and nobody means: a clear 4xx on every route, before and after they are read."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from gateway_process import GatewayProcess, TeamAccess
from raw_http import ask
from recording_upstream import RecordingUpstream

CHAT = "/v1/chat/completions"
MODEL = b'"model": "assemblyai/claude-sonnet-4-6"'
HI = b'"messages": [{"role": "user", "content": "hi"}]'
MODEL_ROUTES = (
    *(CHAT, "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/moderations"),
    *("/v1/images/generations", "/v1/audio/speech", "/rerank", "/v1/messages/count_tokens"),
    *("/utils/token_counter", "/engines/x/chat/completions", "/openai/deployments/x/embeddings"),
    *("/v1beta/models/assemblyai/claude-sonnet-4-6:generateContent", "/v1/audio/transcriptions"),
)
UNREADABLE = (
    *(b"", b"{", b"[1]", b'"x"', b"null", b"1", b"\xff", b"\0" * 9, b"\xef\xbb\xbf{}", b"{}{}"),
    b'{"model": "a", "model": "b"}',
    b'{"a": [{"transcript_id": "a", "transcript_id": "b"}]}',
    b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}",
    b'{"a": ' + b"[" * 100_000,
    *(b'{"a": %s}' % number for number in (b"NaN", b"1e999", b"1" + b"0" * 30, b"1" + b"0" * 5000)),
    *(b'{"model": %s}' % value for value in (b"5", b'["a"]', b"{}", b'""', b'"a\\u0000"', b"null")),
    b'{%s, "messages": 5, "input": 5, "tools": 5}' % MODEL,
    b'{%s, "messages": [5], "input": {}, "prompt": {}, "system": 5, "contents": 5}' % MODEL,
    b'{%s, "messages": [{"role": "user", "content": 5}]}' % MODEL,
    *(b'{%s, %s, "%s": 1}' % (MODEL, HI, name) for name in (b"self", b"original_function", b"api_base")),
    *(b'{%s, %s, "timeout": %s}' % (MODEL, HI, value) for value in (b'"x"', b"-1", b"[]")),
    b'{%s, %s, "response_format": "x"}' % (MODEL, HI),
)


@pytest.fixture(scope="module")
def access(gateway: GatewayProcess) -> TeamAccess:
    return gateway.team()


def error_of(body: bytes) -> Any:
    """What an error says, in whose shape it may be; None for anything else."""
    try:
        return json.loads(body).get("error") or json.loads(body).get("detail")
    except (ValueError, AttributeError):
        return None


@pytest.mark.parametrize("route", MODEL_ROUTES)
def test_no_body_makes_litellm_fail(gateway: GatewayProcess, access: TeamAccess, route: str):
    answers = []
    with httpx.Client(base_url=gateway.url, headers=access.bearer, timeout=60) as client:
        for body in UNREADABLE:
            got = client.post(route, content=body, headers={"Content-Type": "application/json"})
            answers.append((body[:60], got.status_code, error_of(got.content)))
    assert [] == [answer for answer in answers if not 400 <= answer[1] < 500 and answer[1] != 200]
    assert [] == [answer for answer in answers if answer[1] >= 400 and not answer[2]]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_chat_is_no_form(gateway: GatewayProcess, access: TeamAccess, kind: str):
    body = b"model=assemblyai%2Fclaude-sonnet-4-6"
    got = ask(gateway.url, CHAT, method="POST", headers={**access.bearer, "Content-Type": kind}, body=body)
    assert (415, "The request body must be a JSON object.") == (got.status, error_of(got.body)["message"])


@pytest.mark.parametrize("name", ["x-litellm-timeout", "x-litellm-stream-timeout", "x-litellm-num-retries"])
def test_a_header_that_is_no_number_is_refused(gateway: GatewayProcess, access: TeamAccess, name: str):
    body = b"{%s, %s}" % (MODEL, HI)
    got = ask(gateway.url, CHAT, method="POST", headers={**access.bearer, name: "abc"}, body=body)
    assert (400, True) == (got.status, error_of(got.body)["message"].startswith(f"{name} must be"))


def test_the_text_is_clear(gateway: GatewayProcess, access: TeamAccess):
    for body, text in (
        (b"[1]", "The request body must be a JSON object."),
        (b'{"model": 5}', "model must be the name of one model."),
        (b'{%s, "messages": "hi"}' % MODEL, "messages must be an array of objects."),
        (b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}", "The request body is nested more than 100 deep."),
    ):
        got = ask(gateway.url, CHAT, method="POST", headers=access.bearer, body=body)
        assert (400, text) == (got.status, error_of(got.body)["message"])


FIELDS = ("speech_models", "audio_end_at", "audio_start_from", "multichannel", "speech_understanding", "x")
VALUES = (b"{}", b"[]", b"[5]", b"[null]", b'"x"', b"-5", b"18446744073709551615", b"1e300", b"null", b"true")


def test_no_value_of_a_priced_field_fails(
    wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream
):
    with httpx.Client(base_url=wired.url, headers=team.bearer, timeout=60) as client:
        for field in FIELDS:
            for value in VALUES:
                body = b'{"audio_url": "https://example.org/a.wav", "%s": %s}' % (field.encode(), value)
                got = client.post("/assemblyai/v2/transcript", content=body)
                # AssemblyAI is the judge of its fields: it takes whatever it is asked here.
                assert (200, body) == (got.status_code, body)
    assert len(FIELDS) * len(VALUES) == len(upstream.requests)


QUERIES = (
    *("limit=%00", "limit=1&limit=300", "limit=" + "9" * 5000, "before_id=%00", "after_id=%ED%A0%80"),
    *("before_id=" + "a" * 9000, "created_on=9999-12-31", "created_on=%00", "status=%ff", "limit=1;limit=2"),
)
ODD_IDS = (
    "%00",
    "a%00",
    "%ff",
    "..",
    "%2e%2e",
    "a%2fb",
    "a;b",
    "a%0d%0a",
    "x" * 65,
    "x" * 5000,
    "%F0%9F%98%80",
)


def test_odd_queries_and_ids_are_refused(
    wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream
):
    base = "/assemblyai/v2/transcript"
    targets = [("GET", f"{base}?{query}") for query in QUERIES]
    targets += [(method, f"{base}/{id}") for id in ODD_IDS for method in ("GET", "DELETE")]
    targets += [("GET", f"{base}/{id}/srt") for id in ODD_IDS]
    for method, target in targets:
        got = ask(wired.url, target, method=method, headers=team.bearer)
        assert (target, True) == (target, got.status in (400, 404))
        assert isinstance(error_of(got.body), str)
    assert [] == upstream.requests

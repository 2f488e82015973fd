"""One rule says which key a request presents, on AssemblyAI's routes and LiteLLM's alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_process import GatewayProcess, TeamAccess
from raw_http import ask, connected
from recording_upstream import JOB, RecordingUpstream, answering

from aai_gateway.core.presented import KEY_HEADERS

POLL = f"/assemblyai/v2/transcript/{JOB}"
ROUTES = (POLL, "/v1/models", "/key/list")


def raw(url: str, path: str, *headers: str) -> tuple[int, Any]:
    """Status and JSON of a GET with these headers, in their order and as often as they come."""
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    with connected(url) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        said = b""
        while part := connection.recv(1 << 16):
            said += part
    return int(said.split()[1]), json.loads(said.partition(b"\r\n\r\n")[2])


def key_for(wired: GatewayProcess, team: TeamAccess, path: str) -> str:
    return wired.master_key if path.startswith("/key") else team.key


@pytest.mark.parametrize("path", ROUTES)
def test_each_header_may_carry_the_key(
    wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream, path: str
):
    upstream.answer = answering({"id": JOB, "status": "processing"})
    key = key_for(wired, team, path)
    for name in KEY_HEADERS:
        for value in (key, f"Bearer {key}"):
            assert (200, name) == (ask(wired.url, path, headers={name: value}).status, name)
        assert 401 == ask(wired.url, path, headers={name: "sk-nobody"}).status


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("other", ["sk-nobody", "Basic c2s6", "another team's"])
def test_two_different_keys_are_refused_in_any_order(
    wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream, path: str, other: str
):
    if other == "another team's":
        other = wired.team().key
    key = key_for(wired, team, path)
    for name in KEY_HEADERS:
        for headers in (
            (f"Authorization: {key}", f"{name}: {other}"),
            (f"{name}: {other}", f"Authorization: Bearer {key}"),
            (f"Authorization: {other}", f"{name}: {key}"),
        ):
            status, said = raw(wired.url, path, *headers)
            text = said["error"] if path == POLL else said["error"]["message"]
            assert (400, True) == (status, text.startswith("The request presents different keys"))
            assert key not in text
            assert other not in text
    assert [] == upstream.requests


@pytest.mark.parametrize("path", ROUTES)
def test_the_same_key_may_come_twice(
    wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream, path: str
):
    upstream.answer = answering({"id": JOB, "status": "processing"})
    key = key_for(wired, team, path)
    headers = (f"Authorization: {key}", f"authorization: Bearer {key}", f"X-API-Key: {key}", "api-key: ")
    assert 200 == raw(wired.url, path, *headers)[0]


def test_a_key_in_a_trailer_is_none(wired: GatewayProcess, team: TeamAccess):
    head = f"GET {POLL} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(wired.url) as connection:
        connection.sendall(f"{head}0\r\nAuthorization: {team.key}\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401")

from __future__ import annotations

import logging

import httpx
import pytest
from gateway_process import GatewayProcess

from aai_gateway.gateway.access_log import WithoutPolls


def record(method: str, path: str, status: int) -> logging.LogRecord:
    args = ("127.0.0.1:5000", method, path, "1.1", status)
    return logging.LogRecord("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', args, None)


@pytest.mark.parametrize(
    ("method", "path", "status", "kept"),
    [
        ("GET", "/assemblyai/v2/transcript/abc", 200, False),
        ("GET", "/eu.assemblyai/v2/transcript/abc?x=1", 200, False),
        ("GET", "/assemblyai/v2/transcript/abc", 400, True),
        ("DELETE", "/assemblyai/v2/transcript/abc", 200, True),
        ("GET", "/assemblyai/v2/transcript/abc/sentences", 200, True),
        ("GET", "/assemblyai/v2/transcript", 200, True),
        ("GET", "/v1/models", 200, True),
        ("POST", "/webhooks/assemblyai/us/token", 200, False),
        ("POST", "/root/webhooks/assemblyai/eu/token", 404, False),
        ("GET", "/webhooks/deliveries", 200, True),
    ],
)
def test_only_successful_polls_and_callbacks_are_left_out(
    method: str, path: str, status: int, kept: bool
) -> None:
    assert kept == WithoutPolls().filter(record(method, path, status))


def test_the_gateway_logs_requests_but_no_successful_polls(gateway: GatewayProcess) -> None:
    team = gateway.team()
    url = f"{gateway.url}/assemblyai/v2/transcript"
    job = httpx.post(url, json={"audio_url": "https://assembly.ai/wildfires.mp3"}, headers=team.bearer).json()

    httpx.get(f"{url}/{job['id']}", headers=team.bearer).raise_for_status()
    httpx.get(f"{url}/{job['id']}-unknown", headers=team.bearer)

    log = gateway.log.read_text()
    assert f"/transcript/{job['id']}-unknown HTTP/1.1" in log
    assert f"/transcript/{job['id']} HTTP/1.1" not in log

"""What a request leaves behind: its id, its line, its count, its spans."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any

import httpx
from account_books import read
from gateway_process import GatewayProcess, gateway_process
from otlp_receiver import otlp_receiver
from waiting import until

from aai_gateway.emulator import Emulator

HELLO = {"audio_url": "https://example.org/audio.wav"}
CHAT = {
    "model": "assemblyai/claude-haiku-4-5-20251001",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "my name is Bob"}],
}


def line_of(gateway: GatewayProcess, request_id: str) -> str:
    """The line of a request that was answered."""
    pattern = re.compile(rf"^.* request request_id={re.escape(request_id)} .*$", re.M)
    return until(lambda: (found := pattern.search(gateway.log.read_text())) and found.group())


def total(store: Path) -> dict[tuple[str, str, int], int]:
    """How many requests of each kind the store counts."""
    rows = read(store, "SELECT operation, region, status, requests FROM traffic WHERE period = 'total'")
    return {(row["operation"], row["region"], row["status"]): row["requests"] for row in rows}


def test_each_answer_has_the_requests_id_and_each_request_one_line(
    gateway: GatewayProcess, emulator: Emulator
) -> None:
    team, mark = gateway.team(), secrets.token_hex(4)
    before = total(gateway.store_path)
    asked: list[tuple[str, str, dict[str, Any], str]] = [
        (
            "POST",
            "/assemblyai/v2/transcript",
            {"json": HELLO, "headers": team.bearer},
            "operation=submit region=us",
        ),
        (
            "GET",
            "/eu.assemblyai/v2/transcript/none",
            {"headers": team.bearer},
            "operation=get region=eu status=400",
        ),
        ("GET", "/assemblyai/v2/transcript", {}, "operation=unknown region=us status=401"),
        (
            "POST",
            "/v1/chat/completions",
            {"json": CHAT, "headers": team.bearer},
            "model=claude-haiku-4-5-20251001",
        ),
        ("GET", "/v1/models", {"headers": team.bearer}, "operation=models"),
        (
            "GET",
            f"/key/info?key={team.key}",
            {"headers": team.bearer},
            "method=GET route=/key/info status=403",
        ),
        ("GET", f"/no/such/{team.key}", {}, "operation=litellm method=GET status=404"),
        ("POST", f"/webhooks/assemblyai/us/{team.key}", {}, "operation=webhook status=404"),
    ]
    for number, (method, path, arguments, told) in enumerate(asked):
        id_ = f"{mark}.{number}"
        headers = {**arguments.pop("headers", {}), "x-request-id": id_}
        answer = httpx.request(method, f"{gateway.url}{path}", headers=headers, timeout=60, **arguments)
        assert [id_] == answer.headers.get_list("x-request-id"), path
        line = line_of(gateway, id_)
        assert told in line
        assert (f"team={team.alias}" in line) == (answer.status_code in (200, 400)), line
    assert {f"{mark}.0", f"{mark}.3"} <= {request.request_id for request in emulator.requests}
    log = gateway.log.read_text()
    assert 1 == log.count(f"request_id={mark}.0 ")
    # No path, no key, no text of anybody's, and uvicorn says nothing of it a second time.
    assert not any(text in log for text in (team.key, "/no/such", "Bob", "HTTP/1.1"))

    expected = {("submit", "us", 200), ("get", "eu", 400), ("chat", "us", 200), ("models", "", 200)}
    until(
        lambda: (
            expected
            <= {key for key, number in total(gateway.store_path).items() if number > before.get(key, 0)}
        )
    )
    outcomes = read(gateway.store_path, "SELECT host, outcome FROM upstream_traffic WHERE period = 'total'")
    us = emulator.urls.us.removeprefix("http://")
    assert (us, "ok") in {(row["host"], row["outcome"]) for row in outcomes}


def test_lines_in_json_spans_and_counts_that_outlive_a_restart(emulator: Emulator, tmp_path: Path) -> None:
    with otlp_receiver() as collector:
        overrides = {"AAI_GATEWAY_TRACES": collector.url, "AAI_GATEWAY_LOG_FORMAT": "json"}
        gateway = gateway_process(emulator, tmp_path, **overrides)
        try:
            gateway.start()
            team = gateway.team()
            first = ask(gateway, team.bearer)
            gateway.stop()
            assert 1 == total(gateway.store_path)["submit", "us", 200]
            gateway.start()
            ask(gateway, team.bearer)
            gateway.stop()
        finally:
            gateway.kill()
    counted = total(gateway.store_path)
    assert 2 == counted["submit", "us", 200]
    assert 4 == counted["chat", "us", 200]

    lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    [told] = [line for line in lines if line["event"] == "request" and line["request_id"] == "job-1"][:1]
    assert ("info", team.alias, "submit", "us", 200) == tuple(
        told[name] for name in ("level", "team", "operation", "region", "status")
    )

    roots = {span.id: span for span in collector.spans if not span.parent}
    [completed] = [
        span for span in collector.spans if span.attributes.get("assemblyai.transcript.id") == first
    ][-1:]
    assert "GET /assemblyai/v2/transcript/{id}" == completed.name
    assert {"assemblyai.speech_model", "assemblyai.audio_duration"} <= completed.attributes.keys()
    chats = collector.named("chat claude-haiku-4-5-20251001")
    assert 4 == len(chats)
    for chat in chats:
        assert "POST /v1/chat/completions" == roots[chat.parent].name
        assert team.alias == roots[chat.parent].attributes["aai_gateway.team"]
        assert ("chat", "assemblyai") == tuple(
            chat.attributes[f"gen_ai.{name}"] for name in ("operation.name", "provider.name")
        )
    tokens = read(
        gateway.store_path, "SELECT prompt_tokens, completion_tokens FROM usage WHERE service = 'chat'"
    )
    assert sorted((row["prompt_tokens"], row["completion_tokens"]) for row in tokens) == sorted(
        (chat.attributes["gen_ai.usage.input_tokens"], chat.attributes["gen_ai.usage.output_tokens"])
        for chat in chats
    )


def ask(gateway: GatewayProcess, headers: dict[str, str]) -> str:
    """A job that is polled to its end, a completion and a streamed one; the job's id."""
    with httpx.Client(base_url=gateway.url, headers=headers, timeout=60) as client:
        url = "/assemblyai/v2/transcript"
        job = client.post(url, json=HELLO, headers={"x-request-id": "job-1"}).raise_for_status().json()["id"]
        until(lambda: client.get(f"{url}/{job}").json()["status"] == "completed")
        for stream in (False, True):
            client.post("/v1/chat/completions", json={**CHAT, "stream": stream}).raise_for_status()
    return str(job)

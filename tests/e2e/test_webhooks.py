"""Webhooks through the real proxy: AssemblyAI calls the gateway, the gateway settles and tells the team."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import assemblyai as aai
import httpx
import pytest
from gateway_process import GatewayProcess, TeamAccess, gateway_process
from stored import usage_rows
from waiting import until
from webhook_world import Receiver, receiving

from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.speech import connect

HEADER = ("X-Team-Secret", "hush-hush")
INSIDE = {"AAI_GATEWAY_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8"}
LATE = {"AAI_GATEWAY_SETTLE_AFTER": "3600"}


@pytest.fixture(scope="module")
def reachable(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that AssemblyAI reaches, and whose settler comes too late for any test."""
    gateway = gateway_process(emulator, tmp_path_factory.mktemp("reachable"), **INSIDE, **LATE)
    gateway.environment["AAI_GATEWAY_PUBLIC_URL"] = gateway.url
    gateway.environment["AAI_GATEWAY_EU_PUBLIC_URL"] = gateway.url
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.kill()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def log_of(gateway: GatewayProcess, team: TeamAccess, **query: Any) -> list[dict[str, Any]]:
    answer = httpx.get(f"{gateway.url}/webhooks/deliveries", headers=team.bearer, params=query)
    return list(answer.raise_for_status().json()["deliveries"])


def delivered(gateway: GatewayProcess, team: TeamAccess, count: int) -> list[dict[str, Any]]:
    """The team's log once so many events were delivered, the oldest first."""

    def look() -> list[dict[str, Any]]:
        found = log_of(gateway, team)
        done = [one for one in found if one["state"] == "delivered"]
        return found[::-1] if len(done) == count else []

    return until(look)


def test_the_sdks_webhook_with_redacted_audio_is_told_in_order_and_settles(
    reachable: GatewayProcess, receiver: Receiver
):
    team = reachable.team()
    # The first is refused for now: the second event has to wait for it.
    receiver.statuses = [503]
    config = aai.TranscriptionConfig(
        redact_pii=True,
        redact_pii_audio=True,
        redact_pii_policies=[aai.PIIRedactionPolicy.person_name],
    ).set_webhook(receiver.url, *HEADER)
    transcriber = aai.Transcriber(client=connect(reachable.url, team.key), config=config)
    submitted = transcriber.submit(str(sample_path("interview")))

    first, second = delivered(reachable, team, 2)
    ended = {"transcript_id": submitted.id, "status": "completed"}
    assert [ended, ended] == receiver.told[:2]
    assert "redacted_audio_ready" == receiver.told[2]["status"] and 3 == len(receiver.told)
    assert {HEADER[1]} == {headers[HEADER[0].lower()] for headers in receiver.headers}
    assert {"/hook?sig=%2Fx"} == set(receiver.paths)
    assert [503, 200] == [attempt["status"] for attempt in first["attempts"]]
    assert ("transcript", "redacted_audio") == (first["event"], second["event"])
    assert 200 == httpx.get(receiver.told[2]["redacted_audio_url"]).status_code
    # Nobody has polled, and the settler has not been there.
    [row] = usage_rows(reachable.store_path, team.id)
    assert (submitted.id, True) == (row.source_id, row.micros > 0)
    shown = httpx.get(f"{reachable.url}/assemblyai/v2/transcript/{submitted.id}", headers=team.bearer).json()
    assert (receiver.url, True, HEADER[0], 200) == tuple(
        shown[f"webhook_{name}"] for name in ("url", "auth", "auth_header_name", "status_code")
    )
    assert "/webhooks/assemblyai/" not in json.dumps(shown)
    # Neither the callback's URL nor the team's secret is in what the gateway wrote.
    text = reachable.log.read_text()
    assert "/webhooks/assemblyai/" not in text and HEADER[1] not in text and "sig=" not in text
    assert HEADER[1].encode() not in b"".join(
        path.read_bytes() for path in reachable.data_dir.glob("gateway.db*")
    )


def test_an_eu_jobs_callback_comes_by_the_eu_route(reachable: GatewayProcess, receiver: Receiver):
    team = reachable.team()
    body = {"audio_url": "https://example.org/audio.wav", "webhook_url": receiver.url}
    made = httpx.post(f"{reachable.url}/eu.assemblyai/v2/transcript", headers=team.bearer, json=body).json()
    [told] = delivered(reachable, team, 1)
    assert ("eu", made["id"], receiver.url) == (told["region"], told["transcript_id"], told["url"])
    assert [{"transcript_id": made["id"], "status": "completed"}] == receiver.told
    assert receiver.url == made["webhook_url"]


def test_forged_callbacks_and_places_inside_are_refused(reachable: GatewayProcess):
    team = reachable.team()
    for path in ("us/x", "us/" + "A" * 32 + "." + "A" * 43, "eu/", "xx/y"):
        answer = httpx.post(f"{reachable.url}/webhooks/assemblyai/{path}", json={"status": "completed"})
        assert (404, {"error": "Not found."}) == (answer.status_code, answer.json())
    for url in (
        "http://10.0.0.1/",
        "http://169.254.169.254/latest",
        "http://[fd00::1]/",
        "ftp://example.org",
    ):
        body = {"audio_url": "https://example.org/audio.wav", "webhook_url": url}
        answer = httpx.post(f"{reachable.url}/assemblyai/v2/transcript", headers=team.bearer, json=body)
        assert (400, True) == (answer.status_code, "webhook_url" in answer.json()["error"])
    assert 401 == httpx.get(f"{reachable.url}/webhooks/deliveries").status_code


def test_the_operator_lists_and_resends(reachable: GatewayProcess, receiver: Receiver):
    team = reachable.team()
    receiver.statuses = [410]
    body = {"audio_url": "https://example.org/audio.wav", "webhook_url": receiver.url}
    made = httpx.post(f"{reachable.url}/assemblyai/v2/transcript", headers=team.bearer, json=body).json()
    until(lambda: [one for one in log_of(reachable, team) if one["state"] == "given_up"])

    def aai_gateway(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("aai-gateway")), "webhooks", *arguments]
        return subprocess.run(command, env=reachable.environment, capture_output=True, text=True, check=True)

    [listed] = json.loads(aai_gateway("list", "--team", team.alias, "--json").stdout)
    assert ("given_up", made["id"], [410]) == (
        listed["state"],
        listed["transcript_id"],
        [attempt["status"] for attempt in listed["attempts"]],
    )
    aai_gateway("resend", str(listed["id"]))
    delivered(reachable, team, 1)
    assert 2 == len(receiver.told)

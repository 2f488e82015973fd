"""Transcripts that change hands beside a running gateway: adopted, and deleted with their team."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from gateway_process import GatewayProcess
from invoiced import agree, charged
from stored import transcript_row, usage_rows
from waiting import until

from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator

HELLO = {"audio_url": "https://example.org/audio.wav"}
CLI = str(Path(sys.executable).with_name("aai-gateway"))


def account(emulator: Emulator) -> httpx.Client:
    """A client of AssemblyAI itself, with the account's key."""
    return httpx.Client(
        base_url=emulator.urls.us, headers={"Authorization": emulator.config.account_key}, timeout=60
    )


def command(gateway: GatewayProcess, *arguments: str) -> Any:
    """What a command prints as JSON, on the gateway's machine."""
    done = subprocess.run(
        [CLI, *arguments], env=gateway.environment, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout)


def test_what_was_made_before_the_gateway_is_the_teams_at_its_next_request(
    gateway: GatewayProcess, emulator: Emulator
):
    team, other = gateway.team(), gateway.team()
    with account(emulator) as direct:
        made = direct.post("/v2/transcript", json=HELLO).raise_for_status().json()["id"]
        until(lambda: direct.get(f"/v2/transcript/{made}").json()["status"] == "completed")
    path = f"{gateway.url}/assemblyai/v2/transcript"
    assert 400 == httpx.get(f"{path}/{made}", headers=team.bearer, timeout=60).status_code
    adopted = command(gateway, "transcripts", "adopt", "--team", team.id, "--region", "us", "--json", made)
    assert (1, True) == (adopted["adopted"], adopted["transcripts"][0]["created_at_is_known"])
    seen = httpx.get(f"{path}/{made}", headers=team.bearer, timeout=60)
    assert (200, "completed") == (seen.status_code, seen.json()["status"])
    assert 400 == httpx.get(f"{path}/{made}", headers=other.bearer, timeout=60).status_code
    listed = httpx.get(path, headers=team.bearer, timeout=60).json()["transcripts"]
    assert [made] == [one["id"] for one in listed]
    assert [] == usage_rows(gateway.store_path, team.id)


def test_a_deleted_teams_transcripts_are_charged_and_then_deleted_at_assemblyai(
    gateway: GatewayProcess, emulator: Emulator
):
    team, other = gateway.team(), gateway.team()
    with httpx.Client(base_url=gateway.url, headers=team.bearer, timeout=60) as client:
        made = client.post("/assemblyai/v2/transcript", json=HELLO).raise_for_status().json()["id"]
    with gateway.admin() as admin:
        refused = admin.post("/team/delete", json={"team_ids": [team.id]})
        assert (400, "transcripts") == (refused.status_code, refused.json()["error"]["param"])
        asked = {"team_ids": [team.id], "transcripts": "delete"}
        admin.post("/team/delete", json=asked).raise_for_status()
    path = f"{gateway.url}/assemblyai/v2/transcript/{made}"
    assert 401 == httpx.get(path, headers=team.bearer, timeout=60).status_code
    assert 400 == httpx.get(path, headers=other.bearer, timeout=60).status_code
    with account(emulator) as direct:
        until(lambda: direct.get(f"/v2/transcript/{made}").json()["text"] == "Deleted by user.", seconds=90)
    row = until(lambda: _deleted(gateway, made))
    assert ("deleted", team.id, "http://deleted_by_user") == (row.owner, row.team_id, row.audio_url)
    agree(usage_rows(gateway.store_path, team.id), charged(emulator, [made]))


def _deleted(gateway: GatewayProcess, transcript_id: str) -> Any:
    row = transcript_row(gateway.store_path, Region.US, transcript_id)
    return row if row is not None and row.deleted_at is not None else None

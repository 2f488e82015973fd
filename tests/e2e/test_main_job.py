"""The shortest whole path: two teams, one account, one proxy."""

from __future__ import annotations

import assemblyai as aai
import httpx
from gateway_process import GatewayProcess

from aai_gateway.emulator import sample_path


def test_two_teams_share_one_account(gateway: GatewayProcess) -> None:
    research, newsroom = gateway.team(), gateway.team(regions=["eu"])
    client = aai.Client(
        settings=aai.Settings(
            base_url=f"{gateway.url}/assemblyai", api_key=f"Bearer {research.key}", polling_interval=0.1
        )
    )

    transcript = aai.Transcriber(client=client).transcribe(str(sample_path("hello")))

    assert aai.TranscriptStatus.completed == transcript.status
    stranger = httpx.get(
        f"{gateway.url}/eu.assemblyai/v2/transcript/{transcript.id}", headers=newsroom.bearer
    )
    assert 400 == stranger.status_code
    assert {"error": "Transcript lookup error, transcript id not found"} == stranger.json()
    refused = httpx.get(f"{gateway.url}/assemblyai/v2/transcript", headers=newsroom.bearer)
    assert 403 == refused.status_code

"""What chat tests need: a team's completed transcript, and the books of both sides."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx
from gateway_process import GatewayProcess, TeamAccess
from waiting import until

from aai_gateway.emulator import sample_path

SONNET = "assemblyai/claude-sonnet-4-6"
MESSAGES = [{"role": "user", "content": "Repeat: a quick brown fox."}]


def transcribed(gateway: GatewayProcess, team: TeamAccess, route: str = "assemblyai") -> str:
    """The id of a completed transcript of the team's."""
    with httpx.Client(base_url=f"{gateway.url}/{route}", headers=team.bearer, timeout=60) as client:
        upload = client.post("/v2/upload", content=sample_path("hello").read_bytes()).json()["upload_url"]
        made = client.post("/v2/transcript", json={"audio_url": upload}).raise_for_status().json()
        until(lambda: client.get(f"/v2/transcript/{made['id']}").json()["status"] == "completed")
    return str(made["id"])


def post_chat(gateway: GatewayProcess, team: TeamAccess, **body: Any) -> httpx.Response:
    """One chat completion with the team's key."""
    body = {"model": SONNET, "messages": MESSAGES, **body}
    return httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=team.bearer, timeout=60)


def bodies(llm_url: str) -> list[dict[str, Any]]:
    """The chat bodies that have arrived at an emulated LLM Gateway, oldest first."""
    found: list[dict[str, Any]] = httpx.get(f"{llm_url}/_emulator/chat-bodies").json()["bodies"]
    return found


def held(gateway: GatewayProcess, team: TeamAccess) -> list[dict[str, Any]]:
    """The team's chat holds in the gateway's store, oldest first."""
    query = "select * from holds where service = 'chat' and team_id = ? order by created_at"
    return _rows(gateway, team, query)


def booked(gateway: GatewayProcess, team: TeamAccess) -> list[dict[str, Any]]:
    """The team's chat rows in the gateway's store, oldest first."""
    rows = _rows(gateway, team, "select * from usage where service = 'chat' and team_id = ? order by id")
    return [{**row, "items": json.loads(row["items"])} for row in rows]


def fault(llm_url: str, **what: Any) -> None:
    """Let the next chat completion at an emulated LLM Gateway go wrong."""
    body = {"path": "/v1/chat/completions", **what}
    httpx.post(f"{llm_url}/_emulator/faults", json=body).raise_for_status()


def _rows(gateway: GatewayProcess, team: TeamAccess, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{gateway.store_path}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        rows = [dict(row) for row in store.execute(query, (team.id,))]
    return [{**row, "tags": json.loads(row["tags"])} for row in rows]

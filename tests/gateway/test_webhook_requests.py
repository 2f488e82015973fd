"""A submission's webhook is noted as the team's own, and AssemblyAI gets the gateway's callback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from opened_gateway import KEY, TEAM, opened_gateway, speech_client
from recording_upstream import BODY, JOB, RecordingUpstream, answering, recording_upstream

from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator
from aai_gateway.gateway.context import Gateway
from aai_gateway.store import webhooks
from aai_gateway.store.webhooks import Webhook

US, EU = "https://gateway.example.org/base", "https://gateway.eu.example.org"
HOOK = "https://hooks.example.org/x"
ANSWER = {"id": JOB, "status": "queued"}


@pytest.fixture
def assemblyai() -> Iterator[RecordingUpstream]:
    with recording_upstream() as server:
        yield server


@pytest.fixture
async def gateway(
    emulator: Emulator, assemblyai: RecordingUpstream, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Gateway]:
    urls = getattr(request, "param", {"public_url": f"{US}/", "eu_public_url": EU})
    settings = {"us_url": assemblyai.url, "eu_url": assemblyai.url, **urls}
    async with opened_gateway(emulator, tmp_path, **settings) as gateway:
        yield gateway


async def submit(
    gateway: Gateway,
    assemblyai: RecordingUpstream,
    body: bytes,
    prefix: str = "assemblyai",
    status: int = 200,
) -> tuple[httpx.Response, bytes]:
    """The gateway's answer, and the body that AssemblyAI got; AssemblyAI echoes what it was given."""
    got: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        got.append(request[BODY])
        asked = json.loads(request[BODY])
        echo = {
            "webhook_url": asked.get("webhook_url"),
            "webhook_auth": bool(asked.get("webhook_auth_header_name")),
            "webhook_auth_header_name": asked.get("webhook_auth_header_name"),
            "webhook_status_code": None,
        }
        return await answering({**ANSWER, **echo}, status)(request)

    assemblyai.answer = answer
    async with speech_client(gateway) as client:
        told = await client.post(f"/{prefix}/v2/transcript", content=body)
    return told, b"".join(got)


async def webhook_at(gateway: Gateway, url: str) -> Webhook:
    async with gateway.store.read() as connection:
        found = await webhooks.get(connection, url.rsplit("/", 1)[1].partition(".")[0])
    assert found is not None
    return found[0]


@pytest.mark.parametrize(("prefix", "base"), [("assemblyai", f"{US}/"), ("eu.assemblyai", f"{EU}/")])
async def test_the_callback_is_the_gateways_in_the_jobs_own_region(
    gateway: Gateway, assemblyai: RecordingUpstream, prefix: str, base: str
):
    body = b'{ "audio_url": "https://e.org/a",\n "speech_threshold":0.50, "webhook_url" : "%s",'
    body = body % HOOK.encode() + b'"webhook_auth_header_name":"X-Secret","webhook_auth_header_value":"hush"}'
    answer, got = await submit(gateway, assemblyai, body, prefix)
    sent = json.loads(got)
    assert sent["webhook_url"].startswith(f"{base}webhooks/assemblyai/{'eu' if 'eu' in prefix else 'us'}/")
    assert gateway.webhooks is not None
    noted = await webhook_at(gateway, sent["webhook_url"])
    value = gateway.webhooks.secrets.header_value(noted.region, noted.id)
    assert ("X-AAI-Gateway-Webhook", value) == (
        sent["webhook_auth_header_name"],
        sent["webhook_auth_header_value"],
    )
    # Every other byte is the client's.
    for ours, theirs in ((sent["webhook_url"], HOOK), ("X-AAI-Gateway-Webhook", "X-Secret"), (value, "hush")):
        got = got.replace(ours.encode(), theirs.encode())
    assert body == got
    assert (HOOK, "X-Secret", f"team:{TEAM}", hash_key(KEY)) == (
        noted.url,
        noted.header_name,
        noted.owner,
        noted.key_hash,
    )
    assert noted.header_value is not None and "hush" == gateway.webhooks.secrets.unseal(noted.header_value)
    shown = answer.json()
    assert (HOOK, True, "X-Secret") == (
        shown["webhook_url"],
        shown["webhook_auth"],
        shown["webhook_auth_header_name"],
    )
    assert b"hush" not in (gateway.settings.data_path / "gateway.db-wal").read_bytes()


async def test_without_a_header_of_the_teams_the_gateway_still_has_its_own(
    gateway: Gateway, assemblyai: RecordingUpstream
):
    answer, got = await submit(
        gateway, assemblyai, json.dumps({"audio_url": "x", "webhook_url": HOOK}).encode()
    )
    assert "X-AAI-Gateway-Webhook" == json.loads(got)["webhook_auth_header_name"]
    assert (False, None) == (answer.json()["webhook_auth"], answer.json()["webhook_auth_header_name"])


@pytest.mark.parametrize("gateway", [{}, {"public_url": US}], indirect=True)
async def test_without_a_url_of_its_region_a_webhook_goes_through_untouched(
    gateway: Gateway, assemblyai: RecordingUpstream
):
    # Not even looked at: it is AssemblyAI that would call it.
    body = json.dumps({"audio_url": "x", "webhook_url": "http://10.0.0.1/", "webhook_auth_header_name": "X"})
    answer, got = await submit(gateway, assemblyai, body.encode(), "eu.assemblyai")
    assert (200, body.encode()) == (answer.status_code, got)
    assert "http://10.0.0.1/" == answer.json()["webhook_url"]


@pytest.mark.parametrize(
    "more",
    [
        {"webhook_url": "http://169.254.169.254/latest/meta-data"},
        {"webhook_url": "http://localhost:4000/key/generate"},
        {"webhook_url": 7},
        {"webhook_url": HOOK, "webhook_auth_header_name": "X-Secret"},
        {"webhook_url": HOOK, "webhook_auth_header_name": "Host", "webhook_auth_header_value": "x"},
    ],
)
async def test_a_webhook_that_cannot_be_served_is_refused_before_anything_is_noted(
    gateway: Gateway, assemblyai: RecordingUpstream, more: dict[str, Any]
):
    answer, got = await submit(gateway, assemblyai, json.dumps({"audio_url": "x", **more}).encode())
    assert (400, b"") == (answer.status_code, got)
    assert "webhook_" in answer.json()["error"]


async def test_a_submission_that_assemblyai_refuses_leaves_no_webhook(
    gateway: Gateway, assemblyai: RecordingUpstream
):
    body = json.dumps({"audio_url": "x", "webhook_url": HOOK}).encode()
    _, got = await submit(gateway, assemblyai, body, status=400)
    url = json.loads(got)["webhook_url"]
    async with gateway.store.read() as connection:
        assert await webhooks.get(connection, url.rsplit("/", 1)[1].partition(".")[0]) is None


async def test_small_and_large_answers_show_the_teams_own(gateway: Gateway, assemblyai: RecordingUpstream):
    body = json.dumps({"audio_url": "x", "webhook_url": HOOK}).encode()
    _, got = await submit(gateway, assemblyai, body)
    callback = json.loads(got)["webhook_url"]
    for words in (0, 120_000):
        transcript = {
            **ANSWER,
            "words": [{"text": "word", "start": at, "end": at + 1} for at in range(words)],
            "webhook_url": callback,
            "webhook_auth": True,
            "webhook_auth_header_name": "X-AAI-Gateway-Webhook",
            "webhook_status_code": 200,
        }
        assemblyai.answer = answering(transcript)
        async with speech_client(gateway) as client:
            shown = await client.get(f"/assemblyai/v2/transcript/{JOB}")
        own = {"webhook_url": HOOK, "webhook_auth": False, "webhook_auth_header_name": None}
        assert {**transcript, **own, "webhook_status_code": None} == shown.json()


async def test_a_transcript_that_was_moved_shows_no_webhook_of_its_former_team(
    gateway: Gateway, assemblyai: RecordingUpstream
):
    body = json.dumps({"audio_url": "x", "webhook_url": HOOK}).encode()
    _, got = await submit(gateway, assemblyai, body)
    noted = await webhook_at(gateway, json.loads(got)["webhook_url"])
    async with gateway.store.write() as connection:
        moved = webhooks.webhooks.update().where(webhooks.webhooks.c.id == noted.id)
        await connection.execute(moved.values(owner="team:former"))
    assemblyai.answer = answering({**ANSWER, "webhook_url": "https://gateway/x", "webhook_auth": True})
    async with speech_client(gateway) as client:
        shown = (await client.get(f"/assemblyai/v2/transcript/{JOB}")).json()
    assert (None, False) == (shown["webhook_url"], shown["webhook_auth"])


async def test_deleting_shows_what_assemblyai_says(gateway: Gateway, assemblyai: RecordingUpstream):
    body = json.dumps({"audio_url": "x", "webhook_url": HOOK}).encode()
    await submit(gateway, assemblyai, body)
    gone = {**ANSWER, "status": "completed", "audio_duration": 1, "webhook_url": "http://deleted_by_user"}
    assemblyai.answer = answering({**gone, "webhook_auth": False, "webhook_status_code": None})
    async with speech_client(gateway) as client:
        shown = (await client.delete(f"/assemblyai/v2/transcript/{JOB}")).json()
    assert ("http://deleted_by_user", False) == (shown["webhook_url"], shown["webhook_auth"])

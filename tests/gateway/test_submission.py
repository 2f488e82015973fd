from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opened_gateway import KEY, TEAM, opened_gateway, speech_client

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator, Fault
from aai_gateway.errors import StoreError
from aai_gateway.gateway import submission
from aai_gateway.gateway.context import Gateway
from aai_gateway.store import intents, transcripts

HELLO = "https://example.org/audio.wav"
SUBMIT = "/assemblyai/v2/transcript"


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    emulator.faults.clear()
    async with opened_gateway(emulator, tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with speech_client(gateway) as client:
        yield client


async def open_intents(gateway: Gateway) -> int:
    async with gateway.store.read() as connection:
        return len(await intents.unresolved(connection, Region.US, utc_now()))


async def test_an_accepted_job_is_recorded_with_what_its_price_depends_on(
    gateway: Gateway, client: httpx.AsyncClient
):
    secret = {"audio_url": HELLO, "speaker_labels": True, "prompt": "A secret.", "word_boost": ["x"]}
    made = (await client.post(SUBMIT, json=secret)).json()
    async with gateway.store.read() as connection:
        row = await transcripts.get(connection, Region.US, made["id"])
    assert row is not None
    assert (f"team:{TEAM}", TEAM, hash_key(KEY)) == (row.owner, row.team_id, row.key_hash)
    assert {"speaker_labels": True, "prompt": True} == row.requested
    assert ("queued", HELLO, None) == (row.status, row.audio_url, row.settled_at)
    assert 0 == await open_intents(gateway)
    assert not {"token_id", "project_id"} & made.keys()


@pytest.mark.parametrize(
    ("fault", "status", "left_open"),
    [
        (Fault(status=400, error="No."), 400, 0),
        (Fault(status=429, retry_after=3), 429, 0),
        (Fault(status=401), 401, 0),
        (Fault(status=500), 500, 1),
        (Fault(status=503), 503, 1),
        (Fault(cut=True), 502, 1),
    ],
)
async def test_only_a_clear_refusal_closes_the_matter(
    gateway: Gateway,
    client: httpx.AsyncClient,
    emulator: Emulator,
    fault: Fault,
    status: int,
    left_open: int,
):
    emulator.faults.add(fault)
    assert status == (await client.post(SUBMIT, json={"audio_url": HELLO})).status_code
    assert left_open == await open_intents(gateway)
    assert [] == (await client.get(SUBMIT)).json()["transcripts"]


async def test_what_is_refused_here_leaves_no_trace(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    asked = len(emulator.requests)
    upload = "https://cdn.assemblyai.com/upload/a/b"
    assert 403 == (await client.post(SUBMIT, json={"audio_url": upload})).status_code
    assert 400 == (await client.post(SUBMIT, json={"audio_url": 1})).status_code
    assert (0, []) == (await open_intents(gateway), emulator.requests[asked:])


async def test_a_job_that_cannot_be_noted_is_not_submitted(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    async def full(*_: object) -> None:
        raise StoreError("The store cannot be written: database or disk is full")

    asked = len(emulator.requests)
    monkeypatch.setattr(intents, "open", full)
    answer = await client.post(SUBMIT, json={"audio_url": HELLO})
    assert (503, {"error": "The gateway cannot serve this now."}) == (answer.status_code, answer.json())
    assert [] == emulator.requests[asked:]


async def test_a_job_that_was_taken_but_not_recorded_stays_an_open_intent(
    gateway: Gateway, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    async def full(*_: object) -> None:
        raise StoreError("The store cannot be written: database or disk is full")

    monkeypatch.setattr(submission, "record_accepted", full)
    assert 503 == (await client.post(SUBMIT, json={"audio_url": HELLO})).status_code
    assert 1 == await open_intents(gateway)

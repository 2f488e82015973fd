from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opened_gateway import KEY, TEAM, opened_gateway, speech_client

from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator, Fault, sample_path
from aai_gateway.errors import StoreError
from aai_gateway.gateway import submission
from aai_gateway.gateway.context import Gateway
from aai_gateway.store import holds, intents, keys, teams, transcripts
from aai_gateway.store.holds import Hold

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


async def held(gateway: Gateway) -> list[Hold]:
    async with gateway.store.read() as connection:
        return list(await holds.list_all(connection))


async def team_budget(gateway: Gateway) -> Budget:
    async with gateway.store.read() as connection:
        team = await teams.by_id(connection, TEAM)
    assert team is not None
    return team.budget


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
    assert left_open == len(await held(gateway))
    assert [] == (await client.get(SUBMIT)).json()["transcripts"]


async def test_what_is_refused_here_leaves_no_trace(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    asked = len(emulator.requests)
    upload = "https://cdn.assemblyai.com/upload/a/b"
    assert 403 == (await client.post(SUBMIT, json={"audio_url": upload})).status_code
    assert 400 == (await client.post(SUBMIT, json={"audio_url": 1})).status_code
    assert (0, []) == (await open_intents(gateway), emulator.requests[asked:])


@pytest.mark.parametrize(
    "many",
    [
        {"speech_models": [f"m{number}" for number in range(40_000)]},
        {f"x{number}": True for number in range(101)},
        {"speech_understanding": {"request": {f"x{number}": {} for number in range(101)}}},
    ],
    ids=["models", "options", "tasks"],
)
async def test_more_names_than_a_request_can_mean_are_refused_before_each_is_priced(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator, many: dict[str, object]
):
    asked = len(emulator.requests)
    answer = await client.post(SUBMIT, json={"audio_url": HELLO, **many})
    told = "A request may name at most 100 models, tasks or options."
    assert (400, {"error": told}) == (answer.status_code, answer.json())
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


async def test_what_never_left_gives_its_money_back(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path, us_url="http://127.0.0.1:9") as gateway:
        async with speech_client(gateway) as client:
            assert 502 == (await client.post(SUBMIT, json={"audio_url": HELLO})).status_code
        assert (0, []) == (await open_intents(gateway), await held(gateway))


async def test_a_public_url_is_held_for_as_long_as_it_is_assumed_to_be(
    gateway: Gateway, client: httpx.AsyncClient
):
    body = {"audio_url": HELLO, "speech_models": ["universal-2"], "speaker_labels": True}
    headers = {"x-litellm-tags": "news, radio", "x-litellm-end-user-id": "ann"}
    answer = await client.post(SUBMIT, json=body, headers=headers)
    [hold] = await held(gateway)
    # 15 minutes at $0.17 an hour.
    assert (42_500, ("news", "radio"), "ann") == (hold.micros, hold.tags, hold.end_user)
    assert "0.042500" == answer.headers["x-aai-gateway-held-cost"]
    assert "x-aai-gateway-budget-remaining" not in answer.headers


async def test_an_upload_is_held_for_its_length_and_charged_what_was_held(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    async with gateway.store.write() as connection:
        await teams.update(connection, TEAM, budget=Budget(max_micros=1_000_000))
    audio = sample_path("interview").read_bytes()
    url = (await client.post("/assemblyai/v2/upload", content=audio)).json()["upload_url"]
    made = await client.post(SUBMIT, json={"audio_url": url})
    [hold] = await held(gateway)
    left = f"0.{1_000_000 - hold.micros:06d}"
    assert left == made.headers["x-aai-gateway-budget-remaining"]
    assert (0, hold.micros) == (
        (await team_budget(gateway)).spent_micros,
        (await team_budget(gateway)).held_micros,
    )
    transcript_id = made.json()["id"]
    ended = await client.get(f"{SUBMIT}/{transcript_id}")
    while ended.json()["status"] not in ("completed", "error"):
        ended = await client.get(f"{SUBMIT}/{transcript_id}")
    assert [] == await held(gateway)
    budget = await team_budget(gateway)
    assert (hold.micros, 0) == (budget.spent_micros, budget.held_micros)
    assert f"0.{hold.micros:06d}" == ended.headers["x-aai-gateway-cost"]
    again = await client.get(f"{SUBMIT}/{transcript_id}")
    assert ended.headers["x-aai-gateway-cost"] == again.headers["x-aai-gateway-cost"]


async def test_a_job_that_would_not_fit_is_refused_and_never_sent(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    async with gateway.store.write() as connection:
        await keys.update(connection, hash_key(KEY), budget=Budget(max_micros=52_499))
    asked = len(emulator.requests)
    answer = await client.post(SUBMIT, json={"audio_url": HELLO})
    assert 400 == answer.status_code
    assert (
        "Budget has been exceeded! Key sk-...team has spent $0.000000 of $0.052499. "
        "This job is likely to cost $0.052500."
    ) == answer.json()["error"]
    assert ([], 0, []) == (emulator.requests[asked:], await open_intents(gateway), await held(gateway))


async def test_a_spent_soft_budget_warns_on_every_answer(gateway: Gateway, client: httpx.AsyncClient):
    async with gateway.store.write() as connection:
        await teams.update(connection, TEAM, budget=Budget(soft_micros=10), spent_micros=10)
    answer = await client.post(SUBMIT, json={"audio_url": HELLO})
    assert 200 == answer.status_code
    assert (
        f"Team {TEAM} has spent $0.000010, past its soft budget of $0.000010."
        == answer.headers["x-aai-gateway-budget-warning"]
    )


async def test_tags_that_no_report_could_show_are_refused(gateway: Gateway, client: httpx.AsyncClient):
    answer = await client.post(SUBMIT, json={"audio_url": HELLO}, headers={"x-litellm-tags": "x" * 300})
    assert (400, []) == (answer.status_code, await held(gateway))

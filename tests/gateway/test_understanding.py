"""Speech understanding through the gateway's routes: whose, held, booked, given back, and on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from invoiced import lines
from opened_gateway import MASTER, TEAM, opened_gateway, speech_client
from waiting import comes

from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.emulator import Emulator, Fault
from aai_gateway.errors import StoreError
from aai_gateway.gateway import ledger as ledgers
from aai_gateway.gateway.context import Gateway
from aai_gateway.store import holds, keys, teams, transcripts, usage

INTERVIEW = "https://assembly.ai/wildfires.mp3"
STEREO = "https://example.com/audio.mp3"
PATH = "/llm-gateway.assemblyai/v1/understanding"
TASKS = {"translation": {"target_languages": ["es"]}, "summarization": {"summary_type": "bullets"}}
FAULT = {"host": "llm-us", "path": "/v1/understanding"}


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    emulator.faults.clear()
    async with opened_gateway(emulator, tmp_path, read_timeout=5) as gateway:
        yield gateway
    emulator.faults.clear()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with speech_client(gateway) as client:
        yield client


async def submitted(
    client: httpx.AsyncClient, path: str = "/assemblyai/v2/transcript", **options: Any
) -> str:
    return str((await client.post(path, json={"audio_url": INTERVIEW, **options})).json()["id"])


def account(emulator: Emulator, url: str = "") -> httpx.AsyncClient:
    """A client of AssemblyAI itself, with the account's key."""
    key = {"Authorization": emulator.config.account_key}
    return httpx.AsyncClient(base_url=url or emulator.urls.us, headers=key)


async def ended(emulator: Emulator, transcript_id: str) -> str:
    """The same id, once AssemblyAI is done; the gateway has not heard of it."""
    async with account(emulator) as direct:

        async def is_ended() -> bool:
            return (await direct.get(f"/v2/transcript/{transcript_id}")).json()["status"] == "completed"

        await comes(is_ended)
    return transcript_id


def body(transcript_id: str, tasks: Any = TASKS) -> dict[str, Any]:
    return {"transcript_id": transcript_id, "speech_understanding": {"request": tasks}}


async def booked(gateway: Gateway, service: str = "understanding") -> list[UsageRow]:
    async with gateway.store.read() as connection:
        return [row for row in await usage.list_rows(connection) if row.service == service]


async def held(gateway: Gateway) -> list[holds.Hold]:
    async with gateway.store.read() as connection:
        return [hold for hold in await holds.list_all(connection) if hold.service == "understanding"]


async def test_an_answer_is_booked_as_it_is_invoiced_and_a_job_that_was_not_settled_too(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    made = await ended(emulator, await submitted(client))

    answer = await client.post(PATH, json=body(made), headers={"x-litellm-tags": "demo"})

    assert 200 == answer.status_code, answer.text
    assert answer.json()["translated_texts"]["es"].startswith("[es] ")
    [row] = await booked(gateway)
    charge = next(row for row in emulator.invoice.rows if row.id == answer.json()["request_id"])
    assert lines(asdict(item) for item in charge.items) == sorted(lines(row.items), reverse=True)
    assert (charge.micros, TEAM, "fallback", ("demo",)) == (row.micros, row.team_id, row.priced_as, row.tags)
    assert f"0.{row.micros:06}" == answer.headers["x-aai-gateway-cost"]
    [job] = await booked(gateway, "speech")
    assert (made, row.audio_seconds, 1) == (job.source_id, job.audio_seconds, row.channels)
    assert [] == await held(gateway)
    async with gateway.store.read() as connection:
        team = await teams.by_id(connection, TEAM)
    assert team is not None
    assert (job.micros + row.micros, 0) == (team.budget.spent_micros, team.budget.held_micros)


async def test_each_channel_is_charged(gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator):
    made = await ended(emulator, await submitted(client, audio_url=STEREO, multichannel=True))
    answer = await client.post(PATH, json=body(made))
    [row] = await booked(gateway)
    assert emulator.invoice.micros_of("understanding", "us", answer.json()["request_id"]) == row.micros
    assert (2, {2 * row.audio_seconds}) == (row.channels, {item["quantity"] for item in row.items})


async def test_the_master_key_may_use_a_transcript_that_the_gateway_did_not_make(
    gateway: Gateway, emulator: Emulator
):
    async with account(emulator) as direct:
        made = await ended(emulator, await submitted(direct, "/v2/transcript"))
    async with speech_client(gateway, MASTER) as master, speech_client(gateway) as client:
        assert 404 == (await client.post(PATH, json=body(made))).status_code
        answer = await master.post(PATH, json=body(made))
    assert 200 == answer.status_code
    [row] = await booked(gateway)
    assert ("master", emulator.invoice.rows[-1].micros) == (row.owner, row.micros)


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_what_was_refused_costs_nothing(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator, status: int
):
    made = await ended(emulator, await submitted(client))
    emulator.faults.add(Fault(**FAULT, status=status, retry_after=7))
    answer = await client.post(PATH, json=body(made))
    assert (status, "7") == (answer.status_code, answer.headers["retry-after"])
    assert status == answer.json()["code"]
    assert ([], []) == (await booked(gateway), await held(gateway))


async def test_an_answer_that_never_came_is_on_record_as_unknown(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    made = await ended(emulator, await submitted(client))
    emulator.faults.add(Fault(**FAULT, cut=True, after=True))
    answer = await client.post(PATH, json=body(made))
    assert (502, 502) == (answer.status_code, answer.json()["code"])
    [hold] = await held(gateway)
    assert [] == await booked(gateway)
    monkeypatch.setattr(ledgers, "utc_now", lambda: utc_now() + timedelta(days=1))
    await gateway.ledger.expire_holds()
    [row] = await booked(gateway)
    assert ("unknown", 0, hold.id) == (row.status, row.micros, row.source_id)
    assert [("request", hold.micros)] == [(item["unit"], item["held_micros"]) for item in row.items]


async def test_what_was_never_sent_is_given_back(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path, llm_us_url="http://127.0.0.1:9") as gateway:
        async with speech_client(gateway) as client:
            made = await ended(emulator, await submitted(client))
            answer = await client.post(PATH, json=body(made))
        assert 502 == answer.status_code
        assert ([], []) == (await booked(gateway), await held(gateway))


async def test_a_budget_that_cannot_hold_it_refuses_before_anything_is_sent(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    made = await ended(emulator, await submitted(client))
    assert 200 == (await client.get(f"/assemblyai/v2/transcript/{made}")).status_code
    async with gateway.store.write() as connection:
        [key] = await keys.list_all(connection)
        spent = key.budget.spent_micros
        await keys.update(connection, key.hash, budget=Budget(max_micros=spent + 1, spent_micros=spent))
    asked = len(emulator.requests)
    answer = await client.post(PATH, json=body(made))
    assert (400, 400) == (answer.status_code, answer.json()["code"])
    assert "Budget" in answer.json()["message"]
    assert asked == len(emulator.requests)


async def test_an_answer_is_passed_on_though_it_cannot_be_booked_yet(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    made = await ended(emulator, await submitted(client))
    assert 200 == (await client.get(f"/assemblyai/v2/transcript/{made}")).status_code

    async def full(*_: object) -> bool:
        raise StoreError("The store cannot be written: database or disk is full")

    monkeypatch.setattr(usage, "record", full)
    answer = await client.post(PATH, json=body(made))
    monkeypatch.undo()
    assert (200, False) == (answer.status_code, "x-aai-gateway-cost" in answer.headers)
    assert 1 == len(await held(gateway))

    async def is_booked() -> bool:
        return bool(await booked(gateway))

    await comes(is_booked)
    assert [] == await held(gateway)


async def test_a_job_that_is_not_done_is_assemblyais_to_refuse(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    emulator.pace.job_seconds, pace = 60.0, emulator.pace.job_seconds
    made = await submitted(client)
    emulator.pace.job_seconds = pace
    answer = await client.post(PATH, json=body(made))
    assert (400, "transcript is not completed") == (answer.status_code, answer.json()["message"])
    assert ([], []) == (await booked(gateway), await held(gateway))


async def test_models_and_validate_are_forwarded_and_cost_nothing(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    made = await ended(emulator, await submitted(client))
    async with account(emulator, emulator.urls.llm_eu) as direct:
        expected = await direct.get("/v1/models")
    models = await client.get("/llm-gateway.eu.assemblyai/v1/models")
    assert (200, expected.content) == (models.status_code, models.content)
    answer = await client.post(f"{PATH}/validate", json=body(made))
    assert (200, ["request_id"]) == (answer.status_code, list(answer.json()))
    wrong = await client.post(f"{PATH}/validate", json=body(made, {"poetry": {}, "translation": {}}))
    assert (400, 2) == (wrong.status_code, len(wrong.json()["metadata"]["errors"]))
    assert 404 == (await client.post(f"{PATH}/validate", json=body("t-unknown"))).status_code
    assert [] == await booked(gateway)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/understanding", 405),
        ("POST", "/v2/transcript", 404),
        ("POST", "//v1/understanding", 404),
    ],
)
async def test_any_other_operation_is_refused_and_logged(
    client: httpx.AsyncClient,
    emulator: Emulator,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    status: int,
):
    asked = len(emulator.requests)
    answer = await client.request(method, f"/llm-gateway.assemblyai{path}")
    assert (status, status) == (answer.status_code, answer.json()["code"])
    assert "refused unknown operation" in caplog.text
    assert asked == len(emulator.requests)


async def test_a_key_is_needed_for_all(gateway: Gateway, emulator: Emulator):
    asked = len(emulator.requests)
    async with speech_client(gateway, "sk-nobody") as nobody:
        answers = [await nobody.get("/llm-gateway.assemblyai/v1/models"), await nobody.post(PATH, json={})]
    assert [401, 401] == [answer.status_code for answer in answers]
    assert ["error", "status", "request_id"] == list(answers[0].json())
    assert asked == len(emulator.requests)


async def test_a_deleted_transcript_is_gone_as_assemblyai_says(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    made = await ended(emulator, await submitted(client))
    await client.delete(f"/assemblyai/v2/transcript/{made}")
    gone, unknown = await client.post(PATH, json=body(made)), await client.post(PATH, json=body("t-unknown"))
    assert (404, 404) == (gone.status_code, unknown.status_code)
    assert gone.text.replace(gone.json()["request_id"], "") == unknown.text.replace(
        unknown.json()["request_id"], ""
    )
    async with gateway.store.read() as connection:
        assert await transcripts.get(connection, Region.US, made) is not None
    assert ([], []) == (await booked(gateway), await held(gateway))

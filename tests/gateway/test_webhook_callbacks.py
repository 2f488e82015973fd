"""A callback that was signed here is noted and settles its job; any other learns and changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opened_gateway import KEY, TEAM, opened_gateway, speech_client
from waiting import comes

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import VirtualKey, hash_key
from aai_gateway.emulator import Emulator, Fault
from aai_gateway.gateway import webhook_callbacks as module
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.webhook_callbacks import WebhookRoutes
from aai_gateway.gateway.webhook_secrets import HEADER_NAME, new_webhook_id
from aai_gateway.store import Store, keys, transcripts, usage, webhook_deliveries, webhooks
from aai_gateway.store.webhooks import Webhook

HELLO = "https://example.org/audio.wav"
# Nobody is there: here the tests are the ones who call.
PUBLIC = {"public_url": "http://127.0.0.1:9", "eu_public_url": "http://127.0.0.1:9"}
AUDIO = {"status": "redacted_audio_ready", "redacted_audio_url": "https://s3.eu-west-1.amazonaws.com/x"}


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    emulator.faults.clear()
    async with opened_gateway(emulator, tmp_path, **PUBLIC) as gateway:
        yield gateway
    emulator.faults.clear()


@pytest.fixture
async def caller(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(gateway) as client:
        yield client


def client_of(gateway: Gateway) -> httpx.AsyncClient:
    async def ready() -> Gateway:
        return gateway

    return httpx.AsyncClient(transport=httpx.ASGITransport(WebhookRoutes(ready)), base_url="http://gateway")


async def made(gateway: Gateway, prefix: str = "assemblyai") -> tuple[str, Webhook]:
    """A job with a webhook, which AssemblyAI has ended; its id and webhook."""
    region = Region.EU if prefix.startswith("eu") else Region.US
    async with speech_client(gateway) as client:
        body = {"audio_url": HELLO, "webhook_url": "https://hooks.example.org/x"}
        job = (await client.post(f"/{prefix}/v2/transcript", json=body)).raise_for_status().json()["id"]
    async with gateway.store.read() as connection:
        row = await transcripts.get(connection, region, job)
        assert row is not None
        found = await webhooks.of_job(connection, row)
    assert found is not None

    async def ended() -> bool:
        headers = {"authorization": gateway.upstream.account_key(region)}
        async with gateway.upstream.request(
            region, "GET", f"/v2/transcript/{job}", headers=headers
        ) as answer:
            return (await answer.json())["status"] == "completed"

    await comes(ended)
    return job, found[0]


async def call(
    gateway: Gateway,
    caller: httpx.AsyncClient,
    webhook: Webhook,
    body: Any,
    *,
    region: Region | None = None,
    header: str | None = None,
    token: str | None = None,
) -> httpx.Response:
    assert gateway.webhooks is not None
    secrets, of = gateway.webhooks.secrets, region or webhook.region
    path = f"/webhooks/assemblyai/{of.value}/{token or secrets.token(webhook.region, webhook.id)}"
    value = secrets.header_value(webhook.region, webhook.id) if header is None else header
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await caller.post(path, content=content, headers={HEADER_NAME: value})


async def noted(store: Store) -> list[tuple[str, str]]:
    async with store.read() as connection:
        found = await webhook_deliveries.log(connection)
    return [(delivery.transcript_id, delivery.event.value) for delivery, _ in reversed(found)]


async def settled(gateway: Gateway, job: str, region: Region = Region.US) -> bool:
    async with gateway.store.read() as connection:
        return await usage.micros_of(connection, "speech", region, job) is not None


@pytest.mark.parametrize("prefix", ["assemblyai", "eu.assemblyai"])
async def test_a_callback_is_noted_once_and_settles_the_job_at_once(
    gateway: Gateway, caller: httpx.AsyncClient, prefix: str
):
    job, webhook = await made(gateway, prefix)
    assert not await settled(gateway, job, webhook.region)
    told = {"transcript_id": job, "status": "completed"}
    assert [200, 200] == [(await call(gateway, caller, webhook, told)).status_code for _ in range(2)]
    assert await settled(gateway, job, webhook.region)
    assert 200 == (await call(gateway, caller, webhook, AUDIO)).status_code
    assert [(job, "transcript"), (job, "redacted_audio")] == await noted(gateway.store)


async def test_a_link_out_of_the_eu_is_told_to_nobody(
    gateway: Gateway, caller: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
):
    job, webhook = await made(gateway, "eu.assemblyai")
    out = {**AUDIO, "redacted_audio_url": "https://s3.us-west-2.amazonaws.com/b/a.mp3?X-Amz-Signature=s3cret"}
    assert 200 == (await call(gateway, caller, webhook, out)).status_code
    assert [] == await noted(gateway.store)
    assert f"withheld a link for transcript {job}" in caplog.text
    assert "s3cret" not in caplog.text
    inside = {**AUDIO, "redacted_audio_url": "https://s3.eu-west-1.amazonaws.com/b/a.mp3"}
    assert 200 == (await call(gateway, caller, webhook, inside)).status_code
    assert [(job, "transcript"), (job, "redacted_audio")] == await noted(gateway.store)


async def test_what_was_not_signed_here_changes_nothing_and_learns_nothing(
    gateway: Gateway, caller: httpx.AsyncClient
):
    job, webhook = await made(gateway)
    assert gateway.webhooks is not None
    secrets, told = gateway.webhooks.secrets, {"transcript_id": job, "status": "completed"}
    genuine = secrets.token(Region.US, webhook.id)
    stranger = new_webhook_id()
    answers = [
        await call(gateway, caller, webhook, told, token="x"),
        await call(gateway, caller, webhook, told, token=genuine[:-1] + ("A" if genuine[-1] != "A" else "B")),
        await call(gateway, caller, webhook, told, token=secrets.token(Region.EU, webhook.id)),
        await call(gateway, caller, webhook, told, region=Region.EU),
        await call(gateway, caller, webhook, told, header=""),
        await call(gateway, caller, webhook, told, header="wrong"),
        await call(gateway, caller, webhook, told, header=genuine),
        # Signed, but for a webhook that is not there.
        await caller.post(
            f"/webhooks/assemblyai/us/{secrets.token(Region.US, stranger)}",
            json=told,
            headers={HEADER_NAME: secrets.header_value(Region.US, stranger)},
        ),
        await caller.get(f"/webhooks/assemblyai/us/{genuine}"),
        await caller.post(f"/webhooks/assemblyai/us/{genuine}/x", json=told),
        await caller.post("/webhooks/assemblyai/", json=told),
    ]
    assert {(404, '{"error":"Not found."}')} == {(one.status_code, one.text) for one in answers}
    assert [] == await noted(gateway.store)
    assert not await settled(gateway, job)


async def test_a_webhook_speaks_of_its_own_job_only(gateway: Gateway, caller: httpx.AsyncClient):
    job, _ = await made(gateway)
    _, attackers = await made(gateway)
    told = {"transcript_id": job, "status": "completed"}
    assert 404 == (await call(gateway, caller, attackers, told)).status_code
    assert 404 == (await call(gateway, caller, attackers, {**AUDIO, "transcript_id": job})).status_code
    assert [] == await noted(gateway.store)
    assert not await settled(gateway, job)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[1]", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b'{"status":"completed","status":"error"}', 400),
        ({"status": "sold"}, 400),
        ({"status": "completed"}, 400),
        (b'{"a":"' + b"x" * 40_000 + b'"}', 413),
        (b"[" * 30_000, 400),
    ],
)
async def test_a_body_that_is_no_notification_is_refused(
    gateway: Gateway, caller: httpx.AsyncClient, body: Any, status: int
):
    _, webhook = await made(gateway)
    answer = await call(gateway, caller, webhook, body)
    assert (status, ["error"]) == (answer.status_code, list(answer.json()))
    assert [] == await noted(gateway.store)


async def test_a_job_that_is_not_known_yet_is_asked_to_be_told_again(
    gateway: Gateway, caller: httpx.AsyncClient
):
    job, webhook = await made(gateway)
    async with gateway.store.write() as connection:
        await connection.execute(webhooks.intents.update().values(transcript_id=None))
    told = {"transcript_id": job, "status": "completed"}
    assert 503 == (await call(gateway, caller, webhook, told)).status_code
    assert [] == await noted(gateway.store)


async def test_a_store_that_is_away_is_told_again(gateway: Gateway, caller: httpx.AsyncClient):
    job, webhook = await made(gateway)
    await gateway.store.close()
    (gateway.settings.data_path / "gateway.db").rename(gateway.settings.data_path / "away.db")
    (gateway.settings.data_path / "gateway.db").mkdir()
    told = {"transcript_id": job, "status": "completed"}
    answer = await call(gateway, caller, webhook, told)
    assert (503, {"error": "The gateway cannot serve this now."}) == (answer.status_code, answer.json())


async def test_what_cannot_be_settled_now_is_noted_all_the_same(
    gateway: Gateway, caller: httpx.AsyncClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.2)
    for fault in (Fault(status=500), Fault(delay_seconds=1.0)):
        job, webhook = await made(gateway)
        emulator.faults.add(fault)
        told = {"transcript_id": job, "status": "completed"}
        assert 200 == (await call(gateway, caller, webhook, told)).status_code
        assert (job, "transcript") in await noted(gateway.store)
        assert not await settled(gateway, job)
        emulator.faults.clear()


async def test_a_caller_who_dawdles_is_not_waited_for(
    gateway: Gateway, caller: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "BODY_SECONDS", 0.05)
    _, webhook = await made(gateway)
    assert gateway.webhooks is not None
    sent: list[Any] = []

    async def ready() -> Gateway:
        return gateway

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    secrets = gateway.webhooks.secrets
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/webhooks/assemblyai/us/{secrets.token(Region.US, webhook.id)}",
        "headers": [(HEADER_NAME.lower().encode(), secrets.header_value(Region.US, webhook.id).encode())],
    }
    await WebhookRoutes(ready)(scope, receive, send)
    assert 408 == sent[0]["status"]


async def test_without_a_public_url_nothing_is_taken(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path) as gateway, client_of(gateway) as caller:
        assert 404 == (await caller.post("/webhooks/assemblyai/us/x", json={})).status_code


# -- the log ----------------------------------------------------------------------------------------------


async def page(caller: httpx.AsyncClient, key: str = KEY, **query: Any) -> httpx.Response:
    return await caller.get("/webhooks/deliveries", params=query, headers={"Authorization": f"Bearer {key}"})


async def test_a_team_reads_its_own_log(gateway: Gateway, caller: httpx.AsyncClient):
    ids = []
    for _ in range(2):
        job, webhook = await made(gateway)
        await call(gateway, caller, webhook, {"transcript_id": job, "status": "completed"})
        ids.append(job)
    whole = (await page(caller)).json()
    assert ids[::-1] == [one["transcript_id"] for one in whole["deliveries"]]
    assert ("https://hooks.example.org/x", "pending", []) == tuple(
        whole["deliveries"][0][name] for name in ("url", "state", "attempts")
    )
    assert whole["next_before"] is None
    first = (await page(caller, limit=1)).json()
    assert [ids[1]] == [one["transcript_id"] for one in first["deliveries"]]
    rest = (await page(caller, limit=5, before=first["next_before"])).json()
    assert [ids[0]] == [one["transcript_id"] for one in rest["deliveries"]]
    named = (await page(caller, transcript_id=ids[0])).json()
    assert [ids[0]] == [one["transcript_id"] for one in named["deliveries"]]


async def test_nobody_reads_anothers_log(gateway: Gateway, caller: httpx.AsyncClient):
    job, webhook = await made(gateway)
    await call(gateway, caller, webhook, {"transcript_id": job, "status": "completed"})
    async with gateway.store.write() as connection:
        await keys.create(connection, VirtualKey(hash_key("sk-alone"), "sk-...lone"))
        narrowed = VirtualKey(hash_key("sk-narrowed"), "sk-...owed", team_id=TEAM, own_only=True)
        await keys.create(connection, narrowed)
        own_only = keys.virtual_keys.update().where(keys.virtual_keys.c.hash == narrowed.hash)
        await connection.execute(own_only.values(own_only=True))
    for key, count in (("sk-alone", 0), ("sk-narrowed", 0), (KEY, 1), ("sk-master", 1)):
        shown = (await page(caller, key, transcript_id=job)).json()
        assert count == len(shown["deliveries"]), key
    assert 401 == (await page(caller, "sk-nobody")).status_code
    assert 401 == (await caller.get("/webhooks/deliveries")).status_code


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"before": "-1"}, {"before": 2**63}]
)
async def test_a_page_that_cannot_be_shown_is_refused(caller: httpx.AsyncClient, query: dict[str, Any]):
    assert 400 == (await page(caller, **query)).status_code


async def test_the_log_is_only_read(caller: httpx.AsyncClient):
    answer = await caller.post("/webhooks/deliveries", headers={"Authorization": KEY})
    assert (405, "GET") == (answer.status_code, answer.headers["allow"])

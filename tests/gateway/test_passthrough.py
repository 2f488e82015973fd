from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from opened_gateway import MASTER, another_key, opened_gateway, speech_client
from recording_upstream import answering, recording_upstream

from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator, Fault
from aai_gateway.errors import StoreError
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.passthrough import SpeechRoutes, route_path
from aai_gateway.gateway.wire import Message
from aai_gateway.store import transcripts, usage

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


async def completed(client: httpx.AsyncClient) -> str:
    made = (await client.post(SUBMIT, json={"audio_url": HELLO})).json()["id"]
    while (await client.get(f"{SUBMIT}/{made}")).json()["status"] in ("queued", "processing"):
        pass
    return str(made)


async def test_a_poll_is_answered_though_it_cannot_be_booked(
    gateway: Gateway, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    async def full(*_: object) -> bool:
        raise StoreError("The store cannot be written: database or disk is full")

    monkeypatch.setattr(usage, "record", full)
    made = await completed(client)
    monkeypatch.undo()
    async with gateway.store.read() as connection:
        row = await transcripts.get(connection, Region.US, made)
        assert row is not None and None is row.settled_at
    assert 200 == (await client.get(f"{SUBMIT}/{made}")).status_code
    async with gateway.store.read() as connection:
        assert [made] == [row.source_id for row in await usage.list_rows(connection)]


async def test_a_job_whose_cost_cannot_be_read_is_not_deleted(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    made = (await client.post(SUBMIT, json={"audio_url": HELLO})).json()["id"]
    emulator.faults.add(Fault(method="GET", path=f"/v2/transcript/{made}", status=500))
    answer = await client.delete(f"{SUBMIT}/{made}")
    assert (502, ["error"]) == (answer.status_code, list(answer.json()))
    assert HELLO == (await client.get(f"{SUBMIT}/{made}")).json()["audio_url"]
    assert 200 == (await client.delete(f"{SUBMIT}/{made}")).status_code
    [item] = (await client.get(SUBMIT)).json()["transcripts"]
    assert "http://deleted_by_user" == item["audio_url"]


async def test_a_failure_nobody_thought_of_has_assemblyais_shape_and_is_logged(
    gateway: Gateway,
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    async def odd(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(transcripts, "page", odd)
    answer = await client.get(SUBMIT)
    assert (500, {"error": "The gateway failed on this request."}) == (answer.status_code, answer.json())
    assert "ZeroDivisionError" in caplog.text


async def test_a_get_with_a_long_body_is_refused(gateway: Gateway):
    async with speech_client(gateway, MASTER) as client:
        answer = await client.request("GET", f"{SUBMIT}/some-id", content=b"x" * 70_000)
    assert (413, ["error"]) == (answer.status_code, list(answer.json()))


async def test_a_websocket_is_closed(gateway: Gateway):
    sent: list[Message] = []

    async def ready() -> Gateway:
        return gateway

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await SpeechRoutes(ready)({"type": "websocket", "path": "/assemblyai/v3/ws"}, receive, send)
    assert [("websocket.close", 1008)] == [(message["type"], message["code"]) for message in sent]


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/assemblyai/v2", "", "/assemblyai/v2"),
        ("/root/assemblyai/v2", "/root", "/assemblyai/v2"),
        ("/root/assemblyai/v2", "/root/", "/assemblyai/v2"),
        ("/rooted/assemblyai", "/root", "/rooted/assemblyai"),
        ("/assemblyai/v2", "/root", "/assemblyai/v2"),
    ],
)
def test_the_route_is_the_path_below_the_root(path: str, root: str, expected: str):
    assert expected == route_path({"path": path, "root_path": root})


async def test_a_read_only_key_sees_its_teams_transcripts_and_changes_nothing(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    made = await completed(client)
    reader = await another_key(gateway, "sk-reader", read_only=True)
    async with speech_client(gateway, reader) as reading:
        for path in (made, f"{made}/sentences", f"{made}/srt", f"{made}/word-search?words=a"):
            assert 200 == (await reading.get(f"{SUBMIT}/{path}")).status_code
        assert [made] == [row["id"] for row in (await reading.get(SUBMIT)).json()["transcripts"]]
        asked = len(emulator.requests)
        refused = [
            await reading.post("/assemblyai/v2/upload", content=b"x"),
            await reading.post(SUBMIT, json={"audio_url": HELLO}),
            await reading.delete(f"{SUBMIT}/{made}"),
            await reading.delete(f"{SUBMIT}/nobody-s"),
        ]
    told = (403, {"error": "This key is read-only."})
    assert [told] * 4 == [(got.status_code, got.json()) for got in refused]
    assert [] == emulator.requests[asked:]


async def test_a_narrowed_key_is_a_stranger_to_its_own_team(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    theirs = await completed(client)
    uploaded = (await client.post("/assemblyai/v2/upload", content=b"x")).json()["upload_url"]
    async with speech_client(gateway, await another_key(gateway, "sk-narrow", own_only=True)) as narrow:
        mine = await completed(narrow)
        asked = len(emulator.requests)
        for method, path in (("GET", theirs), ("GET", f"{theirs}/vtt"), ("DELETE", theirs)):
            got = await narrow.request(method, f"{SUBMIT}/{path}")
            nobodys = await narrow.request(method, f"{SUBMIT}/{path.replace(theirs, 'nobody-s')}")
            assert (400, got.content) == (nobodys.status_code, nobodys.content)
            assert (400, nobodys.content) == (got.status_code, got.content)
        got = await narrow.post(SUBMIT, json={"audio_url": uploaded})
        assert (403, {"error": "Cannot access uploaded file"}) == (got.status_code, got.json())
        assert [] == emulator.requests[asked:]
        assert [mine] == [row["id"] for row in (await narrow.get(SUBMIT)).json()["transcripts"]]
        assert 400 == (await narrow.get(SUBMIT, params={"before_id": theirs})).status_code
        own = (await narrow.post("/assemblyai/v2/upload", content=b"y")).json()["upload_url"]
        assert 200 == (await narrow.post(SUBMIT, json={"audio_url": own})).status_code
        assert 200 == (await narrow.delete(f"{SUBMIT}/{mine}")).status_code
    both = (await client.get(SUBMIT)).json()["transcripts"]
    assert {theirs, mine} < {row["id"] for row in both}


REDACTED = "/eu.assemblyai/v2/transcript/11111111-2222-4333-8444-555555555555/redacted-audio"
WITHHELD = "AssemblyAI's link to this audio may lead out of the EU region; it is withheld."


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        ({"redacted_audio_url": "https://s3.eu-west-1.amazonaws.com/b/a.mp3"}, 200, 200),
        ({"redacted_audio_url": "https://audio.example.org/a.mp3"}, 200, 200),
        ({"redacted_audio_url": "https://s3.us-west-2.amazonaws.com/usw2/a.mp3?sig=s3cret"}, 200, 502),
        ({"redacted_audio_url": "https://unknown.example.org/a.mp3"}, 200, 502),
        ({"status": "ready", "further": "//s3.us-west-2.amazonaws.com/a.mp3"}, 202, 502),
        (b"not JSON", 200, 502),
        ({"error": "A redacted audio file for this transcript ID doesn't exist."}, 400, 400),
    ],
    ids=["Ireland", "configured", "Oregon", "unknown", "another field", "unreadable", "refused"],
)
async def test_links_of_the_eu_route_stay_in_the_eu(
    emulator: Emulator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answer: object,
    status: int,
    expected: int,
):
    with recording_upstream() as upstream:
        upstream.answer = answering(answer, status)
        hosts = "audio.example.org, other.example.org"
        settings = {"eu_url": upstream.url, "eu_link_hosts": hosts}
        async with (
            opened_gateway(emulator, tmp_path, **settings) as gateway,
            speech_client(gateway, MASTER) as client,
        ):
            got = await client.get(REDACTED)
    assert expected == got.status_code
    assert (answer if expected != 502 else {"error": WITHHELD}) == got.json()
    assert "s3cret" not in caplog.text
    assert (expected == 502) == ("withheld a link" in caplog.text)


async def test_the_us_route_passes_its_links_on(client: httpx.AsyncClient, emulator: Emulator):
    body = {"audio_url": HELLO, "redact_pii": True, "redact_pii_audio": True}
    made = (await client.post(SUBMIT, json=body)).json()["id"]
    while (got := await client.get(f"{SUBMIT}/{made}/redacted-audio")).status_code == 400:
        pass
    assert got.json()["redacted_audio_url"].startswith(emulator.urls.us)

"""Teams behind one account do not see, touch or pay for one another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from gateway_process import GatewayProcess, TeamAccess
from waiting import until

from aai_gateway.core.operations import KNOWN, Operation
from aai_gateway.core.regions import Host
from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator, sample_path

UNKNOWN = "8e8e8e8e-0000-4000-8000-000000000000"
ROUTES = {"us": "assemblyai", "eu": "eu.assemblyai"}
HELLO = {"audio_url": "https://example.org/audio.wav"}
NOT_FOUND = {"error": "Transcript lookup error, transcript id not found"}

ON_A_TRANSCRIPT = {
    Operation.GET: ("GET", ""),
    Operation.DELETE: ("DELETE", ""),
    Operation.SENTENCES: ("GET", "/sentences"),
    Operation.PARAGRAPHS: ("GET", "/paragraphs"),
    Operation.SRT: ("GET", "/srt"),
    Operation.VTT: ("GET", "/vtt"),
    Operation.WORD_SEARCH: ("GET", "/word-search?words=a"),
    Operation.REDACTED_AUDIO: ("GET", "/redacted-audio"),
}


@dataclass(frozen=True)
class Owned:
    """A team with a completed transcript in a region."""

    team: TeamAccess
    region: str
    transcript_id: str
    audio_url: str


def client_of(gateway: GatewayProcess, team: TeamAccess, region: str = "us") -> httpx.Client:
    return httpx.Client(base_url=f"{gateway.url}/{ROUTES[region]}", headers=team.bearer, timeout=60)


def completed(client: httpx.Client, transcript_id: str) -> bool:
    return client.get(f"/v2/transcript/{transcript_id}").raise_for_status().json()["status"] == "completed"


@pytest.fixture(scope="module", params=["us", "eu"])
def owned(request: pytest.FixtureRequest, gateway: GatewayProcess) -> Owned:
    team = gateway.team()
    with client_of(gateway, team, request.param) as client:
        upload = client.post("/v2/upload", content=sample_path("hello").read_bytes()).json()["upload_url"]
        body = {"audio_url": upload, "redact_pii": True, "redact_pii_audio": True}
        transcript_id = client.post("/v2/transcript", json=body).raise_for_status().json()["id"]
        until(lambda: completed(client, transcript_id))
    return Owned(team, request.param, transcript_id, upload)


@pytest.fixture
def stranger(gateway: GatewayProcess, owned: Owned) -> Iterator[httpx.Client]:
    with client_of(gateway, gateway.team(), owned.region) as client:
        yield client


def test_every_operation_is_covered():
    speech = {known.operation for known in KNOWN if known.host is Host.SPEECH}
    assert speech == {*ON_A_TRANSCRIPT, Operation.UPLOAD, Operation.SUBMIT, Operation.LIST}


@pytest.mark.parametrize("operation", ON_A_TRANSCRIPT)
def test_another_teams_transcript_is_like_one_that_does_not_exist(
    owned: Owned, stranger: httpx.Client, emulator: Emulator, operation: Operation
):
    method, rest = ON_A_TRANSCRIPT[operation]
    asked = len(emulator.requests)
    id_ = {"X-Request-Id": "mine"}
    theirs = stranger.request(method, f"/v2/transcript/{owned.transcript_id}{rest}", headers=id_)
    nobodys = stranger.request(method, f"/v2/transcript/{UNKNOWN}{rest}", headers=id_)
    assert (400, NOT_FOUND) == (theirs.status_code, theirs.json())
    assert (nobodys.status_code, nobodys.content) == (theirs.status_code, theirs.content)
    volatile = {"date", "content-length"}
    assert {k: v for k, v in nobodys.headers.items() if k not in volatile} == {
        k: v for k, v in theirs.headers.items() if k not in volatile
    }
    assert not any(owned.transcript_id in request.path for request in emulator.requests[asked:])


@pytest.mark.parametrize("operation", [o for o in ON_A_TRANSCRIPT if o is not Operation.DELETE])
def test_its_own_team_and_the_master_key_see_it(gateway: GatewayProcess, owned: Owned, operation: Operation):
    method, rest = ON_A_TRANSCRIPT[operation]
    url = f"{gateway.url}/{ROUTES[owned.region]}/v2/transcript/{owned.transcript_id}{rest}"
    for headers in (owned.team.bearer, {"Authorization": gateway.master_key}):
        assert 200 == httpx.request(method, url, headers=headers).status_code


def test_another_key_of_the_team_sees_it_and_a_key_without_a_team_does_not(
    gateway: GatewayProcess, owned: Owned
):
    url = f"{gateway.url}/{ROUTES[owned.region]}/v2/transcript/{owned.transcript_id}"
    with gateway.admin() as admin:
        sister = admin.post("/key/generate", json={"team_id": owned.team.id}).json()["key"]
        lone = admin.post("/key/generate", json={}).json()["key"]
    assert 200 == httpx.get(url, headers={"Authorization": sister}).status_code
    assert 400 == httpx.get(url, headers={"Authorization": lone}).status_code


def test_a_transcript_exists_in_its_own_region_only(
    gateway: GatewayProcess, owned: Owned, emulator: Emulator
):
    other = "eu" if owned.region == "us" else "us"
    asked = len(emulator.requests)
    with client_of(gateway, owned.team, other) as client:
        got = client.get(f"/v2/transcript/{owned.transcript_id}")
        assert (400, NOT_FOUND) == (got.status_code, got.json())
        assert [] == client.get("/v2/transcript").json()["transcripts"]
    assert [] == [r for r in emulator.requests[asked:] if owned.transcript_id in r.path]


def test_lists_show_the_teams_own(gateway: GatewayProcess, owned: Owned, stranger: httpx.Client):
    made = stranger.post("/v2/transcript", json=HELLO).json()["id"]
    assert [made] == [item["id"] for item in stranger.get("/v2/transcript").json()["transcripts"]]
    got = stranger.get(f"/v2/transcript?before_id={owned.transcript_id}")
    nobodys = stranger.get(f"/v2/transcript?before_id={UNKNOWN}")
    assert (400, nobodys.content) == (got.status_code, got.content)
    url = f"{gateway.url}/{ROUTES[owned.region]}/v2/transcript?limit=200"
    everything = httpx.get(url, headers={"Authorization": gateway.master_key}).json()["transcripts"]
    assert {made, owned.transcript_id} <= {item["id"] for item in everything}


def test_another_teams_upload_cannot_be_transcribed(
    gateway: GatewayProcess, owned: Owned, stranger: httpx.Client, emulator: Emulator
):
    asked = len(emulator.requests)
    nobodys = "https://cdn.assemblyai.com/upload/0/0"
    spelled = owned.audio_url.replace("cdn.", "CDN.").replace("https://", "HTTPS:\\\\")
    for url in (owned.audio_url, nobodys, spelled, f"{owned.audio_url}?x", f"{owned.audio_url}#x"):
        got = stranger.post("/v2/transcript", json={"audio_url": url})
        assert (403, {"error": "Cannot access uploaded file"}) == (got.status_code, got.json())
    assert [] == [r for r in emulator.requests[asked:] if r.method == "POST"]
    with client_of(gateway, owned.team, "eu" if owned.region == "us" else "us") as elsewhere:
        assert 403 == elsewhere.post("/v2/transcript", json={"audio_url": owned.audio_url}).status_code
    with client_of(gateway, owned.team, owned.region) as own:
        assert 200 == own.post("/v2/transcript", json={"audio_url": owned.audio_url}).status_code


@pytest.mark.parametrize("region", ["us", "eu"])
def test_a_team_bound_to_a_region_is_refused_in_the_other(
    gateway: GatewayProcess, emulator: Emulator, region: str
):
    team = gateway.team(regions=[region])
    other = "eu" if region == "us" else "us"
    asked = len(emulator.requests)
    with client_of(gateway, team, other) as client:
        refused = [
            client.post("/v2/upload", content=b"x"),
            client.post("/v2/transcript", json=HELLO),
            client.get("/v2/transcript"),
            *(client.request(m, f"/v2/transcript/{UNKNOWN}{rest}") for m, rest in ON_A_TRANSCRIPT.values()),
        ]
    text = f"This key may not use the {other.upper()} region; it is limited to /{ROUTES[region]}."
    assert [(403, {"error": text})] * 11 == [(got.status_code, got.json()) for got in refused]
    assert [] == emulator.requests[asked:]
    with client_of(gateway, team, region) as client:
        assert 200 == client.post("/v2/transcript", json=HELLO).status_code


UNAUTHENTICATED = (401, {"error": "Authentication error, API token missing/invalid"})


@pytest.mark.parametrize("how", ["block", "delete", "team block", "team delete", "expiry"])
def test_a_key_that_is_taken_back_is_refused_at_its_next_request(gateway: GatewayProcess, how: str):
    team = gateway.team()
    with client_of(gateway, team) as client, gateway.admin() as admin:
        made = client.post("/v2/transcript", json=HELLO).json()["id"]
        assert 200 == client.get(f"/v2/transcript/{made}").status_code
        expected = UNAUTHENTICATED
        match how:
            case "block":
                admin.post("/key/block", json={"key": team.key}).raise_for_status()
            case "delete":
                admin.post("/key/delete", json={"keys": [team.key]}).raise_for_status()
            case "team block":
                admin.post("/team/update", json={"team_id": team.id, "blocked": True}).raise_for_status()
                expected = (403, {"error": f"Team {team.alias} is blocked."})
            case "team delete":
                assert 400 == admin.post("/team/delete", json={"team_ids": [team.id]}).status_code
                asked = {"team_ids": [team.id], "transcripts": "keep"}
                admin.post("/team/delete", json=asked).raise_for_status()
            case "expiry":
                admin.post("/key/update", json={"key": team.key, "duration": "1s"}).raise_for_status()
                until(lambda: client.get("/v2/transcript").status_code == 401)
        for got in (
            client.get(f"/v2/transcript/{made}"),
            client.get("/v2/transcript"),
            client.post("/v2/transcript", json=HELLO),
            client.post("/v2/upload", content=b"x"),
        ):
            assert expected == (got.status_code, got.json())


REVOKE = """
import asyncio, sys
from aai_gateway.store import Store, keys

async def main():
    store = await Store.open(f"sqlite:///{sys.argv[1]}")
    async with store.write() as connection:
        await keys.update(connection, sys.argv[2], blocked=True)
    await store.close()

asyncio.run(main())
"""


def test_a_key_that_another_process_takes_back_is_refused_at_its_next_request(gateway: GatewayProcess):
    team = gateway.team()
    with client_of(gateway, team) as client:
        assert 200 == client.get("/v2/transcript").status_code
        revoke = [sys.executable, "-c", REVOKE, str(gateway.store_path), hash_key(team.key)]
        subprocess.run(revoke, check=True, timeout=60)
        got = client.get("/v2/transcript")
        assert UNAUTHENTICATED == (got.status_code, got.json())


def test_a_spent_budget_refuses_submissions_but_no_polls(gateway: GatewayProcess, emulator: Emulator):
    # Enough for one URL of unknown length, but not for a second beside the first one's charge.
    team = gateway.team(max_budget=0.0526)
    with client_of(gateway, team) as client:
        made = client.post("/v2/transcript", json=HELLO).json()["id"]
        until(lambda: completed(client, made))
        asked = len(emulator.requests)
        refused = client.post("/v2/transcript", json=HELLO)
        assert 400 == refused.status_code
        assert refused.json()["error"].startswith(f"Budget has been exceeded! Team {team.alias} has spent $")
        assert [] == emulator.requests[asked:]
        assert 200 == client.get(f"/v2/transcript/{made}").status_code
        assert 200 == client.get(f"/v2/transcript/{made}/sentences").status_code
        assert 200 == client.get("/v2/transcript").status_code
        assert 200 == client.delete(f"/v2/transcript/{made}").status_code

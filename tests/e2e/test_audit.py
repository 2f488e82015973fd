"""What is done through the real proxy and beside it is told by the audit log, and nothing secret with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_process import GatewayProcess
from waiting import until

from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator

HELLO = {"audio_url": "https://example.org/audio.wav"}


def command(gateway: GatewayProcess, *arguments: str) -> str:
    """What `aai-gateway` prints beside the running gateway, on its store."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("aai-gateway")), *arguments],
        env={**os.environ, "AAI_GATEWAY_DATA_DIR": str(gateway.data_dir)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def audited(gateway: GatewayProcess, **asked: Any) -> list[dict[str, Any]]:
    """Entries as the master key reads them, oldest first."""
    with gateway.admin() as admin:
        answer = admin.get("/audit", params={"after": 0, "limit": 1000, **asked})
    return list(answer.raise_for_status().json()["entries"])


def completed(client: httpx.Client, transcript_id: str) -> bool:
    return client.get(f"/v2/transcript/{transcript_id}").raise_for_status().json()["status"] == "completed"


def test_each_change_of_a_team_its_keys_and_transcripts_is_told_with_who_and_from_where(
    gateway: GatewayProcess, emulator: Emulator
):
    team = gateway.team(max_budget=5)
    with gateway.admin() as admin:
        doomed = admin.post("/key/generate", json={"team_id": team.id, "key_alias": f"d-{team.id}"}).json()
        for path, body in (
            ("/key/update", {"key": team.key, "key_alias": f"desk-{team.id}"}),
            ("/key/block", {"key": doomed["key"]}),
            ("/key/unblock", {"key": doomed["key"]}),
            ("/key/delete", {"keys": [doomed["key"]]}),
            ("/team/update", {"team_id": team.id, "regions": ["us"], "metadata": {"password": "hunter2"}}),
            ("/team/block", {"team_id": team.id}),
            ("/team/unblock", {"team_id": team.id}),
        ):
            admin.post(path, json=body).raise_for_status()
    with httpx.Client(base_url=f"{gateway.url}/assemblyai", headers=team.bearer, timeout=60) as client:
        made = [client.post("/v2/transcript", json=HELLO).raise_for_status().json()["id"] for _ in range(2)]
        for transcript_id in made:
            until(lambda wanted=transcript_id: completed(client, wanted))
        client.delete(f"/v2/transcript/{made[0]}").raise_for_status()
    with gateway.admin() as admin:
        admin.delete(f"/assemblyai/v2/transcript/{made[1]}").raise_for_status()
        admin.post("/team/delete", json={"team_ids": [team.id]}).raise_for_status()
    mine, gone = f"key:{hash_key(team.key)}", f"key:{doomed['token']}"
    found = audited(gateway, team_id=team.id)
    master, member = "master", f"{mine} (desk-{team.id})"
    assert [
        ("team.create", f"team:{team.id}", master),
        ("key.create", mine, master),
        ("key.create", gone, master),
        ("key.update", mine, master),
        ("key.update", gone, master),
        ("key.update", gone, master),
        ("key.delete", gone, master),
        ("team.update", f"team:{team.id}", master),
        ("team.update", f"team:{team.id}", master),
        ("team.update", f"team:{team.id}", master),
        ("transcript.delete", f"transcript:us/{made[0]}", member),
        ("transcript.delete", f"transcript:us/{made[1]}", master),
        ("team.delete", f"team:{team.id}", master),
    ] == [(one["action"], one["target"], one["actor"]) for one in found]
    assert {"127.0.0.1"} == {one["source"] for one in found}
    assert {
        "before": {"regions": ["us", "eu"]},
        "after": {"regions": ["us"]},
        "metadata": ["password"],
    } == found[7]["details"]
    assert [{"hash": hash_key(team.key), "alias": f"desk-{team.id}"}] == found[-1]["details"]["keys"]
    assert [found[10]] == audited(gateway, actor=mine)


def test_a_transcript_that_only_the_master_knows_is_told_when_it_is_deleted(
    gateway: GatewayProcess, emulator: Emulator
):
    key = {"Authorization": emulator.config.account_key}
    made = httpx.post(f"{emulator.urls.us}/v2/transcript", json=HELLO, headers=key).json()["id"]
    with gateway.admin() as admin:
        admin.delete(f"/assemblyai/v2/transcript/{made}").raise_for_status()
    [entry] = audited(gateway, target=f"transcript:us/{made}")
    assert ("transcript.delete", "master", None, {"owner": None}) == tuple(
        entry[name] for name in ("action", "actor", "team_id", "details")
    )


def test_a_failed_deletion_and_failed_sign_ins_leave_no_entry(gateway: GatewayProcess):
    team, other = gateway.team(), gateway.team()
    before = audited(gateway)[-1]
    with httpx.Client(base_url=gateway.url, headers=other.bearer, timeout=60) as client:
        assert 400 == client.delete("/assemblyai/v2/transcript/no-such-transcript").status_code
        for path in ("/key/generate", "/team/new", "/team/delete"):
            assert 403 == client.post(path, json={"team_ids": [team.id]}).status_code
        assert 401 == client.post("/key/generate", headers={"Authorization": "Bearer sk-no"}).status_code
        assert 403 == client.get("/audit").status_code
        assert 401 == client.get("/audit", headers={"Authorization": ""}).status_code
    assert before == audited(gateway)[-1]


@pytest.mark.parametrize(
    ("query", "status"),
    [({"limit": 0}, 422), ({"limit": 1001}, 422), ({"before": "x"}, 422), ({"nonsense": "1"}, 400)],
)
def test_a_query_that_makes_no_sense_is_refused(gateway: GatewayProcess, query, status):
    with gateway.admin() as admin:
        assert status == admin.get("/audit", params=query).status_code


def test_the_log_is_paged_both_ways(gateway: GatewayProcess):
    gateway.team()
    with gateway.admin() as admin:
        newest = admin.get("/audit", params={"limit": 1}).json()["entries"]
        older = admin.get("/audit", params={"limit": 1, "before": newest[0]["seq"]}).json()["entries"]
        newer = admin.get("/audit", params={"limit": 1, "after": older[0]["seq"]}).json()["entries"]
        first = admin.get("/audit", params={"limit": 1, "after": 0, "since": "2020-01-01"}).json()["entries"]
        none = admin.get("/audit", params={"until": "2020-01-01"}).json()["entries"]
    assert ([older[0]["seq"] + 1], newest) == ([newest[0]["seq"]], newer)
    assert (1, "0" * 64, []) == (first[0]["seq"], first[0]["previous_hash"], none)


def test_a_command_beside_the_gateway_goes_on_with_the_same_chain(gateway: GatewayProcess):
    team = gateway.team()
    command(gateway, "teams", "update", team.alias, "--budget", "7")
    entry = audited(gateway, team_id=team.id)[-1]
    assert ("team.update", 7_000_000) == (entry["action"], entry["details"]["after"]["max_micros"])
    assert entry["actor"].startswith("cli:")
    number, _, head = command(gateway, "audit", "verify").strip().partition(":")
    gateway.team()
    command(gateway, "audit", "verify", "--expect", f"{number}:{head}")


def test_nothing_secret_is_in_any_entry(gateway: GatewayProcess, emulator: Emulator):
    team = gateway.team(metadata={"note": "sk-in-the-metadata-of-a-team"})
    exported = command(gateway, "audit", "list", "--all", "--json")
    assert team.id in exported
    # Not the end of a word, such as a desk-1.
    assert [] == re.findall(r"(?<![A-Za-z0-9])sk-.{20}", exported)
    for secret in (team.key, gateway.master_key, emulator.config.account_key, "hunter2"):
        assert secret not in exported

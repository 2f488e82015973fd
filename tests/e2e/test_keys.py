"""Narrowed, rotated and guessed keys, on every kind of route of the real proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from chat_world import MESSAGES, SONNET, bodies, post_chat, transcribed
from gateway_process import GatewayProcess, TeamAccess

from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator

SUBMIT = "/assemblyai/v2/transcript"
READ_ONLY = "This key is read-only."
COSTLY: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/engines/assemblyai/claude-sonnet-4-6/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "x"},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 9},
    "/v1/responses": {"input": "x"},
    "/v1/embeddings": {"input": "x"},
    "/models/assemblyai/claude-sonnet-4-6:generateContent": {"contents": []},
    "/v1beta/models/assemblyai/claude-sonnet-4-6:generateContent": {"contents": []},
    "/utils/token_counter": {"messages": MESSAGES},
}


def ask(gateway: GatewayProcess, team: TeamAccess, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, f"{gateway.url}{path}", headers=team.bearer, timeout=60, **options)


def error_of(answer: httpx.Response) -> Mapping[str, Any]:
    found: Mapping[str, Any] = answer.json()["error"]
    return found


def test_a_read_only_key_sees_models_and_may_use_none(gateway: GatewayProcess, emulator: Emulator):
    reader = gateway.another_key(gateway.team(), read_only=True)
    seen = len(bodies(emulator.urls.llm_us))
    for path, body in COSTLY.items():
        answer = ask(gateway, reader, "POST", path, json={"model": SONNET, **body})
        assert 403 == answer.status_code, path
        assert READ_ONLY == error_of(answer)["message"], path
    assert seen == len(bodies(emulator.urls.llm_us))
    for path in ("/v1/models", "/models", "/v1/model/info"):
        assert 200 == ask(gateway, reader, "GET", path).status_code, path


def test_a_narrowed_key_chats_about_its_own_transcripts_alone(gateway: GatewayProcess):
    team = gateway.team()
    narrow = gateway.another_key(team, own_only=True)
    theirs, mine = transcribed(gateway, team), transcribed(gateway, narrow)
    refused = post_chat(gateway, narrow, transcript_id=theirs)
    nobodys = post_chat(gateway, narrow, transcript_id="8e8e8e8e-0000-4000-8000-000000000000")
    assert (404, error_of(nobodys)) == (refused.status_code, error_of(refused))
    assert 200 == post_chat(gateway, narrow, transcript_id=mine).status_code
    assert 200 == post_chat(gateway, team, transcript_id=mine).status_code


def test_a_rotated_key_works_by_both_secrets_and_is_charged_as_one(gateway: GatewayProcess):
    team = gateway.team()
    made = transcribed(gateway, team)
    with gateway.admin() as admin:
        body = {"grace_period": "1h"}
        answer = admin.post(f"/key/{hash_key(team.key)}/regenerate", json=body).raise_for_status().json()
        new = TeamAccess(team.id, team.alias, answer["key"])
        for access in (team, new):
            assert 200 == ask(gateway, access, "GET", f"{SUBMIT}/{made}").status_code
            assert 200 == post_chat(gateway, access, transcript_id=made).status_code
        admin.post(f"/key/{new.key}/regenerate", json={"new_key": f"{new.key}-2"}).raise_for_status()
        last = TeamAccess(team.id, team.alias, f"{new.key}-2")
        for access, status in ((team, 401), (new, 401), (last, 200)):
            assert status == ask(gateway, access, "GET", f"{SUBMIT}/{made}").status_code
            assert status == post_chat(gateway, access).status_code
        [key] = admin.get("/key/list", params={"team_id": team.id, "return_full_object": True}).json()["keys"]
    assert hash_key(team.key) == key["token"]
    log = gateway.log.read_text()
    assert [] == [access for access in (team, new, last) if access.key in log]


def test_an_address_that_guesses_has_to_wait_but_not_its_colleagues(gateway: GatewayProcess):
    colleague, newcomer = gateway.team(), gateway.team()
    # The server believes a proxy on this machine.
    address = {"X-Forwarded-For": "203.0.113.66"}
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        assert 200 == client.get(SUBMIT, headers={**colleague.bearer, **address}).status_code
        guess_until_refused(gateway, address)
        master = {"Authorization": f"Bearer {gateway.master_key}"}
        for bearer in (newcomer.bearer, master, {"Authorization": "Bearer sk-one-more"}):
            for path in (SUBMIT, "/v1/models", "/key/list", "/metrics"):
                answer = client.get(path, headers={**bearer, **address})
                assert 429 == answer.status_code, path
                assert 0 < int(answer.headers["retry-after"]) <= 300
                told = error_of(answer)
                told = told if path == SUBMIT else told["message"]
                assert str(told).startswith("Too many unknown keys came from this address.")
        for bearer, source in ((colleague.bearer, address), (newcomer.bearer, {}), (master, {})):
            assert 200 == client.get(SUBMIT, headers={**bearer, **source}).status_code
        assert 200 == client.get("/v1/models", headers={**colleague.bearer, **address}).status_code


def guess_until_refused(gateway: GatewayProcess, address: Mapping[str, str]) -> None:
    """Present unknown keys on every kind of route from one address, as many as there may be."""
    limit = int(gateway.environment["AAI_GATEWAY_UNKNOWN_KEYS_PER_MINUTE"])
    with httpx.Client(base_url=gateway.url, headers=address, timeout=60) as client:
        for number in range(limit):
            path = {0: "/v1/models", 1: "/key/list"}.get(number % 20, SUBMIT)
            guess = {"Authorization": f"Bearer sk-guess-{number}"}
            assert 401 == client.get(path, headers=guess).status_code

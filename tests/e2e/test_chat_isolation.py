"""What a shared gateway must not allow on chat: others' transcripts and models, and LiteLLM's own levers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from chat_world import MESSAGES, SONNET, bodies, booked, post_chat, transcribed
from gateway_process import GatewayProcess, TeamAccess
from waiting import until

from aai_gateway.emulator import Emulator

EU_SONNET = "eu.assemblyai/claude-sonnet-4-6"
UNKNOWN = "8e8e8e8e-0000-4000-8000-000000000000"
ASK = [{"role": "user", "content": "Summarize.\n\n{{ transcript }}"}]
SAY = "Summarize.\n\n{{ transcript }}"
GEMINI = "/v1beta/models/assemblyai/claude-sonnet-4-6:generateContent"

PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "top level": ("/v1/chat/completions", {"messages": ASK, "transcript_id": "ID"}),
    "streamed": ("/v1/chat/completions", {"messages": ASK, "transcript_id": "ID", "stream": True}),
    "extra_body": ("/v1/chat/completions", {"messages": ASK, "extra_body": {"transcript_id": "ID"}}),
    "deeper": (
        "/v1/chat/completions",
        {"messages": ASK, "extra_body": {"extra_body": {"transcript_id": "ID"}}},
    ),
    "fallback": (
        "/v1/chat/completions",
        {"messages": ASK, "fallbacks": [{"model": "gpt-5", "transcript_id": "ID"}]},
    ),
    "fallback in extra_body": (
        "/v1/chat/completions",
        {"messages": ASK, "extra_body": {"fallbacks": [{"model": "gpt-5", "transcript_id": "ID"}]}},
    ),
    "fallback of LiteLLM's": (
        "/v1/chat/completions",
        {"messages": ASK, "temperature": 9, "fallbacks": ["x", {"model": SONNET, "transcript_id": "ID"}]},
    ),
    "fallback_config": (
        "/v1/chat/completions",
        {"messages": ASK, "fallback_config": {"transcript_id": "ID"}},
    ),
    "optional_params": (
        "/v1/chat/completions",
        {"messages": ASK, "optional_params": {"transcript_id": "ID"}},
    ),
    "deployment path": (
        "/openai/deployments/assemblyai/claude-sonnet-4-6/chat/completions",
        {"messages": ASK, "transcript_id": "ID"},
    ),
    "messages": ("/v1/messages", {"messages": ASK, "max_tokens": 9, "transcript_id": "ID"}),
    "messages extra_body": (
        "/v1/messages",
        {"messages": ASK, "max_tokens": 9, "extra_body": {"transcript_id": "ID"}},
    ),
    "responses": ("/v1/responses", {"input": SAY, "transcript_id": "ID"}),
    "responses extra_body": ("/v1/responses", {"input": SAY, "extra_body": {"transcript_id": "ID"}}),
    "completions": ("/v1/completions", {"prompt": SAY, "transcript_id": "ID"}),
    "completions extra_body": ("/v1/completions", {"prompt": SAY, "extra_body": {"transcript_id": "ID"}}),
    "gemini": (GEMINI, {"contents": [{"role": "user", "parts": [{"text": SAY}]}], "transcript_id": "ID"}),
}
MALFORMED: dict[str, dict[str, Any]] = {
    "extra_body as pairs": {"extra_body": [["transcript_id", "ID"]]},
    "another case": {"Transcript_ID": "ID"},
    "another case in extra_body": {"extra_body": {"TRANSCRIPT_ID": "ID"}},
    "a long s": {"tranſcript_id": "ID"},
    "another case in a fallback": {"fallbacks": [{"model": "gpt-5", "Transcript_Id": "ID"}]},
    "another case of fallbacks": {"extra_body": {"Fallbacks": [{"model": "gpt-5", "transcript_id": "ID"}]}},
    "stream in extra_body": {"extra_body": {"stream": True}},
    "model in extra_body": {"extra_body": {"model": "gpt-5"}},
    "messages in extra_body": {"extra_body": {"messages": ASK}},
    "two models": {"model": "assemblyai/gpt-5,assemblyai/claude-sonnet-4-6"},
}


@pytest.fixture(scope="module")
def research(gateway: GatewayProcess) -> TeamAccess:
    return gateway.team()


@pytest.fixture(scope="module")
def stranger(gateway: GatewayProcess) -> TeamAccess:
    return gateway.team()


@pytest.fixture(scope="module")
def transcript_id(gateway: GatewayProcess, research: TeamAccess) -> str:
    return transcribed(gateway, research)


def with_id(value: Any, transcript_id: str) -> Any:
    if isinstance(value, Mapping):
        return {name: with_id(member, transcript_id) for name, member in value.items()}
    if isinstance(value, list):
        return [with_id(item, transcript_id) for item in value]
    return transcript_id if value == "ID" else value


@pytest.mark.parametrize("place", PLACES)
def test_anothers_transcript_answers_as_an_unknown_one(
    gateway: GatewayProcess, stranger: TeamAccess, emulator: Emulator, transcript_id: str, place: str
) -> None:
    path, body = PLACES[place]

    def answer(id_: str) -> httpx.Response:
        sent = {"model": SONNET, **with_id(body, id_)}
        return httpx.post(f"{gateway.url}{path}", json=sent, headers=stranger.bearer, timeout=60)

    before = len(bodies(emulator.urls.llm_us))
    foreign, unknown = answer(transcript_id), answer(UNKNOWN)

    assert transcript_id not in str(bodies(emulator.urls.llm_us)[before:])
    if place == "fallback of LiteLLM's":  # the first failure answers: of the temperature
        assert 400 == foreign.status_code
        return
    assert 404 == foreign.status_code
    assert unknown.content == foreign.content


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"])
def test_its_own_transcript_reaches_the_model(
    gateway: GatewayProcess, research: TeamAccess, emulator: Emulator, transcript_id: str, path: str
) -> None:
    body = {"model": SONNET, "max_tokens": 90, "transcript_id": transcript_id}
    asked = {"/v1/responses": {"input": SAY}, "/v1/completions": {"prompt": SAY}}.get(path, {"messages": ASK})

    response = httpx.post(f"{gateway.url}{path}", json={**body, **asked}, headers=research.bearer, timeout=60)

    assert 200 == response.status_code, response.text
    assert transcript_id == bodies(emulator.urls.llm_us)[-1]["transcript_id"]


def test_unknown_transcript_of_the_master_is_told_by_assemblyai_alike(
    gateway: GatewayProcess, stranger: TeamAccess
) -> None:
    with gateway.admin() as admin:
        body = {"model": SONNET, "messages": ASK, "transcript_id": UNKNOWN}
        asked_upstream = admin.post("/v1/chat/completions", json=body)

    assert asked_upstream.content == post_chat(gateway, stranger, messages=ASK, transcript_id=UNKNOWN).content
    assert 404 == asked_upstream.status_code


def test_a_transcript_is_not_found_in_the_other_region(
    gateway: GatewayProcess, research: TeamAccess, emulator: Emulator, transcript_id: str
) -> None:
    before = len(bodies(emulator.urls.llm_eu))

    response = post_chat(gateway, research, model=EU_SONNET, messages=ASK, transcript_id=transcript_id)

    assert 404 == response.status_code
    assert before == len(bodies(emulator.urls.llm_eu))


@pytest.mark.parametrize("place", MALFORMED)
def test_what_could_be_read_two_ways_is_refused(
    gateway: GatewayProcess, stranger: TeamAccess, emulator: Emulator, transcript_id: str, place: str
) -> None:
    before = len(bodies(emulator.urls.llm_us))

    response = post_chat(gateway, stranger, **with_id({"messages": ASK, **MALFORMED[place]}, transcript_id))

    assert 400 == response.status_code
    assert "invalid_request_error" == response.json()["error"]["type"]
    assert before == len(bodies(emulator.urls.llm_us))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": SONNET}),
        ("/v1/chat/completions", {"model": "eu.assemblyai/nope", "fallbacks": [SONNET]}),
        ("/v1/chat/completions", {"model": "eu.assemblyai/nope", "fallbacks": [{"model": SONNET}, "x"]}),
        ("/v1/messages", {"model": EU_SONNET, "metadata": {"model_group": SONNET}}),
        ("/v1/completions", {"model": EU_SONNET, "prompt": "x", "metadata": {"model_group": SONNET}}),
        ("/v1/responses", {"model": SONNET, "input": "x"}),
    ],
    ids=["plain", "fallback", "fallback entry", "forged group", "forged group in completions", "responses"],
)  # fmt: skip
def test_a_team_of_the_eu_never_reaches_the_us(
    gateway: GatewayProcess, emulator: Emulator, path: str, body: dict[str, Any]
) -> None:
    newsroom = gateway.team(regions=["eu"])
    before = len(bodies(emulator.urls.llm_us))

    body = {"messages": MESSAGES, "max_tokens": 9, **body}
    response = httpx.post(f"{gateway.url}{path}", json=body, headers=newsroom.bearer, timeout=60)

    assert before == len(bodies(emulator.urls.llm_us))
    if SONNET == body["model"]:
        assert 403 == response.status_code


@pytest.mark.parametrize(
    "body",
    [
        {"model": SONNET},
        {"model": "assemblyai/gpt-5", "fallbacks": [{"model": "claude-sonnet-4-6"}]},
        {"model": "assemblyai/gpt-5", "extra_body": {"fallbacks": [{"model": "claude-sonnet-4-6"}]}},
        {"model": "assemblyai/gpt-5", "temperature": 9, "fallbacks": [SONNET]},
    ],
)
def test_a_key_reaches_only_the_models_it_may_use(
    gateway: GatewayProcess, emulator: Emulator, body: dict[str, Any]
) -> None:
    narrow = gateway.team(models=["assemblyai/gpt-5"])
    before = len(bodies(emulator.urls.llm_us))

    response = post_chat(gateway, narrow, **body)

    assert response.status_code in (400, 403)
    assert "claude-sonnet-4-6" not in str(bodies(emulator.urls.llm_us)[before:])


def test_a_spent_budget_refuses_as_litellm_does(gateway: GatewayProcess) -> None:
    team = gateway.team(max_budget=0.000001)

    response = post_chat(gateway, team)

    assert 422 == response.status_code
    assert "budget_exceeded" == response.json()["error"]["type"]


LEVERS: dict[str, dict[str, Any]] = {
    "custom_llm_provider": {"custom_llm_provider": "openai"},
    "extra_headers": {"extra_headers": {"authorization": "Bearer other", "host": "other"}},
    "headers": {"headers": {"authorization": "Bearer other"}},
    "api_key": {"api_key": "other"},
    "credential": {"litellm_credential_name": "other"},
    "mock_response": {"mock_response": "MOCKED"},
    "organization": {"organization": "other"},
    "model_info": {"model_info": {"base_model": "assemblyai/gpt-5-nano", "id": "x"}},
    "no-log": {"no-log": True},
    "call id": {"litellm_call_id": "the same"},
    "metadata": {
        "metadata": {"user_api_key_hash": "f" * 64, "model_group": "assemblyai/gpt-5-nano"},
    },
    "litellm_metadata": {"litellm_metadata": {"user_api_key_hash": "f" * 64, "no-log": True}},
    "litellm_params": {"litellm_params": {"api_base": "http://127.0.0.1:9", "no-log": True}},
}  # fmt: skip


@pytest.mark.parametrize("lever", LEVERS)
def test_litellms_levers_change_nothing(gateway: GatewayProcess, emulator: Emulator, lever: str) -> None:
    team = gateway.team()

    responses = [post_chat(gateway, team, **LEVERS[lever]) for _ in range(2)]

    assert [200, 200] == [response.status_code for response in responses], responses[0].text
    assert "MOCKED" not in responses[0].text
    arrived = bodies(emulator.urls.llm_us)[-2:]
    assert [{"model": "claude-sonnet-4-6", "messages": MESSAGES}] * 2 == [
        {name: body[name] for name in ("model", "messages")} for body in arrived
    ]
    rows = until(lambda: len(found := booked(gateway, team)) == 2 and found)
    assert {"claude-sonnet-4-6"} == {row["model"] for row in rows}
    assert {row["micros"] for row in rows} == {rows[0]["micros"]} and rows[0]["micros"] > 0


@pytest.mark.parametrize(
    "lever",
    [
        {"api_base": "http://127.0.0.1:9"},
        {"base_url": "http://127.0.0.1:9"},
        {"extra_body": {"api_base": "http://127.0.0.1:9"}},
        {"model_list": []},
        {"user_config": {"model_list": []}},
        {"input_cost_per_token": 0},
    ],
    ids=str,
)
def test_litellms_dangerous_levers_are_refused(
    gateway: GatewayProcess, stranger: TeamAccess, emulator: Emulator, lever: dict[str, Any]
) -> None:
    before = len(bodies(emulator.urls.llm_us))

    assert post_chat(gateway, stranger, **lever).status_code >= 400
    assert before == len(bodies(emulator.urls.llm_us))


def test_a_clients_call_id_does_not_make_a_chat_free(gateway: GatewayProcess) -> None:
    team = gateway.team()
    headers = {**team.bearer, "x-litellm-call-id": "the-same"}
    for _ in range(2):
        body = {"model": SONNET, "messages": MESSAGES}
        httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=60)

    assert 2 == until(lambda: len(booked(gateway, team)) == 2 and 2)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/model/new"), ("POST", "/model/delete"), ("POST", "/config/update"),
        ("GET", "/config/list"), ("POST", "/cache/flushall"), ("GET", "/health"), ("GET", "/spend/logs"),
        ("GET", "/spend/keys"), ("GET", "/global/spend"), ("POST", "/key/generate"),
        ("POST", "/team/new"), ("GET", "/user/list"), ("GET", "/get/config/callbacks"),
        ("POST", "/credentials"), ("GET", "/debug/memory/summary"), ("POST", "/v1/files"),
        ("GET", "/v1/files"), ("POST", "/v1/batches"), ("GET", "/v1/responses/resp_x"),
        ("POST", "/openai/v1/chat/completions"), ("POST", "/anthropic/v1/messages"),
        ("POST", "/vllm/v1/x"), ("POST", "/v1/assistants"), ("GET", "/v1/vector_stores"),
        ("POST", "/utils/transform_request"), ("POST", "/v1/rag/query"), ("GET", "/v1/traces/x"),
        ("POST", "/mcp-rest/tools/call"),
    ],
)  # fmt: skip
def test_other_routes_are_the_master_keys(
    gateway: GatewayProcess, stranger: TeamAccess, method: str, path: str
) -> None:
    response = httpx.request(
        method,
        f"{gateway.url}{path}",
        json={"model": SONNET} if method == "POST" else None,
        headers=stranger.bearer,
        timeout=30,
    )

    assert 403 == response.status_code, response.text


@pytest.mark.parametrize("path", ["/v1/moderations", "/v1/images/generations", "/v1/audio/speech"])
def test_what_the_llm_gateway_does_not_have_is_not_asked_of_it(
    gateway: GatewayProcess, stranger: TeamAccess, emulator: Emulator, path: str
) -> None:
    before = len(emulator.requests)
    body = {"model": SONNET, "input": "Hello.", "prompt": "A fox.", "voice": "alloy"}

    response = httpx.post(f"{gateway.url}{path}", json=body, headers=stranger.bearer, timeout=30)

    assert 404 == response.status_code, response.text
    assert [] == [request for request in emulator.requests[before:] if request.path == path]


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/openai/v1/responses"])
def test_a_web_socket_is_refused(gateway: GatewayProcess, stranger: TeamAccess, path: str) -> None:
    """What comes over one would pass by the limits of requests, bodies and JSON."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **stranger.bearer}

    assert 403 == httpx.get(f"{gateway.url}{path}", headers=upgrade, timeout=60).status_code


@pytest.mark.parametrize("key", [None, "sk-team", "Basic c2stdGVhbTpzay10ZWFt"])
def test_litellms_route_for_langfuse_is_nobodys(
    gateway: GatewayProcess, stranger: TeamAccess, key: str | None
) -> None:
    headers = {} if key is None else {"Authorization": key.replace("sk-team", stranger.key)}

    response = httpx.get(f"{gateway.url}/langfuse/api/public/traces", headers=headers, timeout=30)

    assert 401 == response.status_code, response.text


@pytest.mark.parametrize("path", ["/model/info", "/v1/model/info", "/model_group/info", "/v1/models"])
def test_what_describes_models_does_not_show_the_account_key(
    gateway: GatewayProcess, stranger: TeamAccess, emulator: Emulator, path: str
) -> None:
    response = httpx.get(f"{gateway.url}{path}", headers=stranger.bearer, timeout=30)

    assert 200 == response.status_code
    assert emulator.config.account_key not in response.text
    assert gateway.master_key not in response.text

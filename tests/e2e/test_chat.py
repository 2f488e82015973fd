"""Chat as clients do it: every client of AssemblyAI's guides and OpenAI's own, with a virtual key."""

from __future__ import annotations

import time
from typing import Any

import assemblyai as aai
import httpx
import openai
import pytest
import requests
from chat_world import MESSAGES, SONNET, bodies, post_chat, transcribed
from gateway_process import GatewayProcess, TeamAccess

from aai_gateway.emulator import Emulator, sample_path

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "transcript_id": {"type": "string"}},
        },
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "topic",
        "schema": {
            "type": "object",
            "properties": {"topic": {"type": "string"}},
            "required": ["topic"],
            "additionalProperties": False,
        },
    },
}

CONTENTS = [{"role": "user", "parts": [{"text": "Hello."}]}]


@pytest.fixture(scope="module")
def team(gateway: GatewayProcess) -> TeamAccess:
    return gateway.team()


@pytest.fixture
def client(gateway: GatewayProcess, team: TeamAccess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=team.key, max_retries=0)


@pytest.mark.parametrize(
    ("sent", "model"),
    [
        ({"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True}, "claude-sonnet-4-6"),
        ({"response_format": SCHEMA, "temperature": 0.2, "max_tokens": 50}, "claude-sonnet-4-6"),
        ({"reasoning_effort": "low"}, "gpt-5"),
        (
            {"fallbacks": [{"model": "gpt-5", "temperature": 1}], "fallback_config": {"depth": 1}},
            "gemini-2.5-pro",
        ),
        ({"model_region": "global", "post_processing_steps": [{"type": "json-repair"}]}, "claude-sonnet-4-6"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "claude-sonnet-4-6"),
        ({"top_k": 5, "reasoning": {"effort": "low"}, "zero_data_retention": True}, "gpt-5"),
        ({"stop": ["x"], "seed": 7, "top_p": 0.5, "n": 1, "max_completion_tokens": 9}, "gpt-5"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
@pytest.mark.parametrize("prefix", ["assemblyai", "eu.assemblyai"])
def test_parameters_reach_the_llm_gateway_as_sent(
    gateway: GatewayProcess,
    team: TeamAccess,
    emulator: Emulator,
    sent: dict[str, Any],
    model: str,
    prefix: str,
) -> None:
    if prefix == "eu.assemblyai":  # the EU offers no OpenAI models, and a fallback is refused like a model
        model, sent = (
            "claude-sonnet-4-6",
            {**sent, **({"fallbacks": [{"model": model}]} if "fallbacks" in sent else {})},
        )

    response = post_chat(gateway, team, model=f"{prefix}/{model}", **sent)

    assert 200 == response.status_code, response.text
    llm_url = emulator.urls.llm_eu if prefix.startswith("eu") else emulator.urls.llm_us
    assert {"model": model, "messages": MESSAGES, **sent} == bodies(llm_url)[-1]


def test_cache_control_reaches_the_llm_gateway(
    gateway: GatewayProcess, team: TeamAccess, emulator: Emulator
) -> None:
    part = {
        "type": "text",
        "text": "A long system prompt.",
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    messages = [{"role": "system", "content": [part]}, *MESSAGES]

    assert 200 == post_chat(gateway, team, messages=messages).status_code

    assert messages == bodies(emulator.urls.llm_us)[-1]["messages"]


def test_openai_client_chats_streams_and_calls_tools(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model=SONNET, messages=MESSAGES)
    with client.chat.completions.create(model=SONNET, messages=MESSAGES, stream=True) as stream:
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    calling = client.chat.completions.create(
        model=SONNET, messages=MESSAGES, tools=[TOOL], tool_choice="required"
    )

    assert plain.choices[0].message.content
    assert plain.choices[0].message.content == streamed
    assert "get_weather" == calling.choices[0].message.tool_calls[0].function.name
    assert "tool_calls" == calling.choices[0].finish_reason


async def test_async_openai_client_asks_about_a_transcript_in_a_schema(
    gateway: GatewayProcess, team: TeamAccess
) -> None:
    transcript_id = transcribed(gateway, team)
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=team.key) as client:
        answer = await client.chat.completions.create(
            model=SONNET,
            messages=[{"role": "user", "content": "What is the topic?\n\n{{ transcript }}"}],
            response_format=SCHEMA,
            extra_body={"transcript_id": transcript_id},
        )

    assert '{"topic"' in answer.choices[0].message.content.replace(" ", "")


def test_models_are_those_that_the_key_may_use(gateway: GatewayProcess, client: openai.OpenAI) -> None:
    newsroom = gateway.team(regions=["eu"])
    narrow = gateway.team(models=["assemblyai/gpt-5", "eu.assemblyai/*"], regions=["us"])

    def listed(key: str) -> set[str]:
        return {model.id for model in openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key).models.list()}

    everything = {model.id for model in client.models.list()}
    assert {SONNET, "eu.assemblyai/claude-sonnet-4-6", "assemblyai/gpt-5"} <= everything
    assert "eu.assemblyai/gpt-5" not in everything  # the EU's LLM Gateway has none of OpenAI's
    assert {name for name in everything if name.startswith("eu.")} == listed(newsroom.key)
    assert {"assemblyai/gpt-5"} == listed(narrow.key)


@pytest.mark.parametrize("scheme", ["", "Bearer "])
def test_guides_transcribe_then_ask_with_requests(
    gateway: GatewayProcess, team: TeamAccess, scheme: str
) -> None:
    """The steps of "Apply LLM Gateway to Audio Transcripts" and of the guide on topic tags."""
    base_url, headers = f"{gateway.url}/assemblyai", {"authorization": f"{scheme}{team.key}"}
    upload_url = requests.post(
        base_url + "/v2/upload", headers=headers, data=sample_path("hello").read_bytes(), timeout=60
    ).json()["upload_url"]
    data = {"audio_url": upload_url, "speech_models": ["universal-3-pro"]}
    transcript_id = requests.post(base_url + "/v2/transcript", json=data, headers=headers, timeout=60).json()[
        "id"
    ]
    polling_endpoint = base_url + "/v2/transcript/" + transcript_id
    while requests.get(polling_endpoint, headers=headers, timeout=60).json()["status"] != "completed":
        time.sleep(0.05)
    tag_list = {"Sports": "News on athletic events.", "Technology": "News on gadgets and software."}
    prompt = f"Select the most relevant topic.\n<topics_list>\n{tag_list}\n</topics_list>"

    for model, question in (
        ("claude-sonnet-4-6", "Provide a brief summary of the transcript."),
        ("claude-sonnet-4-5-20250929", prompt),
    ):
        response = requests.post(
            f"{gateway.url}/v1/chat/completions",
            headers=headers,
            json={
                "model": f"assemblyai/{model}",
                "messages": [{"role": "user", "content": f"{question}\n\n{{{{ transcript }}}}"}],
                "transcript_id": transcript_id,
                "max_tokens": 500,
            },
            timeout=60,
        )
        content = response.json()["choices"][0]["message"]["content"].strip()
        assert content
    assert content in tag_list


def test_litellm_guide_asks_the_proxy(gateway: GatewayProcess, team: TeamAccess) -> None:
    response = requests.post(
        f"{gateway.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {team.key}"},
        json={
            "model": "assemblyai/claude-sonnet-4-5-20250929",
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "max_tokens": 1000,
        },
        timeout=60,
    )

    assert response.json()["choices"][0]["message"]["content"]


def test_assemblyai_sdk_chats_through_the_proxy(gateway: GatewayProcess, team: TeamAccess) -> None:
    settings = aai.Settings(api_key=team.key, llm_gateway_base_url=gateway.url)
    completions = aai.LLMGateway(client=aai.Client(settings=settings)).chat.completions

    plain = completions.create(model=SONNET, messages=MESSAGES)
    streamed = list(completions.create(model=SONNET, messages=MESSAGES, stream=True))

    assert plain.choices[0].message.content
    assert plain.choices[0].message.content == "".join(
        chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("v1/chat/completions", {"messages": MESSAGES}),
        ("v1/chat/completions", {"messages": MESSAGES, "model": "eu.assemblyai/claude-sonnet-4-6"}),
        ("v1/messages", {"messages": MESSAGES, "max_tokens": 9}),
        ("v1/responses", {"input": "x"}),
        ("v1/completions", {"prompt": "x"}),
        (f"v1beta/models/{SONNET}:generateContent", {"contents": CONTENTS}),
    ],
    ids=["chat", "chat in the EU", "messages", "responses", "completions", "gemini"],
)
def test_a_refusal_comes_back_at_once_with_its_retry_after(
    gateway: GatewayProcess,
    team: TeamAccess,
    emulator: Emulator,
    stream: bool,
    status: int,
    path: str,
    asked: dict[str, Any],
) -> None:
    fault = {"path": "/v1/chat/completions", "status": status, "retry_after": 17, "count": 1}
    httpx.post(f"{emulator.urls.llm_us}/_emulator/faults", json=fault).raise_for_status()
    before = len(chat_requests(emulator))

    body = {"model": SONNET, "stream": stream, **asked}
    response = httpx.post(f"{gateway.url}/{path}", json=body, headers=team.bearer, timeout=60)

    assert status == response.status_code
    assert "17" == response.headers["retry-after"]
    assert before + 1 == len(chat_requests(emulator))


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent"])
def test_a_refusal_that_litellm_makes_a_500_of_comes_back_as_it_was(
    gateway: GatewayProcess, team: TeamAccess, emulator: Emulator, method: str, status: int
) -> None:
    fault = {"path": "/v1/chat/completions", "status": status, "error": "because of this"}
    httpx.post(f"{emulator.urls.llm_us}/_emulator/faults", json=fault).raise_for_status()

    url = f"{gateway.url}/v1beta/models/{SONNET}:{method}"
    response = httpx.post(url, json={"contents": CONTENTS}, headers=team.bearer, timeout=60)

    assert status == response.status_code
    assert "because of this" == response.json()["error"]["message"]


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_upstream_is_not_tried_again(
    gateway: GatewayProcess, team: TeamAccess, emulator: Emulator, status: int
) -> None:
    httpx.post(f"{emulator.urls.llm_us}/_emulator/faults", json={"host": "llm-us", "status": status})
    before = len(chat_requests(emulator))

    assert status == post_chat(gateway, team).status_code
    assert before + 1 == len(chat_requests(emulator))


def chat_requests(emulator: Emulator) -> list[Any]:
    return [request for request in emulator.requests if request.path == "/v1/chat/completions"]

"""The LLM Gateway's chat on its way to LiteLLM's and back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from opened_gateway import KEY, opened_gateway, speech_client

from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator
from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway.data_plane import LITELLM
from aai_gateway.gateway.llm_chat import error_body, for_litellm
from aai_gateway.gateway.llm_routes import LLM_HANDLERS
from aai_gateway.gateway.passthrough import SpeechRoutes
from aai_gateway.gateway.wire import Receive, Scope, Send, read_body, respond_json

ASK = {"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "Hello"}], "stream": False}
FALLBACKS = [{"model": "gpt-5"}]


@pytest.mark.parametrize(
    ("region", "model"),
    [(Region.US, "assemblyai/claude-sonnet-4-6"), (Region.EU, "eu.assemblyai/claude-sonnet-4-6")],
)
def test_the_model_gets_the_regions_prefix_and_all_else_stays(region: Region, model: str):
    body = {**ASK, "fallbacks": FALLBACKS, "transcript_id": "t-1", "model_region": "global"}
    assert {**body, "model": model} == for_litellm(body, region)


def test_a_prompt_is_a_users_message_unless_there_are_messages():
    assert [{"role": "user", "content": "Hi"}] == for_litellm({"model": "gpt-5", "prompt": "Hi"}, Region.US)[
        "messages"
    ]
    assert {**ASK, "model": "assemblyai/claude-sonnet-4-6", "prompt": "Hi"} == for_litellm(
        {**ASK, "prompt": "Hi"}, Region.US
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": None},
        {"model": ""},
        {"model": ["gpt-5"]},
        {"model": "assemblyai/gpt-5"},
        {"model": "eu.assemblyai/gpt-5"},
        {"fallbacks": ["eu.assemblyai/gpt-5"]},
        {"fallbacks": "gpt-5"},
        {"fallbacks": [{"model": "gpt-5"}, "gpt-5"]},
        {"context_window_fallbacks": []},
        {"content_policy_fallbacks": [{"a": ["b"]}]},
    ],
)
def test_what_is_not_assemblyais_is_refused(wrong: dict[str, Any]):
    with pytest.raises(InvalidRequest):
        for_litellm({**ASK, **wrong}, Region.US)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "litellm.NotFoundError: NotFoundError: AssemblyaiException - transcript not found\n\n"
            "LiteLLM: model group 'assemblyai/x' failed with the error above. No fallback was attempted.",
            "transcript not found",
        ),
        ("litellm.X: AssemblyaiException - no. Received Model Group=a\nAvailable", "no"),
        ("This key may not use it.", "This key may not use it."),
        (None, "The gateway failed on this request."),
    ],
)
def test_litellms_error_is_said_in_the_llm_gateways_shape(said: object, expected: str):
    told = json.loads(error_body(404, json.dumps({"error": {"message": said, "code": "404"}}).encode()))
    assert ["request_id", "message", "code"] == list(told)
    assert (expected, 404) == (told["message"], told["code"])


def test_an_answer_that_is_no_json_is_an_error_all_the_same():
    assert 500 == json.loads(error_body(500, b"<html>"))["code"]


async def test_litellm_gets_the_key_that_was_checked_and_no_other(emulator: Emulator, tmp_path):
    seen: list[Scope] = []

    async def litellm(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await respond_json(send, 200, json.loads(await read_body(receive, 1000)))

    async with opened_gateway(emulator, tmp_path) as gateway:

        async def ready() -> Any:
            return gateway

        routes = SpeechRoutes(ready, LLM_HANDLERS)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await routes({**scope, LITELLM: litellm}, receive, send)

        headers = {
            "Authorization": KEY,
            **dict.fromkeys(("x-api-key", "x-litellm-api-key", "api-key"), KEY),
            "cookie": "token=sk-other",
            "x-litellm-tags": "demo",
        }
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            path = "/llm-gateway.eu.assemblyai/v1/chat/completions"
            answer = await client.post(f"{path}?api-version=1", json=ASK, headers=headers)

    assert {**ASK, "model": "eu.assemblyai/claude-sonnet-4-6"} == answer.json()
    [scope] = seen
    assert ("/v1/chat/completions", "", b"") == (scope["path"], scope["root_path"], scope["query_string"])
    passed = dict(scope["headers"])
    assert len(passed) == len(scope["headers"])
    assert (f"Bearer {KEY}".encode(), b"demo") == (passed[b"authorization"], passed[b"x-litellm-tags"])
    assert [b"authorization"] == [name for name, value in passed.items() if KEY.encode() in value]
    assert b"sk-other" not in b" ".join(passed.values())
    assert LITELLM not in scope


async def test_without_litellm_there_is_no_chat(emulator: Emulator, tmp_path):
    async with opened_gateway(emulator, tmp_path) as gateway, speech_client(gateway) as client:
        answer = await client.post("/llm-gateway.assemblyai/v1/chat/completions", json=ASK)
    assert (404, 404) == (answer.status_code, answer.json()["code"])

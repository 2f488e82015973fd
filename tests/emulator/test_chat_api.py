from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import aiohttp
import assemblyai as aai
import jsonschema
import openai
import pytest
import yaml
from aiohttp import web

from aai_gateway.emulator.chat_api import CHAT_STATE, chat_app
from aai_gateway.emulator.invoice import Invoice
from aai_gateway.emulator.price_changes import Prices

KEY = "emulator-account-key"
CLAUDE = "claude-sonnet-4-6"
SPEC = Path(__file__).parents[3] / "shared" / "assemblyai" / "llm-gateway.yml"
TALK = (
    "The river has been rising for three weeks. We measured four metres on Monday. "
    "The city will open the flood gates tonight to protect the harbour. It rained again on Tuesday. "
    "People near the harbour should keep away from the river this week."
)
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Gateway:
    """One chat app on a loopback port, with its invoice."""

    def __init__(self, region: str, **options) -> None:
        self.region = region
        self.invoice = Invoice()
        self.app = chat_app(region, KEY, {"t1": TALK}.get, self.invoice, Prices(), **options)
        self._runner = web.AppRunner(self.app)
        self._clients = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Gateway:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = site.name
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_) -> None:
        await self._session.close()
        await self._clients.aclose()
        await self._runner.cleanup()

    async def post(self, body, path: str = "/v1/chat/completions", key: str | None = KEY):
        """Status, JSON body and headers of a POST."""
        headers = {"Authorization": key} if key else {}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self._session.post(self.url + path, data=data, headers=headers) as response:
            return response.status, await response.json(), response.headers

    async def get(self, path: str):
        async with self._session.get(self.url + path) as response:
            return response.status, await response.json()

    def openai(self) -> openai.AsyncOpenAI:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=f"{self.url}/v1", max_retries=0)
        self._clients.push_async_callback(client.close)
        return client

    def sdk(self, key: str = KEY) -> aai.AsyncLLMGateway:
        settings = aai.Settings(api_key=key, llm_gateway_base_url=self.url)
        client = aai.AsyncClient(settings=settings)
        self._clients.push_async_callback(client.aclose)
        return aai.AsyncLLMGateway(client=client)


@pytest.fixture
async def gateway():
    async with Gateway("us") as running:
        yield running


@pytest.fixture
async def eu_gateway():
    async with Gateway("eu") as running:
        yield running


def chat(text: str = "Summarize: {{ transcript }}", model: str = CLAUDE, **fields):
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def said(body) -> str:
    return body["choices"][0]["message"]["content"]


# --- the official clients -----------------------------------------------------------------------------------


async def test_the_openai_client_gets_a_completion(gateway):
    completion = await gateway.openai().chat.completions.create(
        **chat("Give me the 2 best quotes.\n\n{{ transcript }}"), extra_body={"transcript_id": "t1"}
    )
    quotes = [line[4:-1] for line in completion.choices[0].message.content.splitlines()]
    assert [True, True] == [quote in TALK for quote in quotes]
    assert CLAUDE == completion.model
    assert "end_turn" == completion.choices[0].finish_reason
    assert (
        completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    )


async def test_the_openai_client_streams_the_same_answer(gateway):
    client = gateway.openai()
    request = chat("Summarize: {{ transcript }}", "gpt-5")
    whole = await client.chat.completions.create(**request, extra_body={"transcript_id": "t1"})
    stream = await client.chat.completions.create(**request, stream=True, extra_body={"transcript_id": "t1"})
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert whole.choices[0].message.content == text
    assert all(chunk.usage for chunk in chunks)
    assert [] == chunks[-1].choices
    assert "stop" == chunks[-2].choices[0].finish_reason
    assert whole.usage.completion_tokens == chunks[-1].usage.completion_tokens
    first, second = gateway.invoice.rows
    assert first.items == second.items


async def test_the_openai_client_calls_a_tool_and_sends_its_result(gateway):
    client = gateway.openai()
    asked = {"role": "user", "content": "What is the weather in Oslo?"}
    forced = {"type": "function", "function": {"name": "get_weather"}}
    completion = await client.chat.completions.create(
        model="gpt-5", messages=[asked], tools=[WEATHER], tool_choice=forced
    )
    call = completion.choices[0].message.tool_calls[0]
    assert ("get_weather", {"city": "Oslo"}) == (call.function.name, json.loads(call.function.arguments))
    assert "tool_calls" == completion.choices[0].finish_reason
    result = {
        "role": "tool",
        "tool_call_id": call.id,
        "content": "The weather in Oslo is snow at -4 degrees.",
    }
    messages = [asked, completion.choices[0].message.model_dump(exclude_none=True), result]
    answered = await client.chat.completions.create(model="gpt-5", messages=messages, tools=[WEATHER])
    assert "The weather in Oslo is snow at -4 degrees." == answered.choices[0].message.content


async def test_a_tool_call_is_streamed_in_fragments(gateway):
    stream = await gateway.openai().chat.completions.create(
        **chat("Please get weather for Oslo now", "gpt-5"), tools=[WEATHER], stream=True
    )
    calls = [
        call async for chunk in stream for choice in chunk.choices for call in choice.delta.tool_calls or []
    ]
    assert ("get_weather", "call_") == (calls[0].function.name, calls[0].id[:5])
    assert {"city": "Oslo"} == json.loads("".join(call.function.arguments for call in calls))


async def test_the_openai_client_parses_structured_output(gateway):
    schema = {
        "type": "object",
        "properties": {
            "quotes": {
                "type": "array",
                "items": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            }
        },
        "required": ["quotes"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "quotes", "schema": schema, "strict": True}}
    completion = await gateway.openai().chat.completions.create(
        **chat("The 2 best quotes:\n\n{{ transcript }}"),
        response_format=wanted,
        extra_body={"transcript_id": "t1"},
    )
    body = json.loads(completion.choices[0].message.content)
    jsonschema.validate(body, schema)
    assert [True, True] == [quote["text"] in TALK for quote in body["quotes"]]


async def test_the_sdk_lists_models_and_completes(gateway):
    sdk = gateway.sdk()
    assert CLAUDE in [model.id for model in (await sdk.models.list()).data]
    completion = await sdk.chat.completions.create(**chat(), transcript_id="t1", reasoning={"effort": "low"})
    assert completion.choices[0].message.content.startswith("The river has been rising for three weeks.")
    assert CLAUDE == completion.request["model"]
    assert completion.request_id == gateway.invoice.rows[0].id
    assert completion.response_time > 0


async def test_the_sdk_streams(gateway):
    stream = await gateway.sdk().chat.completions.create(**chat(), transcript_id="t1", stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert text.startswith("The river has been rising")


async def test_the_blocking_sdk_completes(gateway):
    settings = aai.Settings(api_key=KEY, llm_gateway_base_url=gateway.url)
    client = aai.Client(settings=settings)
    sdk = aai.LLMGateway(client=client)
    completion = await asyncio.to_thread(sdk.chat.completions.create, **chat(), transcript_id="t1")
    client.http_client.close()
    assert completion.choices[0].message.content.startswith("The river has been rising")


async def test_the_sdk_understands_both_error_envelopes(gateway):
    with pytest.raises(aai.LLMGatewayError) as unknown_key:
        await gateway.sdk("another-key").chat.completions.create(**chat())
    assert (401, "Authentication error, API token missing/invalid") == (
        unknown_key.value.status_code,
        str(unknown_key.value),
    )
    with pytest.raises(aai.LLMGatewayError) as unknown_model:
        await gateway.sdk().chat.completions.create(**chat(model="gpt-99"))
    assert ["Your account does not have access to this LLM Gateway model"] == unknown_model.value.errors


# --- authentication and refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize("given", [KEY, f"Bearer {KEY}"])
async def test_the_account_key_is_taken_raw_and_as_bearer(gateway, given):
    status, _, _ = await gateway.post(chat(), key=given)
    assert 200 == status


@pytest.mark.parametrize("given", [None, "wrong", "Bearer wrong", "Bearer "])
async def test_no_or_another_key_is_401_and_leaves_no_trace(gateway, given):
    status, body, _ = await gateway.post(chat(), key=given)
    assert (401, "error") == (status, body["status"])
    assert {"error", "status", "request_id"} == set(body)
    assert [] == gateway.invoice.rows
    assert [] == list(gateway.app[CHAT_STATE].chat_bodies)


async def test_models_need_no_key(gateway):
    status, body = await gateway.get("/v1/models")
    assert (200, 33) == (status, len(body["data"]))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{not json", "request body is not valid JSON"),
        (b"[]", "request body must be a JSON object"),
        (chat(model="gpt-99"), "Your account does not have access to this LLM Gateway model"),
        (
            chat(model="claude-opus-4-7", temperature=0.5),
            "model claude-opus-4-7 does not support temperature",
        ),
        (chat(fallbacks=[{"max_tokens": 5}]), "fallbacks must be a list of objects, each with a model"),
        (chat("word " * 40_000, "qwen3.5-4b-32k-fast"), "prompt is too long: 50000 tokens > 32768 maximum"),
    ],
)
async def test_what_is_wrong_with_a_request_is_400_and_free(gateway, body, message):
    status, answered, _ = await gateway.post(body)
    assert 400 == status
    assert answered["message"].startswith(message)
    assert {"code": 400, "errors": [answered["message"]]} == {
        "code": answered["code"],
        **answered["metadata"],
    }
    assert {"code", "message", "request_id", "metadata"} == set(answered)
    assert [] == gateway.invoice.rows


async def test_unknown_paths_and_methods_have_the_envelope_too(gateway):
    assert (404, 404) == (
        (await gateway.post({}, "/v1/other"))[0],
        (await gateway.post({}, "/v1/other"))[1]["code"],
    )
    assert 405 == (await gateway.get("/v1/chat/completions"))[0]


async def test_the_eu_serves_no_openai_model(eu_gateway):
    status, body, _ = await eu_gateway.post(chat(model="gpt-5"))
    assert (400, "Your account does not have access to this LLM Gateway model") == (status, body["message"])
    assert 200 == (await eu_gateway.post(chat(model="gemini-2.5-flash")))[0]


# --- the transcript -----------------------------------------------------------------------------------------


async def test_a_tag_without_its_spaces_is_not_replaced(gateway):
    _, body, _ = await gateway.post(chat("{{transcript}}", transcript_id="t1"))
    assert "{{transcript}}" == said(body)


async def test_an_unknown_transcript_is_404_where_its_tag_stands_and_ignored_elsewhere(gateway):
    status, body, _ = await gateway.post(chat(transcript_id="nobody"))
    request_id = body.pop("request_id")
    assert (404, {"message": "transcript not found", "code": 404}) == (status, body)
    assert 36 == len(request_id)
    assert 200 == (await gateway.post(chat("Summarize nothing.", transcript_id="nobody")))[0]


async def test_a_prompt_stands_for_one_user_message(gateway):
    _, body, _ = await gateway.post(
        {"model": CLAUDE, "prompt": "Summarize: {{ transcript }}", "transcript_id": "t1"}
    )
    assert said(body).startswith("The river has been rising")
    assert {"model": CLAUDE, "transcript_id": "t1"} == body["request"]


# --- fallbacks ----------------------------------------------------------------------------------------------


async def test_a_failing_model_falls_back_and_the_other_one_is_charged(gateway):
    await gateway.post({"models": ["gpt-5"]}, "/_emulator/failing-models")
    fallbacks = [{"model": CLAUDE, "max_tokens": 3}, {"model": "gpt-5-mini"}]
    _, body, _ = await gateway.post(
        chat("Say it.", "gpt-5", fallbacks=fallbacks, fallback_config={"retry": False, "depth": 1})
    )
    assert (CLAUDE, 3) == (body["model"], body["request"]["max_tokens"])
    assert [CLAUDE] == [row.model for row in gateway.invoice.rows]


async def test_depth_says_how_many_fallbacks_are_tried(gateway):
    gateway.app[CHAT_STATE].failing_models = {"gpt-5", CLAUDE}
    request = chat("Say it.", "gpt-5", fallbacks=[{"model": CLAUDE}, {"model": "gpt-5-mini"}])
    status, body, _ = await gateway.post({**request, "fallback_config": {"retry": False}})
    assert (503, {"code", "message", "request_id"}) == (status, set(body))
    _, body, _ = await gateway.post({**request, "fallback_config": {"retry": False, "depth": 2}})
    assert "gpt-5-mini" == body["model"]


async def test_fallbacks_do_not_rescue_a_refused_request(gateway):
    request = chat("Say it.", "gpt-5.5", temperature=1, fallbacks=[{"model": CLAUDE}])
    assert 400 == (await gateway.post(request))[0]


async def test_a_model_that_recovers_answers_the_retry_itself(gateway):
    """The first attempt is made again after half a second."""
    state = gateway.app[CHAT_STATE]

    class FailsOnce(set):
        asked = 0

        def __contains__(self, model):
            self.asked += 1
            return self.asked == 1

    state.failing_models = FailsOnce()
    _, body, _ = await gateway.post(chat("Say it.", "gpt-5", fallbacks=[{"model": CLAUDE}]))
    assert "gpt-5" == body["model"]


# --- usage, prices, limits ----------------------------------------------------------------------------------


async def test_max_tokens_cuts_the_answer_with_the_providers_reason(gateway):
    _, claude, _ = await gateway.post(chat(transcript_id="t1", max_tokens=5))
    _, gpt, _ = await gateway.post(chat(model="gpt-5", transcript_id="t1", max_tokens=5))
    assert ["max_tokens", "length"] == [body["choices"][0]["finish_reason"] for body in (claude, gpt)]
    assert (5, TALK[:20]) == (claude["usage"]["completion_tokens"], said(claude))


async def test_the_answer_is_charged_with_the_regional_surcharge_unless_global(gateway):
    for fields in ({}, {"model_region": "global"}):
        _, body, _ = await gateway.post(chat("x" * 4000, max_tokens=100, **fields))
        assert (1000, 100) == (body["usage"]["input_tokens"], body["usage"]["output_tokens"])
    # 1000 tokens at 3 $ and 100 at 15 $ per million
    assert [4950, 4500] == [row.micros for row in gateway.invoice.rows]


async def test_a_client_that_leaves_a_stream_is_charged_for_what_was_sent():
    text = " ".join(f"The river rose by {n} centimetres in the night." for n in range(400))
    request = chat(f"Give me 50 quotes.\nTranscript: {text}", "gpt-5", max_tokens=1000)
    async with Gateway("us") as gateway:
        _, whole, _ = await gateway.post(request)
        stream = await gateway.openai().chat.completions.create(**request, stream=True)
        await anext(aiter(stream))
        await stream.close()
    sent = {item.name: item.quantity for item in gateway.invoice.rows[1].items}
    assert whole["usage"]["prompt_tokens"] == sent["input"]
    assert sent.get("output", 0) < whole["usage"]["completion_tokens"]


async def test_a_marked_prefix_is_written_to_the_cache_and_then_read(gateway):
    marked = {"role": "user", "content": "x" * 4000, "cache_control": {"type": "ephemeral"}}
    request = {
        "model": CLAUDE,
        "messages": [marked, {"role": "user", "content": "Summarize."}],
        "max_tokens": 1,
    }
    details = []
    for ttl in ("5m", "5m", "1h"):
        marked["cache_control"]["ttl"] = ttl
        marked["content"] = "y" * 4000 if ttl == "1h" else marked["content"]
        _, body, _ = await gateway.post(request)
        details.append(body["usage"]["prompt_tokens_details"])
    written = [detail["cache_creation"] for detail in details]
    assert [0, 1000, 0] == [detail["cached_tokens"] for detail in details]
    assert [1000, 0, 0] == [write["ephemeral_5m_input_tokens"] for write in written]
    assert [0, 0, 1000] == [write["ephemeral_1h_input_tokens"] for write in written]
    names = [{item.name for item in row.items} - {"input", "output"} for row in gateway.invoice.rows]
    assert [{"cache_write_5m"}, {"cache_read"}, {"cache_write_1h"}] == names


async def test_the_form_of_june_2026_has_no_model_and_other_names_for_the_counts(gateway):
    await gateway.post({"style": "input_output"}, "/_emulator/usage-style")
    _, body, _ = await gateway.post(chat(transcript_id="t1"))
    assert [None] * 4 == [body[name] for name in ("id", "model", "object", "created")]
    assert (None, None) == (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"])
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    assert gateway.invoice.total_micros() > 0


async def test_the_same_request_has_the_same_answer_and_usage(gateway):
    bodies = [(await gateway.post(chat(transcript_id="t1")))[1] for _ in range(2)]
    assert bodies[0]["choices"] == bodies[1]["choices"]
    assert bodies[0]["usage"] == bodies[1]["usage"]
    assert bodies[0]["request_id"] != bodies[1]["request_id"]


async def test_a_model_has_a_limit_per_minute():
    async with Gateway("us", requests_per_minute=2) as gateway:
        answers = [await gateway.post(chat()) for _ in range(3)]
        assert [200, 200, 429] == [status for status, _, _ in answers]
        assert ["1", "0", "0"] == [headers["x-ratelimit-remaining"] for _, _, headers in answers]
        _, body, headers = answers[2]
        assert "too many requests for this action" == body["message"]
        assert 1 <= int(headers["retry-after"]) <= 60
        assert ("llmgw", CLAUDE) == (headers["x-ratelimit-service"], headers["x-ratelimit-model"])
        assert 200 == (await gateway.post(chat(model="gpt-5")))[0]
        assert 3 == len(gateway.invoice.rows)


async def test_an_own_model_reports_another_name_in_its_chunks(gateway):
    stream = await gateway.openai().chat.completions.create(**chat("Hi.", "qwen3.5-4b-32k-fast"), stream=True)
    assert {"qwen3.5-4b-32k"} == {chunk.model async for chunk in stream}


# --- what tests steer and read ------------------------------------------------------------------------------


async def test_bodies_are_kept_as_they_arrived_and_without_the_key(gateway):
    sent = chat(transcript_id="t1", fallbacks=[{"model": "gpt-5"}], reasoning_effort="low", tools=[WEATHER])
    await gateway.post(sent)
    status, body = await gateway.get("/_emulator/chat-bodies")
    assert (200, [sent]) == (status, body["bodies"])
    assert KEY not in json.dumps(body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("failing-models", {"models": "gpt-5"}),
        ("failing-models", {}),
        ("usage-style", {"style": "other"}),
        ("chunk-seconds", {"seconds": -1}),
        ("chunk-seconds", {"seconds": True}),
    ],
)
async def test_a_wrong_order_to_the_emulator_is_refused(gateway, path, body):
    assert 400 == (await gateway.post(body, f"/_emulator/{path}"))[0]


async def test_middlewares_stand_in_front():
    @web.middleware
    async def closed(request, handler):
        raise web.HTTPServiceUnavailable(text="closed")

    async with (
        Gateway("us", middlewares=[closed]) as gateway,
        aiohttp.request("GET", f"{gateway.url}/v1/models") as response,
    ):
        assert (503, "closed") == (response.status, await response.text())


# --- the published specification ----------------------------------------------------------------------------


@pytest.mark.skipif(not SPEC.exists(), reason="the published specification is not beside this checkout")
async def test_bodies_conform_to_the_published_specification(gateway):
    spec = yaml.safe_load(SPEC.read_text())
    examples = spec["paths"]["/chat/completions"]["post"]["requestBody"]["content"]["application/json"][
        "examples"
    ]
    response_schema = {"$ref": "#/components/schemas/Response", "components": spec["components"]}
    for name, example in examples.items():
        status, body, _ = await gateway.post(example["value"])
        assert (name, 200) == (name, status)
        jsonschema.validate(body, response_schema)
        wanted = example["value"].get("response_format")
        if wanted:
            jsonschema.validate(json.loads(said(body)), wanted["json_schema"]["schema"])
    fields = {
        name for part in ("Response", "Usage") for name in spec["components"]["schemas"][part]["properties"]
    }
    assert fields <= {*body, *body["usage"]}

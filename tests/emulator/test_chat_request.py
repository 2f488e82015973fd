from __future__ import annotations

import pytest

from aai_gateway.emulator.chat_request import (
    ChatError,
    attempts,
    check_length,
    prompt_tokens,
    read_chat,
    with_transcript,
)
from aai_gateway.emulator.price_list import PUBLISHED

CLAUDE = "claude-sonnet-4-6"
SERVED = PUBLISHED.served("us")
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}


def chat(text: str = "Summarize: {{ transcript }}", model: str = CLAUDE, **fields):
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "request body must be a JSON object"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "model is required"),
        ({"model": CLAUDE}, "messages or prompt is required"),
        ({"model": CLAUDE, "messages": []}, "messages or prompt is required"),
        (
            {"model": CLAUDE, "messages": [{"role": "robot", "content": "Hi"}]},
            "messages[0].role must be one of",
        ),
        ({"model": CLAUDE, "messages": [{"role": "user"}]}, "messages[0].content must be a string"),
        (
            {"model": CLAUDE, "messages": [{"role": "tool", "content": "4"}]},
            "messages[0].tool_call_id is required",
        ),
        (chat(model="gpt-99"), "Your account does not have access to this LLM Gateway model"),
        (
            chat(model="claude-opus-4-7", temperature=0.5),
            "model claude-opus-4-7 does not support temperature",
        ),
        (chat(model="gpt-oss-120b", stream=True), "model gpt-oss-120b does not support stream"),
        (
            chat(model="qwen3.5-4b-32k-fast", tools=[WEATHER]),
            "model qwen3.5-4b-32k-fast does not support tools",
        ),
        (chat(model="gpt-4.1", reasoning_effort="low"), "model gpt-4.1 does not support reasoning_effort"),
        (chat(model_region="eu"), "model_region must be 'global'"),
        (chat(temperature=3), "temperature must be between 0 and 2"),
        (chat(max_tokens=0), "max_tokens must be an integer of 1 or more"),
        (chat(tools=[{"type": "function"}]), "tools must be a list of functions, each with a name"),
        (
            chat(tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "other"}}),
            "tool_choice names no function of tools",
        ),
        (chat(response_format={"type": "json_schema"}), "response_format.json_schema.schema is required"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(body, message):
    with pytest.raises(ChatError) as refused:
        read_chat(body, SERVED)
    assert str(refused.value).startswith(message)
    assert {
        "code": 400,
        "message": str(refused.value),
        "request_id": "r",
        "metadata": {"errors": [str(refused.value)]},
    } == refused.value.body("r")


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "gpt-5", "reasoning_effort": "high"},
        {"model": CLAUDE, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"model": "gemini-2.5-pro", "reasoning": {"effort": "low"}},
        {"post_processing_steps": [{"type": "json-repair"}]},
        {"top_p": 0.5, "seed": 7, "stream_options": {"include_usage": True}},
        {"temperature": None, "tools": None, "stream": False},
    ],
)
def test_what_a_model_takes_is_accepted(fields):
    body = {**chat(), **fields}
    assert body["model"] == read_chat(body, SERVED).model.id


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fallbacks": [{"max_tokens": 5}]}, "fallbacks must be a list of objects, each with a model"),
        ({"fallbacks": "gpt-5"}, "fallbacks must be a list of objects, each with a model"),
        ({"fallback_config": {"depth": 3}}, "fallback_config.depth must be 1 or 2"),
    ],
)
def test_fallbacks_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ChatError, match=message):
        attempts(chat(**fields))


def test_a_fallback_replaces_what_it_names_and_keeps_the_rest():
    body = chat(max_tokens=9, temperature=1, fallbacks=[{"model": "gpt-5", "max_tokens": 3}])
    models = [(attempt["model"], attempt["max_tokens"], attempt["temperature"]) for attempt in attempts(body)]
    assert [(CLAUDE, 9, 1), ("gpt-5", 3, 1)] == models


def test_a_prompt_longer_than_the_context_is_refused():
    with pytest.raises(ChatError, match="prompt is too long: 50000 tokens > 32768 maximum"):
        check_length(read_chat(chat("word " * 40_000, "qwen3.5-4b-32k-fast"), SERVED))


def test_only_the_first_tag_of_the_first_message_that_has_one_is_replaced():
    tag = "{{ transcript }}"
    messages = [
        {"role": "system", "content": "You summarize {{transcript}}."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Of"}, {"type": "text", "text": f"{tag} {tag}"}],
        },
        {"role": "user", "content": tag},
    ]
    body = {"model": CLAUDE, "messages": messages, "transcript_id": "t1"}
    read = with_transcript(read_chat(body, SERVED), {"t1": "We met."}.get)
    assert ["You summarize {{transcript}}.", f"Of\nWe met. {tag}", tag] == [text.text for text in read.texts]
    assert "We met." == read.transcript
    assert f"{tag} {tag}" == messages[1]["content"][1]["text"]


def test_no_transcript_is_looked_up_without_a_tag_or_an_id():
    def never(transcript_id):
        raise AssertionError(transcript_id)

    for body in (chat("Hi", transcript_id="t1"), chat()):
        assert with_transcript(read_chat(body, SERVED), never).transcript is None


def test_prompt_tokens_count_every_four_characters_of_messages_and_tools():
    assert 3 == prompt_tokens(read_chat(chat("x" * 9), SERVED))
    assert prompt_tokens(read_chat(chat("x" * 9, tools=[WEATHER]), SERVED)) > 20

from __future__ import annotations

from typing import Any

import pytest

from aai_gateway.core.model_requests import require_readable, require_readable_headers
from aai_gateway.errors import InvalidRequest

HI = {"role": "user", "content": "hi"}
CHAT: dict[str, Any] = {"model": "assemblyai/gpt-5", "messages": [HI]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"messages": None},
        {"messages": [{"content": None, "tool_calls": [{"id": "a"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"text": "hi"}]}]},
        {"tools": [{"type": "function"}], "functions": []},
        {"input": "hi", "prompt": ["hi"]},
        {"input": [1, 2]},
        {"response_format": {"type": "json_object"}},
        {"response_format": None},
        {"timeout": 5, "stream_timeout": "5.5", "request_timeout": None},
        {"fallbacks": ["x"] * 20, "context_window_fallbacks": [{"a": ["x"] * 20}], "num_retries": 10},
        {"fallbacks": [{"model": "x", "messages": [HI] * 30}], "num_retries": None},
        {"temperature": "AssemblyAI is the judge of it", "max_tokens": -1},
    ],
)
def test_what_litellm_can_read_passes(changes: dict[str, Any]):
    require_readable({**CHAT, **changes}, names_model=False)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": None}, "model is required."),
        ({"model": ["a"]}, "model must be the name of one model."),
        ({"model": 5}, "model must be the name of one model."),
        ({"model": " "}, "model must be the name of one model."),
        ({"model": "a\0"}, "model must be the name of one model."),
        ({"messages": "hi"}, "messages must be an array of objects."),
        ({"messages": {"a": 1}}, "messages must be an array of objects."),
        ({"messages": [HI, 1]}, "messages must be an array of objects."),
        ({"messages": [HI, {"role": {}}]}, "messages[1].role must be a string."),
        ({"messages": [{"content": 5}]}, "messages[0].content must be a string or an array."),
        ({"messages": [{"content": {"a": 1}}]}, "messages[0].content must be a string or an array."),
        ({"messages": [{"content": ["x"]}]}, "messages[0].content[0] must be an object with a type."),
        ({"messages": [{"content": [{"type": 5}]}]}, "messages[0].content[0] must be an object with a type."),
        ({"messages": [{"tool_calls": "x"}]}, "messages[0].tool_calls must be an array of objects."),
        ({"tools": [1]}, "tools must be an array of objects."),
        ({"functions": 5}, "functions must be an array of objects."),
        ({"input": 5}, "input must be a string or an array."),
        ({"prompt": {"a": 1}}, "prompt must be a string or an array."),
        ({"response_format": "x"}, "response_format must be an object."),
        ({"timeout": "x"}, "timeout must be a number of seconds above 0."),
        ({"timeout": True}, "timeout must be a number of seconds above 0."),
        ({"timeout": -1}, "timeout must be a number of seconds above 0."),
        ({"stream_timeout": "nan"}, "stream_timeout must be a number of seconds above 0."),
        ({"fallbacks": ["x"] * 21}, "A request may name at most 20 fallbacks."),
        ({"context_window_fallbacks": [{"a": ["x"] * 21}]}, "A request may name at most 20 fallbacks."),
        ({"content_policy_fallbacks": [{"a": ["x"]}] * 21}, "A request may name at most 20 fallbacks."),
        ({"num_retries": 11}, "num_retries must be a number from 0 to 10."),
        ({"num_retries": "2"}, "num_retries must be a number from 0 to 10."),
        ({"num_retries": True}, "num_retries must be a number from 0 to 10."),
        ({"request_timeout": []}, "request_timeout must be a number of seconds above 0."),
    ],
)
def test_what_litellm_would_trip_over_is_named(changes: dict[str, Any], text: str):
    with pytest.raises(InvalidRequest) as caught:
        require_readable({**CHAT, **changes}, names_model=False)
    assert text == caught.value.text


def test_a_path_may_name_the_model():
    require_readable({"input": "hi"}, names_model=True)
    with pytest.raises(InvalidRequest):
        require_readable({"input": "hi", "model": 5}, names_model=True)


def test_litellms_headers_are_numbers():
    with pytest.raises(InvalidRequest, match="from 0 to 10"):
        require_readable_headers({"x-litellm-num-retries": "11"})
    require_readable_headers({"x-litellm-timeout": "5", "x-litellm-num-retries": "10", "x-other": "x"})
    for name in ("x-litellm-timeout", "x-litellm-stream-timeout", "x-litellm-num-retries"):
        for value in ("abc", "-1", "", "1e999", "\xff"):
            with pytest.raises(InvalidRequest) as caught:
                require_readable_headers({name: value})
            assert caught.value.text.startswith(f"{name} must be a number")

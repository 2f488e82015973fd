"""What the LLM Gateway's answers say about money, in the forms that have been seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aai_gateway.core.prices import TokenUsage
from aai_gateway.gateway.chat_answer import Answered, StreamReader, is_clear_refusal, read_answer

USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"usage": USAGE, "model": "m"}, Answered(TokenUsage(7, 3), "m", None)),
        (
            {"usage": {"input_tokens": 7, "output_tokens": 3, "prompt_tokens": None}, "model": None,
             "request": {"model": "r"}},
            Answered(TokenUsage(7, 3), None, "r"),
        ),
        ({"usage": None}, None),
        ({}, None),
        ([], None),
    ],
)  # fmt: skip
def test_a_whole_answer_is_read_under_every_name(answer: Any, expected: Answered | None) -> None:
    assert expected == read_answer(json.dumps(answer).encode())


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff"])
def test_what_is_no_json_says_nothing(body: bytes) -> None:
    assert read_answer(body) is None


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b"", True),
        (404, b'{"message": "transcript not found"}', True),
        (302, b"", True),
        (429, b"slow down", True),
        (500, b'{"error": "Server error"}', True),
        (503, b'{"code": 503, "message": "unavailable"}', True),
        (502, b"<html>Bad Gateway</html>", False),
        (504, b"", False),
        (500, b"{}", False),
        (200, b"{}", False),
    ],
)
def test_only_assemblyais_own_words_refuse_clearly(status: int, body: bytes, expected: bool) -> None:
    assert expected == is_clear_refusal(status, body)


def event(**chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n"


def choice(reason: str | None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": {}, "finish_reason": reason}]


def test_a_stream_is_followed_to_its_end_however_it_is_cut() -> None:
    whole = (
        b": ping\n\n"
        + event(choices=choice(None), usage={"prompt_tokens": 7, "completion_tokens": 1}, model="m")
        + event(choices=choice(None))
        + event(choices=choice("stop"), usage=USAGE, model="m")
        + event(choices=[], usage={**USAGE, "completion_tokens": 4}, model="m")
        + b"data: [DONE]\n\n"
    )
    for size in (1, 7, 64, len(whole)):
        reader = StreamReader()
        for start in range(0, len(whole), size):
            reader.feed(whole[start : start + size])

        assert Answered(TokenUsage(7, 4), "m", None) == reader.answered
        assert reader.is_ending and reader.is_over


def test_a_stream_says_how_far_it_is() -> None:
    reader = StreamReader()
    seen = []
    for piece in (
        event(choices=choice(None), usage=USAGE),
        event(choices=choice("end_turn")),
        b"data: not json\n\n",
        b"data: [DONE]\n\n",
    ):
        reader.feed(piece)
        seen.append((reader.answered is not None, reader.is_ending, reader.is_over))

    assert [(True, False, False), (True, True, False), (True, True, False), (True, True, True)] == seen

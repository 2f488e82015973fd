"""What the LLM Gateway's answers say about money: whole, streamed, and refused. Pure functions and readers.

AssemblyAI documentation, "LLM Gateway: Chat completions": the usage stands in a whole answer and, streamed,
on every chunk as it is so far; a stream ends with `data: [DONE]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from aai_gateway.core.prices import TokenUsage, token_usage_from


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer costs by its own account: tokens, and the names by which it may call its model.

    `model` is the answering one; `echoed` is that of the request that was answered, in answers without it.
    """

    tokens: TokenUsage
    model: str | None
    echoed: str | None


def read_answer(body: bytes) -> Answered | None:
    """A whole answer; None when it does not say what was used."""
    return _answered(_json_object(body))


def is_clear_refusal(status: int, body: bytes) -> bool:
    """Whether this answer says that no completion was made: a refusal, or AssemblyAI's own words for failure.

    What stands between may answer 502 or 504 while AssemblyAI is still at work, in words of its own.
    """
    if status < 500:
        return status >= 300
    answer = _json_object(body)
    return "error" in answer or "message" in answer


class StreamReader:
    """Follows a stream of server-sent events as it passes.

    `answered` is what the newest usage says. `is_ending` says that the answer is whole, `is_over` that
    nothing more comes.
    """

    def __init__(self) -> None:
        self.answered: Answered | None = None
        self.is_ending = False
        self.is_over = False
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Read on."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                self._event(line[len(b"data:") :].strip())

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.is_ending = self.is_over = True
            return
        chunk = _json_object(data)
        self.answered = _answered(chunk) or self.answered
        choices = chunk.get("choices")
        if isinstance(choices, list):
            self.is_ending |= any(isinstance(c, Mapping) and bool(c.get("finish_reason")) for c in choices)


def _answered(answer: Mapping[str, Any]) -> Answered | None:
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return None
    request = answer.get("request")
    return Answered(
        token_usage_from(usage),
        _text(answer.get("model")),
        _text(request.get("model")) if isinstance(request, Mapping) else None,
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

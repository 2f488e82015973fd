"""A chat model that says what it is told to: for what a well-behaved one never says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from aai_gateway.chat_client import ChatClient


class Scripted:
    """Answers in turn, texts or whole responses; keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | str) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.chat = ChatClient("http://gateway/v1", "sk-1", "model-x")
        self.chat._http = httpx.Client(transport=httpx.MockTransport(self._answer))

    @property
    def prompts(self) -> list[str]:
        """The last message of each request."""
        return [asked["messages"][-1]["content"] for asked in self.asked]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        answer = self.answers.pop(0)
        if isinstance(answer, httpx.Response):
            return answer
        if self.asked[-1].get("stream"):
            return streamed([answer])
        return httpx.Response(200, json={"choices": [{"message": {"content": answer}}]})


def streamed(pieces: Iterable[str], *, is_whole: bool = True) -> httpx.Response:
    """An answer that is streamed in these pieces, each read when it is wanted; cut off unless `is_whole`."""

    def events() -> Iterator[bytes]:
        for piece in pieces:
            yield f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n".encode()
        if is_whole:
            yield b"data: [DONE]\n\n"

    return httpx.Response(200, content=events())

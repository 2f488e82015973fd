"""From a checked request to a completion: the answer, its usage, and the bodies and chunks that carry them.

Sources: AssemblyAI's LLM Gateway specification (Response) and answers recorded from the service in June and
September 2026, which name the token counts differently.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aai_gateway.emulator.chat_request import (
    ChatRequest,
    Json,
    count_tokens,
    cut,
    last_user_text,
    message_tokens,
    prompt_tokens,
)
from aai_gateway.emulator.extractive import answer, read_prompt, tool_arguments

_REMEMBERED_PREFIXES = 512
_WORDS_PER_CHUNK = 5

# Finish reasons come as the provider says them; these are Anthropic's.
_CLAUDE_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}

UsageStyle = Literal["both", "input_output"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says: text, or a call of one tool with JSON arguments."""

    content: str | None
    tool: str | None
    arguments: str
    reason: Literal["stop", "length", "tool_calls"]

    @property
    def tokens(self) -> int:
        return count_tokens((self.content or "") + (self.tool or "") + self.arguments)

    @property
    def call_id(self) -> str:
        """An id for the tool call, the same for the same call."""
        return "call_" + hashlib.sha256(f"{self.tool} {self.arguments}".encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Prompt tokens read from the provider's prompt cache, and written to it for 5 minutes or 1 hour."""

    cached: int = 0
    written_5m: int = 0
    written_1h: int = 0


class PromptCache:
    """Which prompt prefixes a provider has seen: those that end in a message with `cache_control`.

    The newest 512 are kept; unlike the provider's, they do not grow old, so that a test needs no clock.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def use(self, chat: ChatRequest) -> CacheUse:
        """What this prompt reads and writes; its prefixes are remembered."""
        cached, end, ttl = 0, 0, "5m"
        running, digest = prompt_tokens(chat) - sum(map(message_tokens, chat.messages)), hashlib.sha256()
        digest.update(f"{chat.model.id} {json.dumps(chat.tools)}".encode())
        for message, plain in zip(chat.messages, chat.texts, strict=True):
            running += message_tokens(message)
            digest.update(f"\0{plain.role}\0{plain.text}\0{message.get('tool_calls')}".encode())
            control = _cache_control(message)
            if control is None:
                continue
            end, ttl = running, str(control.get("ttl", "5m"))
            if self._remember(digest.hexdigest()):
                cached = running
        written = end - cached
        return CacheUse(cached, 0, written) if ttl == "1h" else CacheUse(cached, written, 0)

    def _remember(self, prefix: str) -> bool:
        """Whether the prefix was seen before; now it was."""
        known = prefix in self._seen
        self._seen[prefix] = None
        self._seen.move_to_end(prefix)
        if len(self._seen) > _REMEMBERED_PREFIXES:
            self._seen.popitem(last=False)
        return known


def answer_chat(chat: ChatRequest) -> Answer:
    """The answer: a tool call where one is forced or named by the user, else text of at most `max_tokens`."""
    tool = _called_tool(chat)
    if tool is not None:
        arguments = tool_arguments(tool.get("parameters") or {}, last_user_text(chat.texts))
        return Answer(None, tool["name"], json.dumps(arguments, ensure_ascii=False), "tool_calls")
    text = answer(read_prompt(chat.texts, chat.transcript), chat.body.get("response_format"))
    kept = cut(text, chat.max_tokens)
    return Answer(kept, None, "", "stop" if kept == text else "length")


def usage_of(chat: ChatRequest, completion_tokens: int, cache: CacheUse) -> Json:
    """Token counts under OpenAI's names, as streamed chunks carry them."""
    prompt = prompt_tokens(chat)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": cache.cached,
            "audio_tokens": 0,
            "cache_creation": {
                "ephemeral_5m_input_tokens": cache.written_5m,
                "ephemeral_1h_input_tokens": cache.written_1h,
            },
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def completion_body(
    chat: ChatRequest,
    said: Answer,
    usage: Json,
    *,
    request_id: str,
    created: int,
    nanoseconds: int,
    style: UsageStyle,
) -> Json:
    """The body of an answer that is not streamed.

    `style` "both" gives the token counts under both names; "input_output" is the form of June 2026, in
    which `id`, `model`, `object`, `created` and OpenAI's names of the counts are null. `nanoseconds` is the
    response time.
    """
    counts = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    top: Json = {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": created,
        "model": chat.model.id,
    }
    if style == "input_output":
        top = dict.fromkeys(top)
        counts |= {"prompt_tokens": None, "completion_tokens": None}
    return {
        "request_id": request_id,
        **top,
        "choices": [{"index": 0, "message": _message(said), "finish_reason": _reason(chat, said)}],
        "request": chat.echo,
        "usage": {**usage, **counts},
        "http_status_code": 200,
        "response_time": nanoseconds,
        "llm_status_code": 200,
    }


def chunks(
    chat: ChatRequest, said: Answer, cache: CacheUse, *, request_id: str, created: int
) -> Iterator[Json]:
    """The chunks of a streamed answer: OpenAI's, usage so far on each, and at last one with only usage."""
    top = {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": chat.model.chunk_name,
    }
    sent = ""
    for delta, piece in _deltas(said):
        sent += piece
        usage = usage_of(chat, count_tokens(sent), cache)
        yield {**top, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], "usage": usage}
    usage = usage_of(chat, said.tokens, cache)
    yield {
        **top,
        "choices": [{"index": 0, "delta": {}, "finish_reason": _reason(chat, said)}],
        "usage": usage,
    }
    yield {**top, "choices": [], "usage": usage}


def _deltas(said: Answer) -> Iterator[tuple[Json, str]]:
    """What each chunk adds, and the text in it that counts as tokens."""
    if said.tool is None:
        yield {"role": "assistant", "content": ""}, ""
        yield from (({"content": piece}, piece) for piece in _split(said.content or ""))
        return
    function = {"name": said.tool, "arguments": ""}
    call = {"index": 0, "id": said.call_id, "type": "function", "function": function}
    yield {"role": "assistant", "content": None, "tool_calls": [call]}, said.tool
    for piece in _split(said.arguments):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, piece


def _split(text: str) -> Iterator[str]:
    words = re.findall(r"\s*\S+\s*", text)
    for start in range(0, len(words), _WORDS_PER_CHUNK):
        yield "".join(words[start : start + _WORDS_PER_CHUNK])


def _message(said: Answer) -> Json:
    message: Json = {"role": "assistant", "content": said.content}
    if said.tool is not None:
        function = {"name": said.tool, "arguments": said.arguments}
        message["tool_calls"] = [{"id": said.call_id, "type": "function", "function": function}]
    return message


def _reason(chat: ChatRequest, said: Answer) -> str:
    return _CLAUDE_REASONS[said.reason] if chat.model.id.startswith("claude-") else said.reason


def _called_tool(chat: ChatRequest) -> Json | None:
    """The function that `tool_choice` forces, or that the user's message, being the last, names."""
    choice = chat.body.get("tool_choice", "auto")
    functions: list[Json] = [tool["function"] for tool in chat.tools]
    if isinstance(choice, dict):
        return next(function for function in functions if function["name"] == choice["function"]["name"])
    if not functions or choice == "none" or chat.messages[-1]["role"] != "user":
        return None
    text = last_user_text(chat.texts).lower()
    named = next((function for function in functions if _is_named(str(function["name"]).lower(), text)), None)
    return functions[0] if named is None and choice == "required" else named


def _is_named(name: str, text: str) -> bool:
    return name in text or re.sub(r"[_-]", " ", name) in text


def _cache_control(message: Json) -> Json | None:
    """The `cache_control` of a message, or of its last part that has one."""
    content = message.get("content")
    holders: list[Json] = [message, *(reversed(content) if isinstance(content, list) else ())]
    controls = (holder.get("cache_control") for holder in holders)
    return next((dict(control) for control in controls if isinstance(control, dict)), None)

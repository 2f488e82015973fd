"""What `POST /v1/chat/completions` takes and refuses: pure functions over the request's JSON body.

Sources: AssemblyAI's LLM Gateway specification (LLMGatewayRequest) and refusals recorded from the service. A
field that the gateway knows and the model does not take is refused; one that the gateway does not know, like
`top_p` or `seed`, is ignored. Where only the kind of a refusal is known, its text is the emulator's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aai_gateway.emulator.catalogue import Model
from aai_gateway.emulator.extractive import Message

TAG = "{{ transcript }}"

_DEFAULT_MAX_TOKENS = 1000
_CHARS_PER_TOKEN = 4
_ROLES = ("user", "assistant", "system", "tool")
_GATED = ("temperature", "tools", "tool_choice", "response_format", "stream")
_REASONING = ("reasoning_effort", "reasoning", "thinking")

Json = dict[str, Any]


class ChatError(Exception):
    """A request that the LLM Gateway turns away with `status` and its `{"code", "message", …}` body."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.errors = [message] if errors is None else list(errors)

    def body(self, request_id: str) -> Json:
        """The error body; only a refused request (400) carries `metadata`."""
        body: Json = {"request_id": request_id, "message": str(self), "code": self.status}
        return {**body, "metadata": {"errors": self.errors}} if self.status == 400 else body


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that `model` can take, with `messages` as they were sent."""

    body: Json
    model: Model
    messages: tuple[Json, ...]
    max_tokens: int
    transcript: str | None = None
    """The text that stands in `messages` for `{{ transcript }}`, once it was put in."""

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def is_global(self) -> bool:
        return self.body.get("model_region") == "global"

    @property
    def tools(self) -> list[Json]:
        return self.body.get("tools") or []

    @property
    def echo(self) -> Json:
        """The request as answers repeat it: without its prompt and messages."""
        return {name: value for name, value in self.body.items() if name not in ("messages", "prompt")}

    @property
    def texts(self) -> list[Message]:
        """The messages as roles and plain text."""
        return [Message(message["role"], content_text(message.get("content"))) for message in self.messages]


def read_chat(body: Any, served: Mapping[str, Model]) -> ChatRequest:
    """Check a body against the specification and the models that are `served`. Raises ChatError (400)."""
    if not isinstance(body, dict):
        raise ChatError("request body must be a JSON object")
    body = {name: value for name, value in body.items() if value is not None}
    model = _model(body.get("model"), served)
    messages = _messages(body)
    _check_values(body)
    _check_support(body, model)
    _check_tools(body)
    return ChatRequest(body, model, messages, _max_tokens(body))


def attempts(body: Json) -> list[Json]:
    """The bodies to try in order: the request's own, then its `fallbacks` as deep as allowed.

    A fallback's fields replace the request's. Raises ChatError for fallbacks that make no sense.
    """
    fallbacks, config = body.get("fallbacks") or [], body.get("fallback_config") or {}
    is_list = isinstance(fallbacks, list)
    if not is_list or not all(isinstance(item, dict) and item.get("model") for item in fallbacks):
        raise ChatError("fallbacks must be a list of objects, each with a model")
    depth = config.get("depth", 1) if isinstance(config, dict) else 0
    if depth not in (1, 2):
        raise ChatError("fallback_config.depth must be 1 or 2")
    return [body, *({**body, **fallback} for fallback in fallbacks[:depth])]


def retries(body: Json) -> bool:
    """Whether a failed first attempt is made again: `fallback_config.retry`, on unless it is switched off."""
    return bool((body.get("fallback_config") or {}).get("retry", True))


def with_transcript(chat: ChatRequest, transcript_text: Callable[[str], str | None]) -> ChatRequest:
    """Put the transcript's text for the first `{{ transcript }}` of the first message that has one.

    Without the tag, or without `transcript_id`, nothing is looked up. Raises ChatError (404) for an unknown
    id.
    """
    transcript_id = chat.body.get("transcript_id")
    place = next((n for n, message in enumerate(chat.texts) if TAG in message.text), None)
    if transcript_id is None or place is None:
        return chat
    text = transcript_text(str(transcript_id))
    if text is None:
        raise ChatError("transcript not found", status=404)
    messages = list(chat.messages)
    messages[place] = {**messages[place], "content": _put(messages[place]["content"], text)}
    return ChatRequest(chat.body, chat.model, tuple(messages), chat.max_tokens, text)


def check_length(chat: ChatRequest) -> None:
    """Raise ChatError (400) for a prompt that the model's context cannot hold."""
    tokens = prompt_tokens(chat)
    if tokens > chat.model.context:
        raise ChatError(f"prompt is too long: {tokens} tokens > {chat.model.context} maximum")


def content_text(content: Any) -> str:
    """A message's content as one text; it is a string, text parts, or nothing (an assistant's tool call)."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content)
    return content or ""


def count_tokens(text: str) -> int:
    """Tokens as the emulator counts them: one for every four characters begun."""
    return -(-len(text) // _CHARS_PER_TOKEN)


def message_tokens(message: Json) -> int:
    """Tokens of one message: its text, and the tool calls that it repeats."""
    calls = message.get("tool_calls")
    return count_tokens(content_text(message.get("content"))) + (
        count_tokens(json.dumps(calls)) if calls else 0
    )


def prompt_tokens(chat: ChatRequest) -> int:
    """Tokens of the whole prompt: messages and tool definitions."""
    tools = count_tokens(json.dumps(chat.tools)) if chat.tools else 0
    return tools + sum(message_tokens(message) for message in chat.messages)


def cut(text: str, tokens: int) -> str:
    """The first `tokens` tokens of `text`."""
    return text[: tokens * _CHARS_PER_TOKEN]


def _put(content: Any, text: str) -> Any:
    if isinstance(content, str):
        return content.replace(TAG, text, 1)
    parts = list(content)
    place = next(n for n, part in enumerate(parts) if TAG in part["text"])
    parts[place] = {**parts[place], "text": parts[place]["text"].replace(TAG, text, 1)}
    return parts


def _model(name: Any, served: Mapping[str, Model]) -> Model:
    if not isinstance(name, str) or not name:
        raise ChatError("model is required")
    model = served.get(name)
    if model is None:
        raise ChatError("Your account does not have access to this LLM Gateway model")
    return model


def _messages(body: Json) -> tuple[Json, ...]:
    messages, prompt = body.get("messages"), body.get("prompt")
    if not messages and isinstance(prompt, str) and prompt:
        return ({"role": "user", "content": prompt},)
    if not isinstance(messages, list) or not messages:
        raise ChatError("messages or prompt is required")
    for place, message in enumerate(messages):
        _check_message(message, f"messages[{place}]")
    return tuple(messages)


def _check_message(message: Any, name: str) -> None:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise ChatError(f"{name}.role must be one of {', '.join(_ROLES)}")
    content = message.get("content")
    if content is None and message["role"] == "assistant" and message.get("tool_calls"):
        return
    parts = content if isinstance(content, list) else []
    is_text = all(
        isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str) for p in parts
    )
    if not isinstance(content, str | list) or not is_text:
        raise ChatError(f"{name}.content must be a string or a list of text parts")
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise ChatError(f"{name}.tool_call_id is required")


def _check_values(body: Json) -> None:
    temperature = body.get("temperature", 0)
    if not _is_number(temperature) or not 0 <= temperature <= 2:
        raise ChatError("temperature must be between 0 and 2")
    if not isinstance(body.get("stream", False), bool):
        raise ChatError("stream must be a boolean")
    if body.get("model_region", "global") != "global":
        raise ChatError("model_region must be 'global'")
    steps = body.get("post_processing_steps", [])
    if not isinstance(steps, list) or not all(isinstance(step, dict) and "type" in step for step in steps):
        raise ChatError("post_processing_steps must be a list of objects, each with a type")


def _max_tokens(body: Json) -> int:
    tokens = body.get("max_tokens", body.get("max_completion_tokens", _DEFAULT_MAX_TOKENS))
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
        raise ChatError("max_tokens must be an integer of 1 or more")
    return tokens


def _check_support(body: Json, model: Model) -> None:
    asked = [name for name in _GATED if body.get(name) not in (None, False, [])]
    unsupported = [name for name in asked if name not in model.supported_parameters]
    unsupported += [name for name in _REASONING if name in body and not model.reasons]
    if unsupported:
        raise ChatError(f"model {model.id} does not support {unsupported[0]}")


def _check_tools(body: Json) -> None:
    tools = body.get("tools", [])
    if not isinstance(tools, list) or not all(_is_function(tool) for tool in tools):
        raise ChatError("tools must be a list of functions, each with a name")
    choice = body.get("tool_choice")
    names = [tool["function"]["name"] for tool in tools]
    if isinstance(choice, dict) and (not _is_function(choice) or choice["function"]["name"] not in names):
        raise ChatError("tool_choice names no function of tools")
    if choice is not None and not isinstance(choice, dict) and choice not in ("none", "auto", "required"):
        raise ChatError("tool_choice must be none, auto, required or a function")
    _check_response_format(body.get("response_format"))


def _check_response_format(wanted: Any) -> None:
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise ChatError("response_format.type must be json_schema")
    config = wanted.get("json_schema")
    if kind == "json_schema" and not (isinstance(config, dict) and isinstance(config.get("schema"), dict)):
        raise ChatError("response_format.json_schema.schema is required")


def _is_function(value: Any) -> bool:
    function = value.get("function") if isinstance(value, dict) else None
    return (
        isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and value.get("type") == "function"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def last_user_text(messages: Sequence[Message]) -> str:
    """The text of the newest user message, or nothing."""
    return next((message.text for message in reversed(messages) if message.role == "user"), "")

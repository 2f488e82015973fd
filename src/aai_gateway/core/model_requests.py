"""The form of a request to a model, as far as LiteLLM takes it for granted.

LiteLLM reads the body of a chat, a response or an embedding without looking at its types, and what it trips
over ends in a 500. The judge of a parameter's value is AssemblyAI; here is only what must hold for the
parameter to get there (OpenAI API reference, "Chat", "Responses", "Embeddings").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aai_gateway.errors import InvalidRequest

MOST_FALLBACKS = 20
"""Models that one request may fall back to, by LiteLLM or at AssemblyAI. Each may be a request of its own,
and what each may cost is estimated from the whole prompt."""
MOST_RETRIES = 10

_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_SECONDS = ("timeout", "request_timeout", "stream_timeout")
_TEXT_OR_LIST = ("input", "prompt")
_OBJECTS = ("messages", "tools", "functions")


def require_readable(data: Mapping[str, Any], *, names_model: bool) -> None:
    """Raise InvalidRequest for a body that LiteLLM cannot read. `names_model`: the path names the model."""
    model = data.get("model")
    if model is None and not names_model:
        raise InvalidRequest("model is required.")
    if model is not None and (not isinstance(model, str) or not model.strip() or not model.isprintable()):
        raise InvalidRequest("model must be the name of one model.")
    for name in _OBJECTS:
        _require_objects(name, data.get(name))
    for name in _TEXT_OR_LIST:
        if not isinstance(data.get(name), str | list | None):
            raise InvalidRequest(f"{name} must be a string or an array.")
    if not isinstance(data.get("response_format"), Mapping | None):
        raise InvalidRequest("response_format must be an object.")
    for name in _SECONDS:
        if not _is_seconds(data.get(name)):
            raise InvalidRequest(f"{name} must be a number of seconds above 0.")
    for name in _FALLBACKS:
        _require_few_fallbacks(data.get(name))
    retries = data.get("num_retries")
    if retries is not None and (type(retries) is not int or not 0 <= retries <= MOST_RETRIES):
        raise InvalidRequest(f"num_retries must be a number from 0 to {MOST_RETRIES}.")
    for position, message in enumerate(data.get("messages") or ()):
        _require_message(f"messages[{position}]", message)


def require_readable_headers(headers: Mapping[str, str]) -> None:
    """Raise InvalidRequest for a header of LiteLLM's that is no number. Names are in lower case."""
    for name in ("x-litellm-timeout", "x-litellm-stream-timeout"):
        if not _is_seconds(headers.get(name)):
            raise InvalidRequest(f"{name} must be a number of seconds above 0.")
    retries = headers.get("x-litellm-num-retries", "0")
    if not (retries.isascii() and retries.isdigit() and len(retries) < 4 and int(retries) <= MOST_RETRIES):
        raise InvalidRequest(f"x-litellm-num-retries must be a number from 0 to {MOST_RETRIES}.")


def _require_few_fallbacks(value: Any) -> None:
    if isinstance(value, list) and sum(map(_named_by, value)) > MOST_FALLBACKS:
        raise InvalidRequest(f"A request may name at most {MOST_FALLBACKS} fallbacks.")


def _named_by(fallback: Any) -> int:
    """How many models an entry names: one, or `{"of this model": ["these", "models"]}`."""
    lists = fallback.values() if isinstance(fallback, Mapping) else ()
    return max(1, sum(isinstance(name, str) for found in lists if isinstance(found, list) for name in found))


def _require_message(name: str, message: Mapping[str, Any]) -> None:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str | None):
        raise InvalidRequest(f"{name}.role must be a string.")
    if isinstance(content, list):
        for position, part in enumerate(content):
            if not isinstance(part, Mapping) or not isinstance(part.get("type"), str | None):
                raise InvalidRequest(f"{name}.content[{position}] must be an object with a type.")
    elif not isinstance(content, str | None):
        raise InvalidRequest(f"{name}.content must be a string or an array.")
    _require_objects(f"{name}.tool_calls", message.get("tool_calls"))


def _require_objects(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise InvalidRequest(f"{name} must be an array of objects.")


def _is_seconds(value: Any) -> bool:
    """Whether it is nothing, or a number above 0, or one as text."""
    if value is None:
        return True
    try:
        return not isinstance(value, bool) and 0 < float(value) < math.inf
    except (TypeError, ValueError):
        return False

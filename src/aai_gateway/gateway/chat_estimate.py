"""How many tokens a chat request is likely to cost at most, before it is sent: what is held for it.

No tokenizer is asked: the models of a dozen makers have as many, and a hold only has to be enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from aai_gateway.core.prices import PriceBook, TokenUsage, price_chat
from aai_gateway.core.regions import Region
from aai_gateway.gateway import chat_request

DEFAULT_MAX_TOKENS = 1000
"""What a completion may have when nothing is said (AssemblyAI documentation, "Chat completions")."""
TRANSCRIPT_TAG = b"{{ transcript }}"
"""Where AssemblyAI puts a transcript's text, once, when the request has a `transcript_id`."""

_PROMPT = ("messages", "prompt", "input", "instructions", "system", "tools", "functions", "response_format")
"""Parameters that go into a prompt, by the names of every route."""
_LONGEST = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_BYTES_PER_TOKEN = 3
_TOKENS_PER_PROMPT = 16
_SPOKEN_TOKENS_PER_SECOND = 4.5  # 3 words a second, 1.5 tokens a word


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one model might be charged for: AssemblyAI's name of it, and tokens by kind."""

    model: str
    is_global: bool
    tokens: TokenUsage


def dearest(
    book: PriceBook,
    region: Region,
    model: str,
    data: Mapping[str, Any],
    *,
    transcript_seconds: int,
    at: datetime,
) -> Estimate:
    """The dearest way in which this request may be answered: by `model`, or by one of its fallbacks.

    `transcript_seconds` is the length of the audio whose text takes the place of the tag.
    """
    names = ((model, chat_request.wants_global(data)), *_fallback_names(data))
    estimates = [
        Estimate(name, is_global, _tokens(book, name, attempt, transcript_seconds))
        for (name, is_global), attempt in zip(names, _attempts(data), strict=True)
    ]

    def micros(estimate: Estimate) -> int:
        tokens, is_global = estimate.tokens, estimate.is_global
        return price_chat(book, region, estimate.model, tokens, global_region=is_global, at=at).micros

    return max(estimates, key=micros)


def _fallback_names(data: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    return tuple((fallback.model, fallback.is_global) for fallback in chat_request.fallbacks(data))


def _attempts(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The request as it is sent, and as each of its fallbacks changes it."""
    request = {**data, **(data.get("extra_body") or {})}
    return [request, *({**request, **entry} for entry in chat_request.fallback_entries(data))]


def _tokens(book: PriceBook, model: str, request: Mapping[str, Any], seconds: int) -> TokenUsage:
    prompt = _json(request)
    count = -(-len(prompt) // _BYTES_PER_TOKEN) + _TOKENS_PER_PROMPT
    if TRANSCRIPT_TAG in prompt:
        count += int(seconds * _SPOKEN_TOKENS_PER_SECOND) + 1
    written = count if b'"cache_control":' in prompt else 0
    an_hour = b'"ttl":"1h"' in prompt
    return TokenUsage(
        prompt=count,
        completion=max(1, _count(request, "n")) * _longest_answer(book, model, request),
        cache_write_5m=0 if an_hour else written,
        cache_write_1h=written if an_hour else 0,
    )


def _longest_answer(book: PriceBook, model: str, request: Mapping[str, Any]) -> int:
    """Tokens of one answer, reasoning included; no more than the model's context, where it is known."""
    asked = max(_count(request, name) for name in _LONGEST) or DEFAULT_MAX_TOKENS
    entry = book.chat_models.get(book.chat_aliases.get(model, model))
    return asked if entry is None else min(asked, entry.context)


def _count(request: Mapping[str, Any], name: str) -> int:
    """A whole number of the request, or 0 for what AssemblyAI will refuse."""
    value = request.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _json(request: Mapping[str, Any]) -> bytes:
    """What goes into the prompt, as JSON: nearly as many bytes as the text alone has."""
    prompt = {name: request[name] for name in _PROMPT if request.get(name) is not None}
    try:
        return orjson.dumps(prompt, default=str)
    except TypeError:  # too deep or too large numbers for orjson: only the size counts
        return str(prompt).encode("utf-8", "replace")

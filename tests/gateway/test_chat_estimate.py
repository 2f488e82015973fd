"""What is held for a chat request: enough for its longest answer by the dearest of its models."""

from __future__ import annotations

from typing import Any

import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.prices import TokenUsage, price_chat
from aai_gateway.core.regions import Region
from aai_gateway.gateway.chat_estimate import Estimate, dearest
from aai_gateway.price_book import load_price_book

BOOK = load_price_book()
HELLO = [{"role": "user", "content": "Hello."}]
TAGGED = [{"role": "user", "content": "Sum up.\n{{ transcript }}"}]


def estimate(model: str = "claude-sonnet-4-6", seconds: int = 0, **data: Any) -> Estimate:
    data = {"messages": HELLO, **data}
    return dearest(BOOK, Region.US, model, data, transcript_seconds=seconds, at=utc_now())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, 1000),
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 60}, 60),
        ({"max_output_tokens": 70}, 70),
        ({"max_tokens": 50, "max_completion_tokens": 60}, 60),
        ({"extra_body": {"max_tokens": 80}}, 80),
        ({"max_tokens": 50, "n": 3}, 150),
        ({"max_tokens": "many"}, 1000),
        ({"max_tokens": -1}, 1000),
        ({"max_tokens": True}, 1000),
        ({"max_tokens": 10**9}, BOOK.chat_models["claude-sonnet-4-6"].context),
        ({"model": "unknown", "max_tokens": 10**9}, 10**9),
    ],
)
def test_the_longest_answer_is_held(data: dict[str, Any], expected: int) -> None:
    assert expected == estimate(**data).tokens.completion


@pytest.mark.parametrize(
    "text", ["Hello. " * 500, "Grüße aus Köln! " * 300, "你好世界" * 200, "{}[]()!?" * 99]
)
def test_a_prompt_is_held_with_a_token_for_every_three_bytes(text: str) -> None:
    tokens = estimate(messages=[{"role": "user", "content": text}]).tokens.prompt

    assert len(text.encode()) / 3 < tokens < len(text.encode()) / 3 + 60


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f" * 300}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "s" * 300}}},
        {"extra_body": {"tools": [{"function": {"name": "f" * 300}}]}},
        {"instructions": "i" * 300},
        {"system": "s" * 300},
        {"messages": [{"role": "user", "content": object()}, {"role": "user", "content": "x" * 300}]},
        {"input": [2**70, "i" * 300]},  # more than JSON's integers
    ],
)
def test_all_that_goes_into_the_prompt_counts(more: dict[str, Any]) -> None:
    assert estimate(**more).tokens.prompt >= 100 + len("Hello.") / 3


def test_a_transcript_counts_where_its_tag_stands() -> None:
    without = estimate(messages=TAGGED).tokens.prompt

    assert without + 4500 == estimate(messages=TAGGED, seconds=1000).tokens.prompt
    assert estimate().tokens == estimate(seconds=1000).tokens


@pytest.mark.parametrize(
    ("control", "kind"),
    [({"type": "ephemeral"}, "cache_write_5m"), ({"type": "ephemeral", "ttl": "1h"}, "cache_write_1h")],
)
def test_what_may_be_written_to_a_cache_is_held_at_its_price(control: dict[str, str], kind: str) -> None:
    part = {"type": "text", "text": "Hello.", "cache_control": control}

    tokens = estimate(messages=[{"role": "user", "content": [part]}]).tokens

    assert tokens.prompt == getattr(tokens, kind)


def test_text_about_caches_is_no_cache() -> None:
    told = estimate(messages=[{"role": "user", "content": '{"cache_control": {"ttl": "1h"}}'}])

    assert TokenUsage(told.tokens.prompt, 1000) == told.tokens


def test_the_dearest_of_a_request_and_its_fallbacks_counts() -> None:
    cheap = {"model": "gemini-2.5-flash-lite"}

    assert "claude-sonnet-4-6" == estimate(fallbacks=[cheap]).model
    assert (
        "claude-sonnet-4-6"
        == estimate("gemini-2.5-flash-lite", fallbacks=[{"model": "claude-sonnet-4-6"}]).model
    )
    longer = estimate(fallbacks=[{**cheap, "max_tokens": 60_000}])
    assert ("gemini-2.5-flash-lite", 60_000) == (longer.model, longer.tokens.completion)


def test_a_fallback_may_be_dearer_by_its_region_alone() -> None:
    found = estimate(model_region="global", fallbacks=[{"model": "claude-sonnet-4-6", "model_region": None}])

    assert ("claude-sonnet-4-6", False) == (found.model, found.is_global)


def test_an_unknown_model_is_held_at_the_highest_prices() -> None:
    found, now = estimate("not-heard-of"), utc_now()
    cost = price_chat(BOOK, Region.US, found.model, found.tokens, global_region=found.is_global, at=now)
    known = estimate()

    assert (
        cost.micros
        >= price_chat(BOOK, Region.US, known.model, known.tokens, global_region=False, at=now).micros
    )

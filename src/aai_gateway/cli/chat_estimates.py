"""What completions are likely to cost, before any is asked for, or where the gateway did not say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from aai_gateway.cli.client_options import spent
from aai_gateway.core.budgets import dollars
from aai_gateway.core.prices import TokenUsage, price_chat
from aai_gateway.core.regions import Region, region_of_model
from aai_gateway.core.token_estimates import estimated_tokens
from aai_gateway.price_book import load_price_book

if TYPE_CHECKING:
    from aai_gateway.chat_client import ChatAnswer


def priced(model: str, region: Region, prompt_tokens: int, completion_tokens: int) -> int:
    """Micro-dollars of a completion by this package's price book: the gateway's own may be newer."""
    named = region_of_model(model)
    bare = named[1] if named is not None else model
    usage, now = TokenUsage(prompt_tokens, completion_tokens), datetime.now(timezone.utc)
    return price_chat(load_price_book(), region, bare, usage, global_region=False, at=now).micros


def estimated(model: str, region: Region, prompts: Iterable[str], completion_tokens: int) -> tuple[int, int]:
    """Prompt tokens and micro-dollars of `prompts`, each answered with so many tokens."""
    tokens = [estimated_tokens(prompt) for prompt in prompts]
    return sum(tokens), sum(priced(model, region, count, completion_tokens) for count in tokens)


def spent_about(answers: Sequence[ChatAnswer], model: str, region: Region) -> str:
    """What `spent` says; about what it cost where the gateway did not say, as for a streamed answer."""
    line = spent(answers)
    if all(answer.cost is not None for answer in answers):
        return line
    micros = sum(priced(model, region, one.prompt_tokens, one.completion_tokens) for one in answers)
    return f"{line}, about {dollars(micros)}"

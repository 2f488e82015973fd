"""What a chat completion costs, and which chat models a region offers at which price.

AssemblyAI documentation, "LLM Gateway: Models": tokens are charged by kind (input, cached input, cache
writes, output), with a surcharge on most models unless the request says `model_region: "global"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from aai_gateway.core.costs import FALLBACK, Cost, line_item
from aai_gateway.core.price_book import ChatEntry, ChatTerms, PriceBook, TokenPrices, in_force, surcharge
from aai_gateway.core.regions import Region


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of a completion by kind. `prompt` counts all input, cached and cache-written tokens included."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens of each kind, as charged: where a cache has no price, the input price."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    cache_write_1h: Decimal


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A chat model as one region offers it: context in tokens, and its rates.

    `in_region` holds for a plain request, `list_price` for one that says `model_region: "global"`.
    """

    id: str
    region: Region
    context: int
    supported_parameters: tuple[str, ...]
    in_region: Rates
    list_price: Rates


def token_usage_from(usage: Mapping[str, Any]) -> TokenUsage:
    """Read the `usage` of the LLM Gateway or of LiteLLM, under either naming scheme; null counts as absent.

    AssemblyAI documentation, "LLM Gateway: Chat completions": `prompt_tokens` or `input_tokens`,
    `completion_tokens` or `output_tokens`, and caches in `prompt_tokens_details`. LiteLLM may give caches as
    `cache_read_input_tokens` and `cache_creation_input_tokens`; a write of unknown life counts as 5 minutes.
    """
    details = _mapping(usage.get("prompt_tokens_details"))
    split = _mapping(details.get("cache_creation")) or _mapping(details.get("cache_creation_token_details"))
    written = max(
        _count(usage, "cache_creation_input_tokens"),
        _count(details, "cache_creation_tokens", "cache_write_tokens"),
    )
    hour = _count(split, "ephemeral_1h_input_tokens")
    return TokenUsage(
        prompt=_count(usage, "prompt_tokens", "input_tokens"),
        completion=_count(usage, "completion_tokens", "output_tokens"),
        cached=max(_count(details, "cached_tokens"), _count(usage, "cache_read_input_tokens")),
        cache_write_5m=max(_count(split, "ephemeral_5m_input_tokens"), written - hour),
        cache_write_1h=hour,
    )


def price_chat(
    book: PriceBook, region: Region, model: str, usage: TokenUsage, *, global_region: bool, at: datetime
) -> Cost:
    """What a completion of `model` (AssemblyAI's name, without a prefix) in `region` costs.

    `global_region` says that the request asked for `model_region: "global"`, which has no surcharge. A line
    for each kind of token that occurred. An unknown model costs the highest known price of each kind.
    """
    entry = book.chat_models.get(book.chat_aliases.get(model, model))
    terms = entry.terms if entry is not None else book.fallback_chat
    rates = _in_region(book, region, terms, at) if not global_region else _list_price(region, terms, at)
    unknown = entry is None
    items = tuple(
        line_item(name, tokens, "token", rate, fallback=unknown)
        for name, tokens, rate in _token_lines(usage, rates)
        if tokens
    )
    return Cost(items=items, model=model, priced_as=FALLBACK if unknown else None)


def chat_models(book: PriceBook, region: Region, at: datetime) -> tuple[ChatModel, ...]:
    """The chat models with a price that `region` offers at `at`, for LiteLLM's registry and for lists."""
    today = at.astimezone(timezone.utc).date()
    return tuple(
        _chat_model(book, region, name, entry, at)
        for name, entry in book.chat_models.items()
        if region in entry.regions and (entry.retires is None or today < entry.retires)
    )


def _chat_model(book: PriceBook, region: Region, name: str, entry: ChatEntry, at: datetime) -> ChatModel:
    return ChatModel(
        id=name,
        region=region,
        context=entry.context,
        supported_parameters=entry.parameters,
        in_region=_in_region(book, region, entry.terms, at),
        list_price=_list_price(region, entry.terms, at),
    )


def _in_region(book: PriceBook, region: Region, terms: ChatTerms, at: datetime) -> Rates:
    return _rates(in_force(terms.prices[region], at), 1 + surcharge(book, region, terms, at))


def _list_price(region: Region, terms: ChatTerms, at: datetime) -> Rates:
    return _rates(in_force(terms.prices[region], at), Decimal(1))


def _rates(prices: TokenPrices, factor: Decimal) -> Rates:
    def cache(price: Decimal | None) -> Decimal:
        return (prices.input if price is None else price) * factor

    return Rates(
        input=prices.input * factor,
        output=prices.output * factor,
        cache_read=cache(prices.cache_read),
        cache_write=cache(prices.cache_write),
        cache_write_1h=cache(prices.cache_write_1h),
    )


def _token_lines(usage: TokenUsage, rates: Rates) -> Iterator[tuple[str, int, Decimal]]:
    fresh = usage.prompt - usage.cached - usage.cache_write_5m - usage.cache_write_1h
    yield "input", max(0, fresh), rates.input
    yield "cache_read", usage.cached, rates.cache_read
    yield "cache_write_5m", usage.cache_write_5m, rates.cache_write
    yield "cache_write_1h", usage.cache_write_1h, rates.cache_write_1h
    yield "output", usage.completion, rates.output


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(values: Mapping[str, Any], *names: str) -> int:
    """The largest of the numbers of tokens under `names`: one is null or 0 where the other scheme is used."""
    return max((n for name in names if isinstance(n := values.get(name), int) and n > 0), default=0)

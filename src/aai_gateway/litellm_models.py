"""AssemblyAI's chat models for LiteLLM: `import aai_gateway.litellm_models`, and LiteLLM knows them.

After it, `litellm.completion("assemblyai/claude-sonnet-4-6", …)` has a cost, and `transcript_id`, tools,
`reasoning_effort` and `cache_control` reach AssemblyAI's LLM Gateway. The gateway registers them by the same
import. Nothing of LiteLLM's proxy is loaded. AssemblyAI's `fallbacks` go in `extra_body` in a script: LiteLLM
has a parameter of that name.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import litellm
from litellm.llms.openai.chat.gpt_transformation import OpenAIGPTConfig

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.prices import ChatModel, PriceBook, Rates, chat_models
from aai_gateway.core.regions import ALL_REGIONS
from aai_gateway.price_book import load_price_book

PROVIDER = "assemblyai"
GLOBAL_PREFIX = f"{PROVIDER}/global/"
"""Names under which a model's list price (`model_region: "global"`) is registered."""


def register(book: PriceBook | None = None) -> None:
    """Give LiteLLM the prices and abilities of the chat models, and let their parameters through.

    By `book`, or the package's price book. Called again, the newer prices take the place of the older ones. A
    model that only one region offers is known in both: the other region's LLM Gateway refuses it itself.
    Raises PriceError.
    """
    book, now = book or load_price_book(), utc_now()
    known: dict[str, dict[str, Any]] = {}
    for region in ALL_REGIONS:
        for model in chat_models(book, region, now):
            known.setdefault(f"{PROVIDER}/{model.id}", _model_info(model, model.in_region))
            known.setdefault(f"{GLOBAL_PREFIX}{model.id}", _model_info(model, model.list_price))
    litellm.register_model(known)
    litellm.models_by_provider[PROVIDER] = {name for name in known if not name.startswith(GLOBAL_PREFIX)}
    if PROVIDER not in litellm.openai_compatible_providers:
        litellm.openai_compatible_providers.append(PROVIDER)
    _keep_cache_control()


def _model_info(model: ChatModel, rates: Rates) -> dict[str, Any]:
    return {
        "litellm_provider": PROVIDER,
        "mode": "chat",
        "max_input_tokens": model.context,
        "input_cost_per_token": _per_token(rates.input),
        "output_cost_per_token": _per_token(rates.output),
        "cache_read_input_token_cost": _per_token(rates.cache_read),
        "cache_creation_input_token_cost": _per_token(rates.cache_write),
        "cache_creation_input_token_cost_above_1hr": _per_token(rates.cache_write_1h),
        # What a model cannot do, the LLM Gateway says itself: LiteLLM shall not refuse or drop it.
        "supports_function_calling": True,
        "supports_tool_choice": True,
        "supports_parallel_function_calling": True,
        "supports_response_schema": True,
        "supports_reasoning": True,
        "supports_system_messages": True,
    }


def _per_token(usd_per_million: Decimal) -> float:
    # LiteLLM counts in floats; our own ledger does not use these.
    return float(usd_per_million / 1_000_000)


def _keep_cache_control() -> None:
    """Leave `cache_control` in AssemblyAI's messages and tools: LiteLLM removes it for most providers."""
    removing = OpenAIGPTConfig.remove_cache_control_flag_from_messages_and_tools
    if getattr(removing, "spares_assemblyai", False):
        return

    def sparing(self: Any, model: str, messages: list[Any], tools: list[Any] | None = None) -> Any:
        if getattr(self, "custom_llm_provider", None) == PROVIDER:
            return messages, tools
        return removing(self, model, messages, tools)

    sparing.spares_assemblyai = True  # type: ignore[attr-defined]  # marks it as done
    OpenAIGPTConfig.remove_cache_control_flag_from_messages_and_tools = sparing


register()

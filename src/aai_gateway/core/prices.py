"""What AssemblyAI's services cost: the module that the rest of the package imports prices from.

`speech_prices` and `chat_prices` hold the rules, `price_book` the dated prices, `costs` the arithmetic.
"""

from __future__ import annotations

from aai_gateway.core.chat_prices import (
    ChatModel,
    Rates,
    TokenUsage,
    chat_models,
    price_chat,
    token_usage_from,
)
from aai_gateway.core.costs import FALLBACK, Cost, LineItem, line_item
from aai_gateway.core.price_book import PriceBook
from aai_gateway.core.speech_prices import (
    SpeechJob,
    billable_options,
    price_speech,
    price_understanding,
    require_few_names,
    speech_job_from,
    understanding_addons,
)

__all__ = [
    "FALLBACK",
    "ChatModel",
    "Cost",
    "LineItem",
    "PriceBook",
    "Rates",
    "SpeechJob",
    "TokenUsage",
    "billable_options",
    "chat_models",
    "line_item",
    "price_chat",
    "price_speech",
    "price_understanding",
    "require_few_names",
    "speech_job_from",
    "token_usage_from",
    "understanding_addons",
]

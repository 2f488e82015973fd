"""The body of `GET /v1/models`: what a region serves and what that costs now, as AssemblyAI's live catalogue
says it.
"""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from aai_gateway.emulator.catalogue import Model
from aai_gateway.emulator.price_list import PriceList

# The documentation names no completion limit; the field is required in an item.
_MAX_COMPLETION_TOKENS = 65536


def models_body(region: str, prices: PriceList) -> dict[str, Any]:
    """The models that `region` ("us" or "eu") serves, at `prices`."""
    return {
        "object": "list",
        "data": [_item(model, region, prices) for model in prices.served(region).values()],
    }


def _item(model: Model, region: str, prices: PriceList) -> dict[str, Any]:
    provider = {"id": model.provider.lower().replace(" ", "-"), "name": model.provider}
    return {
        "id": model.id,
        "name": model.id.replace("-", " ").title(),
        "description": f"{model.id} by {model.creator}, served by {model.provider}.",
        "creator": model.creator,
        "context_length": model.context,
        "supported_parameters": list(model.supported_parameters),
        "default_parameters": {"temperature": None, "top_p": None, "frequency_penalty": None},
        "top_provider": {
            "is_moderated": False,
            "context_length": model.context,
            "max_completion_tokens": _MAX_COMPLETION_TOKENS,
        },
        "pricing": _pricing(model, region, prices),
        "retirement_date": _unix(model.retirement),
        "available_regions": _listed_regions(model),
        "providers": [provider],
        "default_provider": provider,
    }


def _pricing(model: Model, region: str, prices: PriceList) -> dict[str, Any]:
    in_region = {name: _numbers(model, 1 + prices.surcharge(model, name)) for name in model.regions}
    return {
        **in_region,
        "global": _numbers(model, Decimal(1)),
        "regional_increase_percent": float(prices.surcharge(model, region) * 100),
    }


def _numbers(model: Model, factor: Decimal) -> dict[str, float]:
    """Prices as the numbers of the wire: floats here only, and nothing computes with them."""
    prices = {
        "prompt": model.input,
        "completions": model.output,
        "input_cache_read": model.cache_read,
        "input_cache_write": model.cache_write,
        "input_cache_write_1h": model.cache_write_1h,
    }
    return {name: float(price * factor) for name, price in prices.items() if price is not None}


def _unix(day: str | None) -> int:
    return 0 if day is None else int(datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp())


def _listed_regions(model: Model) -> list[str]:
    """`available_regions`. The US catalogue lists `eu` for AssemblyAI's Qwen, which the EU does not serve."""
    return ["us", "eu"] if model.provider == "AssemblyAI" else list(model.regions)

"""Every touch of LiteLLM's inside, in one place.

LiteLLM moves weekly. What this module relies on (checked by `tests/gateway/test_litellm_host.py`):

- `litellm.proxy.proxy_server.app.middleware_stack` is built before the config is loaded, and every request
  goes through whatever it is at that moment (`add_middleware` is refused after start);
- a route at the head of `app.router.routes` wins over LiteLLM's own, also over those it loads lazily;
- `proxy_server.user_custom_auth`, when set, is asked for the identity behind every authenticated request;
- `proxy_server.master_key` is the master key in force;
- `litellm.register_model` gives chat models their prices, `litellm.openai_compatible_providers` lets
  parameters that OpenAI does not know through, `litellm.models_by_provider` expands `assemblyai/*`.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.prices import ChatModel, Rates, chat_models
from aai_gateway.core.regions import ALL_REGIONS
from aai_gateway.gateway.wire import ASGIApp
from aai_gateway.price_book import load_price_book

if TYPE_CHECKING:
    from litellm.proxy._types import UserAPIKeyAuth

PROVIDER = "assemblyai"
GLOBAL_PREFIX = f"{PROVIDER}/global/"
"""Names under which a model's list price (`model_region: "global"`) is registered."""


def proxy_is_loading() -> bool:
    """Whether this process is a LiteLLM proxy that is starting (rather than a script that imports us)."""
    server = sys.modules.get("litellm.proxy.proxy_server")
    return server is not None and getattr(server.app, "middleware_stack", None) is not None


def stand_in_front(wrap: Callable[[ASGIApp], ASGIApp], speech: ASGIApp) -> bool:
    """Put `wrap(app)` in front of LiteLLM, and `speech` at the speech routes at the head of its router.

    The second is the belt to the braces: whatever spelling gets past the wrapper and still matches a route
    of LiteLLM's meets `speech`. Idempotent: False when it has been done before.
    """
    from litellm.proxy.proxy_server import app
    from starlette.routing import Mount

    if getattr(app.state, "aai_gateway_installed", False):
        return False
    app.state.aai_gateway_installed = True
    app.router.routes[0:0] = [Mount(f"/{r.speech_prefix}", app=speech) for r in ALL_REGIONS]
    app.middleware_stack = wrap(app.middleware_stack)
    return True


def root_paths() -> tuple[str, ...]:
    """Path prefixes under which LiteLLM is served besides the scope's `root_path`."""
    from litellm.proxy.middleware.per_request_root_path_middleware import get_server_root_paths

    return tuple(get_server_root_paths())


def master_key() -> str | None:
    """The master key in force."""
    from litellm.proxy import proxy_server

    key = proxy_server.master_key
    return key if isinstance(key, str) and key else None


def is_master_key(key: str) -> bool:
    """Whether `key` is the master key, compared in constant time."""
    master = master_key()
    return master is not None and hmac.compare_digest(key.encode(), master.encode())


def use_identity(authenticate: Callable[..., Awaitable[UserAPIKeyAuth]]) -> None:
    """Have LiteLLM ask `authenticate(request, api_key)` who is calling."""
    from litellm.proxy import proxy_server

    proxy_server.user_custom_auth = authenticate


def is_llm_route(path: str) -> bool:
    """Whether a path is one of LiteLLM's model routes (chat, models, …) rather than administration."""
    from litellm.proxy.auth.route_checks import RouteChecks

    return bool(RouteChecks.is_llm_api_route(route=path))


def transcript_not_found(model: str) -> Exception:
    """What LiteLLM makes of the LLM Gateway's 404 for a transcript id that does not exist."""
    import litellm

    return litellm.NotFoundError(
        message="NotFoundError: AssemblyaiException - transcript not found",
        model=model,
        llm_provider=PROVIDER,
    )


def register_chat_models() -> None:
    """Give LiteLLM the prices and abilities of AssemblyAI's chat models, and let their parameters through.

    A model that only one region offers is known in both: the other region's LLM Gateway refuses it itself.
    """
    import litellm

    book, now = load_price_book(), utc_now()
    known: dict[str, dict[str, Any]] = {}
    for region in ALL_REGIONS:
        for model in chat_models(book, region, now):
            known.setdefault(f"{PROVIDER}/{model.id}", _model_info(model, model.in_region))
            known.setdefault(f"{GLOBAL_PREFIX}{model.id}", _model_info(model, model.list_price))
    litellm.register_model(known)
    litellm.models_by_provider[PROVIDER] = {name for name in known if not name.startswith(GLOBAL_PREFIX)}
    if PROVIDER not in litellm.openai_compatible_providers:
        litellm.openai_compatible_providers.append(PROVIDER)


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

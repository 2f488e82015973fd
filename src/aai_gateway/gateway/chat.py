"""`assemblyai/*` and `eu.assemblyai/*` chat through LiteLLM: who may, as sent, in its region, and booked.

Every way by which LiteLLM reaches the LLM Gateway (chat, responses, messages, fallbacks, aliases) passes the
deployment hook last: what decides about a transcript, a region or a model is decided there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import LitellmUserRoles, ProxyException, UserAPIKeyAuth

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.prices import PriceBook, chat_models, token_usage_from
from aai_gateway.core.regions import Region, region_of_model, require_region
from aai_gateway.core.tenancy import MASTER, Caller, hash_key, presented_key, require_budget, require_owner
from aai_gateway.errors import BudgetExceeded, Forbidden, NotFound, Refused, Unauthenticated
from aai_gateway.gateway import litellm_host
from aai_gateway.gateway.context import Gateway

log = logging.getLogger("aai_gateway")

MOVED = ("fallbacks", "fallback_config")
"""Parameters of AssemblyAI's that LiteLLM would take for its own; they travel in `extra_body`."""


class ChatHooks(CustomLogger):  # type: ignore[misc]
    """LiteLLM callbacks for AssemblyAI's chat models. `ready` gives the opened gateway."""

    def __init__(self, ready: Callable[[], Awaitable[Gateway]]) -> None:
        super().__init__()
        self._ready = ready

    async def authenticate(self, request: Any, api_key: str) -> UserAPIKeyAuth:
        """LiteLLM's `custom_auth`: the same identity as on the speech routes."""
        gateway = await self._ready()
        key = presented_key(request.headers.get("authorization")) or api_key
        try:
            caller = await gateway.identity.caller_of_key(key)
        except Refused as refusal:
            raise _openai_error(refusal) from None
        if caller.is_admin:
            return UserAPIKeyAuth(api_key=hash_key(key), user_role=LitellmUserRoles.PROXY_ADMIN)
        if not litellm_host.is_llm_route(request.url.path):
            raise _openai_error(Forbidden("Only the master key may use this route."))
        return _litellm_identity(caller)

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Refuse a spent budget, and put AssemblyAI's own parameters where LiteLLM leaves them alone."""
        gateway = await self._ready()
        model = str(data.get("model") or "")
        if region_of_model(model) is None:
            return data
        try:
            caller = await self._caller(gateway, user_api_key_dict.api_key)
            require_budget(caller, utc_now())
            _require_models(caller, model, data)
        except Refused as refusal:
            raise _openai_error(refusal) from None
        return _as_sent(data)

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | None:
        """The last look before the LLM Gateway: the right region, host and key, and a transcript of the team."""
        if not _is_assemblyai(kwargs):
            return None
        gateway = await self._ready()
        metadata = _metadata(kwargs)
        group = str(metadata.get("model_group") or kwargs.get("model"))
        region, model = region_of_model(group) or (self._configured_region(gateway, kwargs), _bare(kwargs))
        try:
            caller = await self._caller(gateway, metadata.get("user_api_key_hash"))
            _require_models(caller, f"{region.model_prefix}{model}", kwargs)
            account_key = gateway.upstream.account_key(region)
            for transcript_id in _transcript_ids(kwargs):
                row = await gateway.identity.transcript(region, transcript_id)
                require_owner(caller, row.owner if row is not None else None)
        except NotFound:
            raise litellm_host.transcript_not_found(model) from None
        except Refused as refusal:
            raise _openai_error(refusal) from None
        kwargs = {
            **kwargs,
            "api_base": f"{gateway.settings.llm_url(region)}/v1",
            "api_key": account_key,
            "max_retries": 0,
        }
        if _wants_global(kwargs):
            kwargs["model_info"] = {
                **(kwargs.get("model_info") or {}),
                "base_model": f"{litellm_host.GLOBAL_PREFIX}{model}",
            }
        return kwargs

    async def async_filter_listed_models(
        self, user_api_key_dict: UserAPIKeyAuth, model_names: Sequence[str]
    ) -> Sequence[str]:
        """`/v1/models` shows a key what it may use."""
        gateway = await self._ready()
        caller = await self._caller(gateway, user_api_key_dict.api_key)
        offered = {
            region: frozenset(model.id for model in chat_models(gateway.prices, region, utc_now()))
            for region in Region
        }
        return [name for name in model_names if _may_see(caller, name, offered)]

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> Any:
        """Let LiteLLM count tokens that the LLM Gateway reported under its other names."""
        usage = getattr(response, "usage", None)
        if not _is_assemblyai(request_data) or usage is None or getattr(usage, "prompt_tokens", None):
            return None
        tokens = token_usage_from(_usage(response))
        usage.prompt_tokens, usage.completion_tokens = tokens.prompt, tokens.completion
        usage.total_tokens = tokens.prompt + tokens.completion
        return response

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Book a finished completion, streamed or not."""
        if not _is_assemblyai(kwargs) or response_obj is None:
            return
        try:
            await self._book(kwargs, response_obj)
        except Exception:
            log.exception("a completion could not be booked")

    async def _book(self, kwargs: dict[str, Any], response: Any) -> None:
        gateway = await self._ready()
        metadata = _metadata(kwargs.get("litellm_params") or {})
        region, model = region_of_model(str(metadata.get("model_group"))) or (Region.US, _bare(kwargs))
        caller = await self._caller(gateway, metadata.get("user_api_key_hash"))
        optional = kwargs.get("optional_params") or {}
        await gateway.ledger.book_chat(
            caller,
            region,
            completion_id=str(kwargs.get("litellm_call_id")),
            model=_answering_model(response, gateway.prices) or model,
            tokens=token_usage_from(_usage(response)),
            global_region=_wants_global(optional),
        )

    async def _caller(self, gateway: Gateway, key_hash: str | None) -> Caller:
        """The caller behind the hash that LiteLLM carries. Raises Unauthenticated."""
        if not key_hash:
            raise Unauthenticated
        master = litellm_host.master_key()
        if master is not None and key_hash == hash_key(master):
            return MASTER
        return await gateway.identity.caller_of_hash(key_hash)

    @staticmethod
    def _configured_region(gateway: Gateway, kwargs: Mapping[str, Any]) -> Region:
        """The region that a deployment with a name of its own was configured for, by its `api_base`."""
        base = str(kwargs.get("api_base") or "")
        eu = base.startswith((gateway.settings.llm_url(Region.EU), "https://llm-gateway.eu."))
        return Region.EU if eu else Region.US


def _require_models(caller: Caller, name: str, data: Mapping[str, Any]) -> None:
    """Raise Forbidden unless `caller` may use this model, its region, and the fallbacks it asks for."""
    found = region_of_model(name)
    if found is None:
        raise Forbidden(f"{name} is no AssemblyAI chat model.")
    region, _ = found
    require_region(region, caller.regions)
    for model in (name, *(f"{region.model_prefix}{fallback}" for fallback in _fallback_models(data))):
        if not caller.may_use_model(model):
            raise Forbidden(f"This key may not use {model}.")


def _litellm_identity(caller: Caller) -> UserAPIKeyAuth:
    assert caller.key is not None
    team = caller.team
    return UserAPIKeyAuth(
        api_key=caller.key.hash,
        token=caller.key.hash,
        key_name=caller.key.masked,
        key_alias=caller.key.alias,
        user_id=caller.key.user_id,
        team_id=team.id if team else None,
        team_alias=team.alias if team else None,
        user_role=LitellmUserRoles.INTERNAL_USER,
        spend=caller.key.budget.spent_micros / 1_000_000,
        team_spend=team.budget.spent_micros / 1_000_000 if team else None,
    )


def _openai_error(refusal: Refused) -> ProxyException:
    """A refusal in the shape that OpenAI clients read."""
    kind = "invalid_request_error"
    if isinstance(refusal, BudgetExceeded):
        kind = "budget_exceeded"
    elif isinstance(refusal, Unauthenticated):
        kind = "auth_error"
    return ProxyException(message=refusal.text, type=kind, param=None, code=refusal.status)


def _is_assemblyai(kwargs: Mapping[str, Any]) -> bool:
    provider = kwargs.get("custom_llm_provider")
    return provider == litellm_host.PROVIDER or str(kwargs.get("model")).startswith(
        f"{litellm_host.PROVIDER}/"
    )


def _bare(kwargs: Mapping[str, Any]) -> str:
    """AssemblyAI's name of the model of a deployment."""
    return str(kwargs.get("model")).removeprefix(f"{litellm_host.PROVIDER}/")


def _metadata(values: Mapping[str, Any]) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    for name in ("litellm_metadata", "metadata"):
        if isinstance(found := values.get(name), Mapping):
            merged |= {k: v for k, v in found.items() if v is not None}
    return merged


def _sent(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Where a client may have put AssemblyAI's own parameters."""
    extra = data.get("extra_body")
    return [data, extra] if isinstance(extra, Mapping) else [data]


def _transcript_ids(data: Mapping[str, Any]) -> list[str]:
    """Every transcript id of a request, as text; one that is no text cannot be anyone's."""
    return [str(place["transcript_id"]) for place in _sent(data) if place.get("transcript_id") is not None]


def _wants_global(data: Mapping[str, Any]) -> bool:
    return any(place.get("model_region") == "global" for place in _sent(data))


def _fallback_models(data: Mapping[str, Any]) -> list[str]:
    """Models of AssemblyAI's own `fallbacks`, without a prefix."""
    lists = [place.get("fallbacks") for place in _sent(data)]
    entries = [entry for found in lists if isinstance(found, list) for entry in found]
    return [str(entry.get("model")) for entry in entries if isinstance(entry, Mapping)]


def _as_sent(data: dict[str, Any]) -> dict[str, Any]:
    """Move AssemblyAI's `fallbacks` out of LiteLLM's reach; a list of names stays LiteLLM's own."""
    moved = {name: data[name] for name in MOVED if _is_assemblyais(data.get(name))}
    if not moved:
        return data
    rest = {name: value for name, value in data.items() if name not in moved}
    return {**rest, "extra_body": {**(data.get("extra_body") or {}), **moved}}


def _is_assemblyais(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _answering_model(response: Any, prices: PriceBook) -> str | None:
    """The model that answered (after a fallback not the one asked for), or None when its name is not known."""
    hidden = getattr(response, "_hidden_params", None) or {}
    name = str(hidden.get("provider_response_model") or "").removeprefix(f"{litellm_host.PROVIDER}/")
    return name if name in prices.chat_models else None


def _may_see(caller: Caller, name: str, offered: Mapping[Region, frozenset[str]]) -> bool:
    found = region_of_model(name)
    if found is None:
        return caller.may_use_model(name)
    region, model = found
    return region in caller.regions and model in offered[region] and caller.may_use_model(name)


def _usage(response: Any) -> Mapping[str, Any]:
    usage = response.get("usage") if isinstance(response, Mapping) else getattr(response, "usage", None)
    if usage is None:
        return {}
    return usage if isinstance(usage, Mapping) else usage.model_dump()

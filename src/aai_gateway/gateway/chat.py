"""`assemblyai/*` and `eu.assemblyai/*` chat through LiteLLM: who may, as sent, in its region, and booked.

Every way by which LiteLLM reaches the LLM Gateway (chat, responses, messages, fallbacks, aliases) passes the
deployment hook last: what decides about a transcript, a region or a model is decided there, and kept on the
call for the ledger.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aai_gateway.core import routing
from aai_gateway.core.attribution import attribution
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.presented import key_of_request
from aai_gateway.core.prices import chat_models, token_usage_from
from aai_gateway.core.regions import Region, region_of_model
from aai_gateway.core.routing import Attempt, Deployment, Provider
from aai_gateway.core.tenancy import (
    MASTER,
    Caller,
    hash_key,
    presented_key,
    require_budget,
    require_may_write,
    require_owner,
)
from aai_gateway.errors import (
    BudgetExceeded,
    Forbidden,
    GatewayError,
    NotFound,
    Unauthenticated,
    UnknownOperation,
)
from aai_gateway.gateway import chat_estimate, chat_request, litellm_host
from aai_gateway.gateway.chat_answer import Answered
from aai_gateway.gateway.chat_wire import Wire
from aai_gateway.gateway.completion import ChatCall, Completion
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.data_plane import notes
from aai_gateway.gateway.observing import current
from aai_gateway.gateway.passthrough import COUNTED
from aai_gateway.gateway.wire import client_host
from aai_gateway.litellm_models import GLOBAL_PREFIX, PROVIDER
from aai_gateway.store import usage

log = logging.getLogger("aai_gateway")

_CALL = "aai_gateway_call"
_NO_CACHE = {"no-cache": True, "no-store": True}


class ChatHooks(litellm_host.Callbacks):  # type: ignore[misc]  # LiteLLM is untyped to us
    """LiteLLM callbacks for AssemblyAI's chat models. `ready` gives the opened gateway."""

    def __init__(self, ready: Callable[[], Awaitable[Gateway]]) -> None:
        super().__init__()
        self._ready = ready

    async def authenticate(self, request: Any, api_key: str) -> Any:
        """LiteLLM's `custom_auth`: the same identity as on the speech routes."""
        noted = notes()
        try:
            gateway = await self._ready()
            key = key_of_request(request.scope["headers"])
            if key is None:
                key = api_key  # from a header that the config names, or Google's `?key=`
            elif api_key and presented_key(api_key) != key:
                raise Unauthenticated  # LiteLLM has read another
            caller = await gateway.identity.caller_of_key(key, client_host(request.scope))
            noted.caller = caller
            if caller.is_admin:
                return litellm_host.admin_identity(key)
            if not litellm_host.is_model_request(request):
                raise Forbidden("Only the master key may use this route.")
            if not litellm_host.is_listing(request):
                require_may_write(caller)
            standing = None if COUNTED in request.scope else gateway.rates.count(caller, time.monotonic())
            if standing is not None:
                told = {name.encode(): value.encode() for name, value in standing.headers().items()}
                noted.headers.update(told)
            if not routing.may_leave_eu(caller) and not litellm_host.passes_hook(request):
                raise Forbidden("This key is limited to regions, which this route does not keep to.")
        except GatewayError as error:
            raise litellm_host.openai_error(error) from None
        return litellm_host.identity(caller)

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Refuse early what may not be, and keep AssemblyAI's own parameters from LiteLLM."""
        model = str(data.get("model") or "")
        gateway = await self._ready()
        try:
            if (named := region_of_model(model)) is None:
                _begin_beside(gateway, model)
                return data
            chat_request.check_form(data)
            caller = await self._caller(gateway, user_api_key_dict.api_key)
            require_budget(caller, utc_now())
            routing.model(caller, _attempt(*named, data))
            notes().begun_in = named[0]
        except GatewayError as error:
            raise litellm_host.openai_error(error) from None
        return chat_request.as_sent(data)

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | None:
        """The last look before a provider: region, and for the LLM Gateway host, key, transcript and hold."""
        gateway = await self._ready()
        try:
            if not _is_assemblyai(kwargs):
                return await self._beside(gateway, kwargs)
            if not litellm_host.makes_chat(call_type):
                log.warning("refused a call of AssemblyAI's models that is no chat: %s", call_type)
                raise UnknownOperation("AssemblyAI's models serve chat, and no other operation.")
            call = await self._allowed(gateway, kwargs)
            account_key = gateway.upstream.account_key(call.region)
            api_base = f"{gateway.settings.llm_url(call.region)}/v1"
            steered = _steered(kwargs, call, api_base, account_key)
            completion = await self._held(gateway, call, kwargs)
            notes().waiting = completion
            if litellm_host.sends_chat(call_type):
                notes().waiting = None
                wire = Wire(gateway.chat, completion)
                steered["client"] = litellm_host.openai_client(api_base, account_key, wire)
        except NotFound:
            raise litellm_host.transcript_not_found(_bare(kwargs)) from None
        except GatewayError as error:
            notes().refusal = error
            raise litellm_host.openai_error(error) from None
        return steered

    async def async_filter_listed_models(
        self, user_api_key_dict: Any, model_names: Sequence[str]
    ) -> Sequence[str]:
        """`/v1/models` shows a key what it may use."""
        gateway = await self._ready()
        caller = await self._caller(gateway, user_api_key_dict.api_key)
        offered = {
            region: frozenset(model.id for model in chat_models(gateway.prices.current, region, utc_now()))
            for region in Region
        }
        return [name for name in model_names if _may_see(gateway, caller, name, offered)]

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> Any:
        """Let LiteLLM count what the LLM Gateway reports under other names: tokens, and writes to a cache."""
        usage = getattr(response, "usage", None)
        if not _is_assemblyai(request_data) or usage is None:
            return None
        litellm_host.name_tokens(usage, token_usage_from(_usage(response)))
        return response

    async def async_post_call_failure_deployment_hook(
        self, request_data: Mapping[str, Any], exception: Exception, call_type: Any
    ) -> None:
        """Give back the hold of a call that failed before it was sent."""
        await self._release_unsent(request_data["litellm_logging_obj"].model_call_details)

    async def async_post_call_failure_hook(
        self, request_data: dict[str, Any], original_exception: Exception, *_: Any, **__: Any
    ) -> None:
        """Keep the upstream's `Retry-After` for the client."""
        headers = getattr(original_exception, "litellm_response_headers", None) or {}
        if after := headers.get("retry-after"):
            notes().retry_after = after

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """The net below the failure hook: nothing stays held that never left."""
        await self._release_unsent(kwargs)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """The net below the wire: LiteLLM's cache is free, an answer by another way is booked."""
        completion = kwargs.get(_CALL)
        if not isinstance(completion, Completion) or completion.is_sent:
            return
        if response_obj is None or kwargs.get("cache_hit"):
            await completion.release()
            return
        try:
            await completion.book(Answered(token_usage_from(_usage(response_obj)), None, None))
        except Exception:
            log.exception("a completion could not be booked")

    async def _release_unsent(self, details: Mapping[str, Any]) -> None:
        completion = details.get(_CALL)
        if isinstance(completion, Completion) and not completion.is_sent:
            await completion.release()

    async def _allowed(self, gateway: Gateway, kwargs: dict[str, Any]) -> ChatCall:
        """The call that these arguments make, when it may be made. Raises Refused."""
        chat_request.check_form(kwargs)
        metadata = chat_request.trusted_metadata(kwargs)
        caller = await self._caller(gateway, metadata.get("user_api_key_hash"))
        require_may_write(caller)
        model = _bare(kwargs)
        deployment = litellm_host.deployment(kwargs) or Deployment(
            name=str(metadata.get("model_group")),
            model=model,
            is_assemblyai=True,
            api_base=str(kwargs.get("api_base") or ""),
        )
        attempt = _attempt(_region(gateway, deployment), model, kwargs)
        region = routing.model(caller, attempt, notes().begun_in).region
        notes().begun_in = notes().begun_in or region
        current().on_model(model, region)
        for transcript_id in chat_request.transcript_ids(kwargs):
            row = await gateway.identity.transcript(caller, region, transcript_id)
            require_owner(caller, row.owner if row else None, row.key_hash if row else None)
        return ChatCall(
            id=str(uuid.uuid4()),
            caller=caller,
            region=region,
            model=model,
            is_global=chat_request.wants_global(kwargs),
            fallbacks=chat_request.fallbacks(kwargs),
            attribution=attribution(
                caller,
                headers={},  # LiteLLM has gathered them: its rules say which of several names wins
                tags=chat_request.tags(metadata),
                end_user=metadata.get("user_api_key_end_user_id"),
            ),
        )

    async def _beside(self, gateway: Gateway, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """Another provider's attempt: left alone, or in the EU held to where its deployment is.

        Raises Forbidden.
        """
        caller = notes().caller
        if caller is None:
            if not (key_hash := chat_request.trusted_metadata(kwargs).get("user_api_key_hash")):
                return None  # nobody's: LiteLLM's own look at its models
            caller = await self._caller(gateway, key_hash)
        deployment = litellm_host.deployment(kwargs)
        if deployment is not None:
            deployment.require_own_provider(gateway.settings.llm_url(region) for region in Region)
        region = _region(gateway, deployment) if deployment is not None else Region.US
        routing.model(caller, Attempt(Provider.OTHER, region), notes().begun_in)
        notes().begun_in = notes().begun_in or region
        notes().handed_on = True
        current().on_other_provider(deployment.model if deployment else "")
        return litellm_host.held_to_its_deployment(kwargs) if region is Region.EU else None

    async def _held(self, gateway: Gateway, call: ChatCall, kwargs: Mapping[str, Any]) -> Completion:
        """The completion that this call makes, with its hold in place. Raises BudgetExceeded."""
        estimate = chat_estimate.dearest(
            gateway.prices.current,
            call.region,
            call.model,
            kwargs,
            transcript_seconds=await self._transcript_seconds(gateway, call.region, kwargs),
            at=utc_now(),
        )
        completion = Completion(gateway.ledger, gateway.prices, call, estimate, notes())
        details = kwargs["litellm_logging_obj"].model_call_details
        for earlier in (details.get(_CALL), notes().waiting):
            if isinstance(earlier, Completion) and not earlier.is_sent:
                completion.take_over(earlier)
        try:
            await completion.hold()
        except BudgetExceeded:
            await completion.release()  # what the route around it holds
            raise
        details[_CALL] = completion
        return completion

    @staticmethod
    async def _transcript_seconds(gateway: Gateway, region: Region, kwargs: Mapping[str, Any]) -> int:
        """How long the longest audio is whose transcript may be put into the prompt."""
        longest = 0
        if not (named := chat_request.transcript_ids(kwargs)):
            return longest
        async with gateway.store.read() as connection:
            for transcript_id in named:
                seconds = await usage.audio_seconds_of(connection, region, transcript_id)
                longest = max(longest, gateway.settings.assumed_audio_seconds if seconds is None else seconds)
        return longest

    async def _caller(self, gateway: Gateway, key_hash: str | None) -> Caller:
        """The caller behind the hash that LiteLLM carries. Raises Unauthenticated."""
        if not key_hash:
            raise Unauthenticated
        master = litellm_host.master_key()
        if master is not None and key_hash == hash_key(master):
            return MASTER
        return await gateway.identity.caller_of_hash(key_hash)


def _steered(kwargs: Mapping[str, Any], call: ChatCall, api_base: str, account_key: str) -> dict[str, Any]:
    """The arguments of an allowed call with where it goes, by what key, and its price list."""
    steered: dict[str, Any] = {
        **{name: value for name, value in kwargs.items() if name not in chat_request.CONTROLS},
        "model": f"{PROVIDER}/{call.model}",
        "api_base": api_base,
        "api_key": account_key,
        "max_retries": 0,
    }
    if chat_request.transcript_ids(kwargs):
        # LiteLLM's cache does not see the transcript: another one's answer would come back.
        steered["cache"] = _NO_CACHE
    if call.is_global:
        info = kwargs.get("model_info") or {}
        steered["model_info"] = {**info, "base_model": f"{GLOBAL_PREFIX}{call.model}"}
    return steered


def _attempt(region: Region, model: str, data: Mapping[str, Any]) -> Attempt:
    """What a request asks for at AssemblyAI, in a region, of a model by AssemblyAI's name."""
    models = (model, *(fallback.model for fallback in chat_request.fallbacks(data)))
    return Attempt(
        Provider.ASSEMBLYAI,
        region,
        models=tuple(f"{region.model_prefix}{name}" for name in models),
        is_global=chat_request.names_region(data),
    )


def _begin_beside(gateway: Gateway, model: str) -> None:
    """Note where a request begins whose model has a name of LiteLLM's config. Raises Forbidden."""
    caller, regions = notes().caller, _regions(gateway, model)
    if caller is not None and not regions & {*caller.regions}:
        routing.model(caller, Attempt(Provider.OTHER, next(iter(regions))))
    notes().begun_in = routing.begins_in(regions)


def _regions(gateway: Gateway, model: str) -> set[Region]:
    """The regions to which a model's name of LiteLLM's config may lead; an unknown one leads anywhere."""
    if named := region_of_model(litellm_host.unaliased(model)):
        return {named[0]}
    return {_region(gateway, found) for found in litellm_host.deployments(model)} or {Region.US}


def _region(gateway: Gateway, deployment: Deployment) -> Region:
    return deployment.region(gateway.settings.llm_url(Region.EU))


def _is_assemblyai(kwargs: Mapping[str, Any]) -> bool:
    provider = kwargs.get("custom_llm_provider")
    return provider == PROVIDER or str(kwargs.get("model")).startswith(f"{PROVIDER}/")


def _bare(kwargs: Mapping[str, Any]) -> str:
    """AssemblyAI's name of the model of a deployment."""
    return str(kwargs.get("model")).removeprefix(f"{PROVIDER}/")


def _may_see(gateway: Gateway, caller: Caller, name: str, offered: Mapping[Region, frozenset[str]]) -> bool:
    found = region_of_model(name)
    if found is None:
        within = routing.may_leave_eu(caller) or bool(_regions(gateway, name) & {*caller.regions})
        return within and caller.may_use_model(name)
    region, model = found
    return region in caller.regions and model in offered[region] and caller.may_use_model(name)


def _usage(response: Any) -> Mapping[str, Any]:
    usage = response.get("usage") if isinstance(response, Mapping) else getattr(response, "usage", None)
    if usage is None:
        return {}
    return usage if isinstance(usage, Mapping) else usage.model_dump()

"""Every touch of LiteLLM's proxy, in one place.

LiteLLM moves weekly. What the gateway relies on (checked by `tests/gateway/test_litellm_host.py`):

- `proxy_server.app.middleware_stack` is built before the config is loaded, and every request goes through
  whatever it is at that moment (`add_middleware` is refused after start);
- a route at the head of `app.router.routes` wins over LiteLLM's own, also over those it loads lazily;
- `proxy_server.user_custom_auth`, when set, is asked for the identity behind every authenticated request;
- `proxy_server.proxy_shutdown_event` is what its lifespan awaits last;
- `proxy_server.master_key` is the master key in force;
- `get_request_route` gives a request's path without the root path;
- the deployment hook runs before the response cache is asked, and what it returns is what is sent;
- the `litellm_logging_obj` of that hook's arguments is the one whose `model_call_details` come to the
  success event, also for responses, messages and completions that LiteLLM turns into chat;
- LiteLLM removes `user_api_key_*` from a client's metadata, and writes `user_api_key_hash` and `model_group`;
- an upstream's refusal comes to the failure hook in the request's own context, with its
  `litellm_response_headers`;
- the deployment hook runs for each route's own call and again for the chat call inside it; the call types
  of `sends_chat` are those that send, and they send through the `client` in what the hook returns; what
  the hook raises keeps its status only for the route's own call;
- an attempt that fails is told to `async_post_call_failure_deployment_hook` with the hook's arguments, before
  the client hears of it;
- the hooks run in the context of the client's request: what they note reaches its answer's headers;
- the metadata with `user_api_key_hash` has `tags`, gathered from the request's body and headers, and
  `user_api_key_end_user_id`, the end user that LiteLLM found;
- the `model_info` of the deployment hook's arguments has the `id` of the deployment that the router chose,
  also in the chat call inside a route's own; `llm_router.get_deployment` and `get_model_list` know them;
- every route of `_MODEL_ROUTES` but those of `_UNHOOKED` asks a provider through the deployment hook;
- `litellm.budget_exceeded_status_code` is the status of LiteLLM's own `budget_exceeded` errors;
- `litellm.global_disable_no_log_param` keeps a client's `no-log` from hiding a completion.
"""

from __future__ import annotations

import hmac
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import LitellmUserRoles, ProxyErrorTypes, ProxyException, UserAPIKeyAuth
from litellm.types.router import LiteLLM_Params
from litellm.types.utils import CacheCreationTokenDetails
from openai import AsyncOpenAI

from aai_gateway.core.prices import TokenUsage
from aai_gateway.core.regions import ALL_ROUTES
from aai_gateway.core.routing import Deployment
from aai_gateway.core.tenancy import Caller, hash_key
from aai_gateway.errors import BudgetExceeded, GatewayError, Refused, Unauthenticated
from aai_gateway.gateway import chat_request
from aai_gateway.gateway.wire import ASGIApp
from aai_gateway.litellm_models import PROVIDER

log = logging.getLogger("aai_gateway")

Callbacks = CustomLogger
"""The class of LiteLLM's callbacks."""

_MODEL_ROUTES = re.compile(
    r"(?:/v1)?/(?:chat/completions|completions|embeddings|moderations|rerank|models(?:/.+)?|model/info"
    r"|images/(?:generations|edits)|audio/(?:speech|transcriptions))"
    r"|(?:/openai)?(?:/v1)?/responses|/v1/messages(?:/count_tokens)?|/v2/rerank|/model_group/info"
    r"|/(?:engines|openai/deployments)/.+/(?:chat/completions|completions|embeddings)"
    r"|(?:/v1beta)?/models/.+:(?:countTokens|generateContent|streamGenerateContent)"
    r"|/utils/token_counter"
)
"""What a virtual key may call: a model, or the list of models. LiteLLM's other routes share files, batches,
stored answers, tools or whole provider accounts between all keys, so they are the master key's."""

_LISTINGS = re.compile(r"(?:/v1)?/(?:models(?:/.+)?|model/info)|/model_group/info")
"""Of those, what a GET only looks at."""
_UNHOOKED = re.compile(r"/utils/token_counter|/v1/messages/count_tokens|(?:/v1beta)?/models/.+:countTokens")
"""Of those, the routes that may ask a provider past the deployment hook: to count tokens."""

_AROUND_CHAT = ("anthropic_messages", "aresponses", "agenerate_content", "agenerate_content_stream")
"""Types of calls that LiteLLM turns into a chat completion."""

_HARMLESS = frozenset({"drop_params", "model_info", "tags"})
"""Parameters of a deployment that a call may carry otherwise: they say nothing of where it goes."""


def proxy_is_loading() -> bool:
    """Whether this process is a LiteLLM proxy that is starting (rather than a script that imports us)."""
    server = sys.modules.get("litellm.proxy.proxy_server")
    return server is not None and getattr(server.app, "middleware_stack", None) is not None


def stand_in_front(wrap: Callable[[ASGIApp], ASGIApp], speech: ASGIApp) -> bool:
    """Put `wrap(app)` in front of LiteLLM, and `speech` at AssemblyAI's routes at the head of its router.

    The second is the belt to the braces: whatever spelling gets past the wrapper and still matches a route
    of LiteLLM's meets `speech`. Idempotent: False when it has been done before.
    """
    from litellm.proxy.proxy_server import app
    from starlette.routing import Mount

    if getattr(app.state, "aai_gateway_installed", False):
        return False
    app.state.aai_gateway_installed = True
    app.router.routes[0:0] = [Mount(f"/{route.prefix}", app=speech) for route in ALL_ROUTES]
    app.middleware_stack = wrap(app.middleware_stack)
    return True


def at_shutdown(work: Callable[[], Awaitable[None]]) -> None:
    """Have LiteLLM wait for `work` once its last request is served: uvicorn ends the process right after."""
    from litellm.proxy import proxy_server

    last = proxy_server.proxy_shutdown_event

    async def shutdown(*values: Any, **named: Any) -> None:
        try:
            await work()
        finally:
            await last(*values, **named)

    proxy_server.proxy_shutdown_event = shutdown


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
    """Have LiteLLM ask `authenticate(request, api_key)` who is calling, and log every call."""
    from litellm.proxy import proxy_server

    proxy_server.user_custom_auth = authenticate
    litellm.global_disable_no_log_param = True


def is_model_request(request: Any) -> bool:
    """Whether a request is for one of the routes that a virtual key may call.

    A web socket is none: what comes over it is not counted, and read by LiteLLM alone. LiteLLM shows it as
    a GET.
    """
    from litellm.proxy.auth.auth_utils import get_request_route

    route = get_request_route(request)
    if request.method == "GET" and route.endswith("/responses"):
        return False
    return _MODEL_ROUTES.fullmatch(route) is not None


def is_listing(request: Any) -> bool:
    """Whether a request only looks at the models that there are."""
    from litellm.proxy.auth.auth_utils import get_request_route

    return request.method == "GET" and _LISTINGS.fullmatch(get_request_route(request)) is not None


def passes_hook(request: Any) -> bool:
    """Whether whatever this request asks of a provider comes by the deployment hook, attempt for attempt."""
    from litellm.proxy.auth.auth_utils import get_request_route

    return _UNHOOKED.fullmatch(get_request_route(request)) is None


def unaliased(name: str) -> str:
    """The name that a model's alias in the router's settings stands for; any other name as it is."""
    from litellm.proxy import proxy_server

    router = proxy_server.llm_router
    found = router.model_group_alias.get(name, name) if router is not None else name
    return str(found["model"] if isinstance(found, Mapping) else found)


def deployments(name: str) -> list[Deployment]:
    """The deployments to which a model's name may lead, by LiteLLM's aliases and wildcards too."""
    from litellm.proxy import proxy_server

    router = proxy_server.llm_router
    if router is None or not name:
        return []
    ids = [entry["model_info"]["id"] for entry in router.get_model_list(model_name=name) or []]
    configured = [_configured(id_) for id_ in (*ids, name)]
    return [_described(found) for found in configured if found is not None]


def deployment(kwargs: Mapping[str, Any]) -> Deployment | None:
    """The deployment that the router chose for this attempt; None for a call that it did not route."""
    found = _chosen(kwargs)
    return _described(found) if found is not None else None


def held_to_its_deployment(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of another provider's attempt, with nothing in them that could lead it elsewhere.

    Where it goes and as whom are the configuration's alone; a client's word on it is dropped.
    """
    found = _chosen(kwargs)
    assert found is not None
    fixed = found.litellm_params.model_dump(exclude_none=True)
    left = {
        name: value
        for name, value in kwargs.items()
        if not chat_request.steers(name) and (name in _HARMLESS or name not in LiteLLM_Params.model_fields)
    }
    return {**left, **fixed}


def _chosen(kwargs: Mapping[str, Any]) -> Any:
    info = kwargs.get("model_info")
    if not isinstance(info, Mapping):
        return None
    # A client's own API key makes the router take a copy of the deployment, with an id of its own.
    found = _configured(str(info.get("original_model_id") or info.get("id")))
    if found is None:
        return None
    # Where the router has not been, `model_info` is the client's.
    model = found.litellm_params.model
    return found if _is_ours(found) or kwargs.get("model") in (model, model.partition("/")[2]) else None


def _configured(deployment_id: str) -> Any:
    from litellm.proxy import proxy_server

    router = proxy_server.llm_router
    return router.get_deployment(model_id=deployment_id) if router is not None else None


def _described(found: Any) -> Deployment:
    parameters = found.litellm_params
    return Deployment(
        name=found.model_name,
        model=parameters.model,
        is_assemblyai=_is_ours(found),
        api_base=str(parameters.api_base or ""),
        region_name=parameters.region_name,
    )


def _is_ours(found: Any) -> bool:
    parameters = found.litellm_params
    return PROVIDER in (parameters.custom_llm_provider, str(parameters.model).partition("/")[0])


def admin_identity(key: str) -> UserAPIKeyAuth:
    """The master key's holder, as LiteLLM knows callers."""
    return UserAPIKeyAuth(api_key=hash_key(key), user_role=LitellmUserRoles.PROXY_ADMIN)


def identity(caller: Caller) -> UserAPIKeyAuth:
    """The holder of a virtual key, as LiteLLM knows callers. Budgets and models stay with our store."""
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


def openai_error(error: GatewayError) -> ProxyException:
    """A refusal in the shape that OpenAI clients read; a spent budget with LiteLLM's own status and type.

    Any other error is the gateway's own trouble: a 503 that says nothing of it, and a line in the log.
    """
    if isinstance(error, Refused):
        refusal = error
    else:
        log.error("%s", error)
        refusal = Refused("The gateway cannot serve this now.", status=503)
    kind, status = "invalid_request_error", refusal.status
    if isinstance(refusal, BudgetExceeded):
        kind, status = ProxyErrorTypes.budget_exceeded.value, litellm.budget_exceeded_status_code
    elif isinstance(refusal, Unauthenticated):
        kind = "auth_error"
    elif status == 429:
        kind = "rate_limit_error"
    return ProxyException(
        message=refusal.text, type=kind, param=None, code=status, headers=dict(refusal.headers)
    )


def makes_chat(call_type: Any) -> bool:
    """Whether a call of this type ends in a chat completion."""
    return sends_chat(call_type) or _name(call_type) in _AROUND_CHAT


def sends_chat(call_type: Any) -> bool:
    """Whether a call of this type is the one that goes to the LLM Gateway, and not one around it."""
    return _name(call_type) in ("acompletion", "atext_completion")


def openai_client(api_base: str, api_key: str, transport: httpx.AsyncBaseTransport) -> AsyncOpenAI:
    """What LiteLLM sends one call with: OpenAI's client on a transport of ours."""
    http = httpx.AsyncClient(transport=transport)
    return AsyncOpenAI(api_key=api_key, base_url=api_base, max_retries=0, http_client=http)


def _name(call_type: Any) -> str:
    return str(getattr(call_type, "value", call_type))


def name_tokens(usage: Any, tokens: TokenUsage) -> None:
    """Put `tokens` into a completion's `usage` under the names by which LiteLLM prices them."""
    usage.prompt_tokens, usage.completion_tokens = tokens.prompt, tokens.completion
    usage.total_tokens = tokens.prompt + tokens.completion
    details = getattr(usage, "prompt_tokens_details", None)
    if details is not None and (tokens.cache_write_5m or tokens.cache_write_1h):
        details.cache_creation_tokens = tokens.cache_write_5m + tokens.cache_write_1h
        details.cache_creation_token_details = CacheCreationTokenDetails(
            ephemeral_5m_input_tokens=tokens.cache_write_5m, ephemeral_1h_input_tokens=tokens.cache_write_1h
        )


def transcript_not_found(model: str) -> Exception:
    """What LiteLLM makes of the LLM Gateway's 404 for a transcript id that does not exist."""
    error: Exception = litellm.NotFoundError(
        message="NotFoundError: AssemblyaiException - transcript not found",
        model=model,
        llm_provider=PROVIDER,
    )
    return error

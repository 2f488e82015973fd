"""What `config.yaml` names: `callbacks: ["aai_gateway.plugin.gateway"]` makes a LiteLLM proxy this gateway.

Loading it while a proxy starts puts the data plane in front of LiteLLM, gives LiteLLM our identities and
AssemblyAI's prices, and begins settling. LiteLLM may load it more than once: it installs once per process.
"""

from __future__ import annotations

import asyncio

from aai_gateway.core.guesses import Guesses
from aai_gateway.core.presented import key_of_request
from aai_gateway.core.tenancy import Caller
from aai_gateway.core.traffic import Tally
from aai_gateway.gateway import litellm_budget, litellm_host, server_host
from aai_gateway.gateway.chat import ChatHooks
from aai_gateway.gateway.context import Runtime
from aai_gateway.gateway.dashboard.app import Dashboard
from aai_gateway.gateway.data_plane import DataPlane
from aai_gateway.gateway.litellm_door import LiteLLMDoor
from aai_gateway.gateway.llm_routes import LLM_HANDLERS
from aai_gateway.gateway.management import is_management_path, management_app
from aai_gateway.gateway.observer import Observer
from aai_gateway.gateway.passthrough import SpeechRoutes
from aai_gateway.gateway.webhook_callbacks import WebhookRoutes
from aai_gateway.gateway.wire import ASGIApp, Scope, client_host
from aai_gateway.settings import get_settings, require_no_database
from aai_gateway.store import Store


def _install() -> ChatHooks:
    """Build the gateway of this process and, in a proxy, put it in place."""
    if not litellm_host.proxy_is_loading():
        return ChatHooks(Runtime(get_settings()).ready)
    require_no_database()
    settings = get_settings()
    guesses, tally = Guesses(settings.unknown_keys_per_minute), Tally()
    runtime = Runtime(settings, litellm_budget.configured_limits(settings), guesses, tally)
    observer = Observer(tally)
    hooks = ChatHooks(runtime.ready)
    speech = SpeechRoutes(runtime.ready, LLM_HANDLERS)

    async def store() -> Store:
        return (await runtime.ready()).store

    async def admit(scope: Scope) -> Caller:
        key = key_of_request(scope["headers"])
        return await (await runtime.ready()).identity.caller_of_key(key, client_host(scope))

    def in_front_of(inner: ASGIApp) -> DataPlane:
        return DataPlane(
            LiteLLMDoor(inner, admit=admit, body_limit=settings.max_body_bytes),
            speech=speech,
            management=management_app(store, litellm_host.is_master_key, guesses, settings.metrics_token),
            webhooks=WebhookRoutes(runtime.ready),
            dashboard=Dashboard(runtime.ready, litellm_host.master_key),
            is_management=is_management_path,
            client_timeout=settings.client_timeout,
            root_paths=litellm_host.root_paths(),
            observer=observer,
        )

    async def stop() -> None:
        await runtime.stop()
        await asyncio.to_thread(observer.close)

    if litellm_host.stand_in_front(in_front_of, speech):
        limits = server_host.connection_limits(settings, server_host.raise_file_limit())
        server_host.guard_connections(limits)
        litellm_host.use_identity(hooks.authenticate)
        server_host.leave_out_access_log()
        observer.open(settings)
        # Later, because LiteLLM takes its settings over one by one, in the config's order.
        asyncio.get_running_loop().call_soon(litellm_budget.leave_budget_to_us)
        litellm_host.at_shutdown(stop)
        runtime.start()
    return hooks


gateway = _install()

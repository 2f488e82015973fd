"""What stands in front of LiteLLM: AssemblyAI's routes, webhooks, the dashboard and, without a database,
management.

Everything else goes on to LiteLLM untouched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aai_gateway.core.operations import route_of
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller
from aai_gateway.core.traffic import Tally
from aai_gateway.errors import GatewayError
from aai_gateway.gateway.dashboard.paths import is_dashboard_path
from aai_gateway.gateway.observer import Observer
from aai_gateway.gateway.observing import DASHBOARD, MANAGEMENT, WEBHOOK, current
from aai_gateway.gateway.webhook_paths import is_webhook_path
from aai_gateway.gateway.wire import ASGIApp, Headers, Message, Receive, Scope, Send, patient

RETRYABLE = (429, 503)
LITELLM = "aai_gateway.litellm"
"""Where a scope of AssemblyAI's routes carries LiteLLM as an ASGI application, for what it is to serve."""


@dataclass(slots=True)
class Notes:
    """What the answer to the request that is being served will say besides what LiteLLM says.

    `retry_after` is an upstream's, should it end in 429 or 503, and `refused` the status and body of the last
    answer of the LLM Gateway's that was no completion; `headers` have lower-case names, and win;
    `cost_micros` is what was booked so far, `waiting` the completion that is held and not yet sent. `at_end`
    is called when the request is over, whoever ended it: LiteLLM can leave a stream open behind a client.
    `caller` is who was authenticated, `begun_in` the region of the first attempt at a model, `handed_on`
    says whether anything went to a provider, and `refusal` is why the last attempt was not let out.
    """

    retry_after: str | None = None
    refused: tuple[int, bytes] | None = None
    handed_on: bool = False
    cost_micros: int = 0
    waiting: Any = None
    at_end: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    headers: dict[bytes, bytes] = field(default_factory=dict)
    caller: Caller | None = None
    begun_in: Region | None = None
    refusal: GatewayError | None = None


_notes: ContextVar[Notes] = ContextVar("aai_gateway_notes")


def notes() -> Notes:
    """The notes of the request that is being served; outside of one, notes that nobody reads."""
    return _notes.get(Notes())


class DataPlane:
    """ASGI middleware in front of `inner`, which is LiteLLM's whole stack.

    Reading a body raises ClientTooSlow after `client_timeout` seconds in which nothing of it came.
    """

    def __init__(
        self,
        inner: ASGIApp,
        *,
        speech: ASGIApp,
        management: ASGIApp,
        webhooks: ASGIApp,
        dashboard: ASGIApp,
        is_management: Callable[[str, str], bool],
        client_timeout: float,
        root_paths: tuple[str, ...] = (),
        observer: Observer | None = None,
    ) -> None:
        self._inner = inner
        self._speech = speech
        self._management = management
        self._webhooks = webhooks
        self._dashboard = dashboard
        self._is_management = is_management
        self._root_paths = root_paths
        self._client_timeout = client_timeout
        self._observer = observer or Observer(Tally())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is ours; hand on the rest. HTTP requests are observed."""
        if scope["type"] == "http":
            await self._observer.serve(self._serve, scope, patient(receive, self._client_timeout), send)
        elif scope["type"] == "websocket":
            await self._serve(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        observed = current()
        for root in self._roots(scope):
            path = scope["path"][len(root) :]
            if (route := route_of(path)) is not None:
                observed.region = route.region
                own = {**scope, "root_path": root, LITELLM: self._litellm}
                await self._speech(own, receive, send)
                return
            if scope["type"] == "http" and is_webhook_path(path):
                observed.operation = WEBHOOK
                await self._webhooks({**scope, "root_path": root}, receive, send)
                return
            if scope["type"] == "http" and is_dashboard_path(path):
                observed.operation = DASHBOARD
                await self._dashboard(_below(scope, root, path), receive, send)
                return
            if scope["type"] == "http" and self._is_management(scope["method"], path):
                observed.operation = MANAGEMENT
                await self._management({**scope, "path": path, "root_path": ""}, receive, send)
                return
        observed.on_litellm(scope["path"])
        await self._litellm(scope, receive, send)

    async def _litellm(self, scope: Scope, receive: Receive, send: Send) -> None:
        noted = Notes()
        _notes.set(noted)
        try:
            await self._inner(scope, receive, _with_notes(send, noted))
        finally:
            for end in noted.at_end:
                await end()

    def _roots(self, scope: Scope) -> list[str]:
        """Prefixes of this path below which LiteLLM may look for a route, the empty one included."""
        path = scope["path"]
        candidates = (str(scope.get("root_path") or "").rstrip("/"), *self._root_paths)
        return ["", *(root for root in candidates if root and path.startswith(f"{root}/"))]


def _below(scope: Scope, root: str, path: str) -> Scope:
    """A request as its client made it: below a root path also where a proxy in front has cut that off."""
    root = root or str(scope.get("root_path") or "").rstrip("/")
    return {**scope, "root_path": root, "path": f"{root}{path}"}


def _with_notes(send: Send, noted: Notes) -> Send:
    """Add the headers that were noted by the time the answer begins."""

    async def passing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": _noted_headers(message, noted)}
        await send(message)

    return passing


def _noted_headers(message: Message, noted: Notes) -> Headers:
    headers = [(name, value) for name, value in message["headers"] if name not in noted.headers]
    told = any(name == b"retry-after" for name, _ in headers)
    if noted.retry_after is not None and message["status"] in RETRYABLE and not told:
        headers.append((b"retry-after", noted.retry_after.encode()))
    return [*headers, *noted.headers.items()]

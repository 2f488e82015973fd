"""What stands in front of LiteLLM: the speech routes and, without a database, the management of keys.

Everything else goes on to LiteLLM untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from aai_gateway.core.operations import speech_region
from aai_gateway.gateway.wire import ASGIApp, Message, Receive, Scope, Send

RETRYABLE = (429, 503)

_retry_after: ContextVar[list[str]] = ContextVar("aai_gateway_retry_after")


def note_retry_after(value: str) -> None:
    """Give the request that is being served an upstream's `Retry-After`, should it end in 429 or 503."""
    _retry_after.get([]).append(value)


class DataPlane:
    """ASGI middleware in front of `inner`, which is LiteLLM's whole stack."""

    def __init__(
        self,
        inner: ASGIApp,
        *,
        speech: ASGIApp,
        management: ASGIApp,
        is_management: Callable[[str, str], bool],
        root_paths: tuple[str, ...] = (),
    ) -> None:
        self._inner = inner
        self._speech = speech
        self._management = management
        self._is_management = is_management
        self._root_paths = root_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is ours; hand on the rest."""
        if scope["type"] not in ("http", "websocket"):
            await self._inner(scope, receive, send)
            return
        for root in self._roots(scope):
            path = scope["path"][len(root) :]
            if speech_region(path) is not None:
                await self._speech({**scope, "root_path": root}, receive, send)
                return
            if scope["type"] == "http" and self._is_management(scope["method"], path):
                await self._management({**scope, "path": path, "root_path": ""}, receive, send)
                return
        noted: list[str] = []
        _retry_after.set(noted)
        await self._inner(scope, receive, _with_retry_after(send, noted))

    def _roots(self, scope: Scope) -> list[str]:
        """Prefixes of this path below which LiteLLM may look for a route, the empty one included."""
        path = scope["path"]
        candidates = (str(scope.get("root_path") or "").rstrip("/"), *self._root_paths)
        return ["", *(root for root in candidates if root and path.startswith(f"{root}/"))]


def _with_retry_after(send: Send, noted: list[str]) -> Send:
    """Add the newest `Retry-After` that was noted, unless LiteLLM gives one: an upstream's it keeps back."""

    async def passing(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in RETRYABLE and noted:
            after = (b"retry-after", noted[-1].encode())
            if not any(name == after[0] for name, _ in message["headers"]):
                message = {**message, "headers": [*message["headers"], after]}
        await send(message)

    return passing

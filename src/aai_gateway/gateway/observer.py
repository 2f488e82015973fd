"""Observes every HTTP request from outside: begins it, counts it, writes its line and ends its span."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aai_gateway.core.traffic import Tally
from aai_gateway.gateway.logs import Logs
from aai_gateway.gateway.observing import LITELLM, MANAGEMENT, Observed, begin, this_minute
from aai_gateway.gateway.wire import ASGIApp, Receive, Scope, Send
from aai_gateway.settings import Settings

if TYPE_CHECKING:
    from aai_gateway.gateway.tracing import Tracing

_NAMED_BY_ROUTE = frozenset({MANAGEMENT, LITELLM})
"""Operations of which the name alone does not say what was asked for."""


class Observer:
    """Observes the requests of one process. Until it is opened it only counts, in `tally`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._logs: Logs | None = None
        self._tracing: Tracing | None = None

    def open(self, settings: Settings) -> None:
        """Begin to log, and to trace where the settings say where to."""
        self._logs = Logs(settings.log_format)
        if settings.traces is not None:
            from aai_gateway.gateway.tracing import Tracing

            self._tracing = Tracing(str(settings.traces))
            self._logs.take_over("opentelemetry", logging.WARNING)

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have `app` serve an HTTP request."""
        observed = begin(scope["headers"])
        if self._tracing is not None:
            observed.trace = self._tracing.begins(scope["method"], scope["headers"], observed)
        try:
            await app(scope, observed.receiving(receive), observed.sending(send))
        except Exception:
            observed.status = observed.status or 500
            raise
        finally:
            if observed.route is None:
                # As FastAPI notes it, of what LiteLLM serves: a template, never the path itself.
                observed.route = getattr(scope.get("route"), "path", None)
            self._ends(scope["method"], observed)

    def _ends(self, method: str, observed: Observed) -> None:
        served = observed.served()
        self._tally.count(served, this_minute())
        if self._logs is not None:
            self._logs.request(served.status >= 500, _fields(method, observed, served.status))
        if observed.trace is not None:
            observed.trace.end(observed, served.status)

    def close(self) -> None:
        """Send the last spans and write the last lines. It takes some seconds at most."""
        if self._tracing is not None:
            self._tracing.close()
        if self._logs is not None:
            self._logs.close()


def _fields(method: str, observed: Observed, status: int) -> dict[str, Any]:
    """What the line of a request says; what is not known is left out."""
    fields: dict[str, Any] = {"request_id": observed.id}
    if (caller := observed.caller) is not None:
        if caller.team is not None:
            fields["team"] = caller.team.alias
        # The key's id, as far as it takes to tell a team's keys apart.
        fields["key"] = caller.key.hash[:12] if caller.key is not None else "master"
    fields["operation"] = observed.operation
    if observed.operation in _NAMED_BY_ROUTE:
        fields["method"] = method
        if observed.route is not None:
            fields["route"] = observed.route
    if observed.region is not None:
        fields["region"] = observed.region.value
    if observed.model is not None:
        fields["model"] = observed.model
    fields["status"] = status
    fields["bytes_in"], fields["bytes_out"] = observed.bytes_in, observed.bytes_out
    fields["ms"] = round(observed.seconds() * 1000, 2)
    if observed.added is not None:
        fields["added_ms"] = round(observed.added * 1000, 2)
    if observed.status is not None and not observed.is_whole:
        fields["broken_off"] = True
    return fields

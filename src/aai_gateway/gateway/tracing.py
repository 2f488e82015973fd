"""Spans for OpenTelemetry, sent to a collector by OTLP: one for each request, one below it for each question.

Imported only where AAI_GATEWAY_TRACES is set. The tracer provider is our own: LiteLLM's is not touched. Names
are those of OpenTelemetry's semantic conventions, sections "HTTP spans" and "Generative AI client spans"; no
attribute holds a key, a path, a query, a header or a text of anybody's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from aai_gateway import __version__
from aai_gateway.core.operations import KNOWN
from aai_gateway.core.regions import Route
from aai_gateway.core.traffic import OK
from aai_gateway.gateway.chat_answer import Answered
from aai_gateway.gateway.observing import Observed
from aai_gateway.gateway.wire import Headers

PATH = "/v1/traces"
"""Where a collector takes traces by OTLP over HTTP."""
SEND_SECONDS = 5.0
"""How long a collector may take to accept what it is sent."""
LAST_SECONDS = 3.0
"""How long the process waits at its end for the last spans to be sent."""
THREAD = "aai-gateway-traces"
"""The thread that sends them."""

_PATHS = {(known.host, known.operation): known.path for known in KNOWN}
_PARENT = (b"traceparent", b"tracestate")


class Tracing:
    """Makes and sends the spans of one process. What a collector does not take in time is dropped."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` is a collector's URL, with or without PATH."""
        base = endpoint.rstrip("/")
        url = base if base.endswith(PATH) else f"{base}{PATH}"
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=SEND_SECONDS)
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "aai-gateway"}
        self._provider = TracerProvider(
            resource=Resource.create({**named, "service.version": __version__}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("aai_gateway", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def begins(self, method: str, headers: Headers, observed: Observed) -> ServerSpan:
        """A request's span, below the client's own when its headers name one."""
        carrier = {name.decode(): value.decode("latin-1") for name, value in headers if name in _PARENT}
        span = self._tracer.start_span(
            method,
            context=self._propagator.extract(carrier)
            if carrier
            else trace.set_span_in_context(trace.INVALID_SPAN),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "aai_gateway.request_id": observed.id},
        )
        return ServerSpan(self._tracer, span, method)

    def close(self) -> None:
        """Send what is left, unless the collector takes it too slowly."""
        ending = threading.Thread(target=self._provider.shutdown, name=THREAD, daemon=True)
        ending.start()
        ending.join(LAST_SECONDS)
        if ending.is_alive():
            # Ends its tries; the thread goes with the process.
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # untyped


class ServerSpan:
    """The span of a request to the gateway."""

    def __init__(self, tracer: trace.Tracer, span: Span, method: str) -> None:
        self._tracer = tracer
        self._span = span
        self._method = method

    def asks(self, host: str, method: str) -> ClientSpan:
        """The span of a request that is made for this one."""
        name, _, port = host.rpartition(":")
        attributes: dict[str, Any] = {"http.request.method": method, "server.address": name or host}
        if name and port.isdigit():
            attributes["server.port"] = int(port)
        context = trace.set_span_in_context(self._span)
        span = self._tracer.start_span(method, context=context, kind=SpanKind.CLIENT, attributes=attributes)
        return ClientSpan(span)

    def heard(self, transcript: Mapping[str, Any]) -> None:
        """What AssemblyAI says of a transcript."""
        self._set(
            {
                "assemblyai.transcript.id": transcript.get("id"),
                "assemblyai.speech_model": transcript.get("speech_model_used"),
                "assemblyai.audio_duration": transcript.get("audio_duration"),
            }
        )

    def end(self, observed: Observed, status: int) -> None:
        """The request is over."""
        caller, route = observed.caller, observed.route
        if observed.target is not None:
            target = observed.target
            route = f"/{Route(target.host, target.region).prefix}{_PATHS[target.host, target.operation]}"
            self._set(
                {
                    "assemblyai.operation": target.operation.value,
                    "assemblyai.transcript.id": target.transcript_id,
                }
            )
        self._set(
            {
                "http.route": route,
                "http.response.status_code": status,
                "http.request.body.size": observed.bytes_in,
                "http.response.body.size": observed.bytes_out,
                "aai_gateway.operation": observed.operation,
                "aai_gateway.team": caller.team.alias if caller is not None and caller.team else None,
                "aai_gateway.added_ms": None if observed.added is None else round(observed.added * 1000, 3),
                "assemblyai.region": None if observed.region is None else observed.region.value,
            }
        )
        self._span.update_name(f"{self._method} {route or observed.operation}")
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def _set(self, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            if isinstance(value, str | int | float):
                self._span.set_attribute(name, value)


class ClientSpan:
    """The span of a request to another host."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def chats(self, model: str) -> None:
        """It asks a model for a completion."""
        self._span.update_name(f"chat {model}")
        self._span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "assemblyai",
                "gen_ai.request.model": model,
            }
        )

    def used(self, answered: Answered, model: str) -> None:
        """What the answer says of its model and tokens."""
        self._span.set_attributes(
            {
                "gen_ai.response.model": model,
                "gen_ai.usage.input_tokens": answered.tokens.prompt,
                "gen_ai.usage.output_tokens": answered.tokens.completion,
            }
        )

    def answered(self, status: int) -> None:
        """The answer has begun."""
        self._span.set_attribute("http.response.status_code", status)

    def end(self, outcome: str | None) -> None:
        """It is over, with this outcome; None where it was given up."""
        if outcome not in (OK, None):
            self._span.set_attribute("error.type", str(outcome))
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

"""Every touch of uvicorn, in one place: what a connection may cost before there is a request.

uvicorn waits for a request's head as long as the client likes, and takes a head and a URL of any size; what
it cannot read it answers in plain text. What the gateway relies on to do otherwise (checked by
`tests/gateway/test_server_host.py`):

- `HttpToolsProtocol` is instantiated once for each connection, by calling the class;
- httptools calls `on_message_begin`, `on_url`, `on_header`, `on_headers_complete`, `on_body` and
  `on_message_complete` of the instance; an exception in one of them comes to `send_400_response` as does
  whatever httptools cannot read itself, and is the exception being handled there;
- `on_header` is called for trailers too, after `on_headers_complete`;
- a request that asks for an upgrade has no body for httptools, whatever its `Content-Length` says;
- `cycle` is the last request's, `pipeline` those that wait; `on_response_complete` is called after an answer;
- `connections` holds all open connections, this one included from `connection_made` on;
- it logs a request when the logger `uvicorn.access` has handlers as its connection is made;
- its idle time-out ends with the first byte that comes, also of a body that nobody reads any more.

Under gunicorn uvicorn's worker is the same server. granian and hypercorn have limits of their own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aai_gateway.core.heads import HeadFault, head_fault, unknown_method
from aai_gateway.core.operations import route_of
from aai_gateway.settings import Settings

log = logging.getLogger("aai_gateway")

LINGER_SECONDS = 2.0
"""How long a refused client may take to read the refusal before its connection is reset."""
RESERVED_FILES = 256
"""Files of the process's limit that are not given to clients: the store, AssemblyAI, logs."""
ENOUGH_FILES = 4096
"""Open files below which many clients cannot be served."""

_NEEDED = (
    *("connection_made", "data_received", "connection_lost", "send_400_response"),
    *("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete"),
    "on_response_complete",
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds for a head to come, bytes of a head and of a URL, and connections at once (None: any)."""

    head_seconds: float
    head_bytes: int
    url_bytes: int
    connections: int | None = None


def raise_file_limit() -> int:
    """Raise this process's limit of open files as far as it may; the limit then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:
            log.warning("the limit of open files stays at %s: %s", soft, error)
    if soft != resource.RLIM_INFINITY and soft < ENOUGH_FILES:
        log.warning("this process may open %s files: that many clients at most can be connected", soft)
    return soft


def connection_limits(settings: Settings, open_files: int) -> ConnectionLimits:
    """The limits that the settings make for a process that may open so many files."""
    unlimited = open_files == resource.RLIM_INFINITY
    return ConnectionLimits(
        settings.head_timeout,
        settings.max_head_bytes,
        settings.max_url_bytes,
        None if unlimited else max(open_files - RESERVED_FILES, open_files // 2),
    )


def guard_connections(limits: ConnectionLimits) -> bool:
    """Have uvicorn keep to `limits` on every connection from now on. Idempotent.

    False, with a warning, where uvicorn is not as expected: the gateway serves without the limits.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
    except ImportError as error:
        log.warning("slow and oversized request heads are not limited: %s", error)
        return False
    if missing := [name for name in _NEEDED if not callable(getattr(Protocol, name, None))]:
        log.warning("slow and oversized request heads are not limited: uvicorn has no %s", ", ".join(missing))
        return False
    if "__new__" in vars(Protocol):
        return True
    guarded = _guarded(Protocol, limits)

    def new(cls: type, *_: Any, **__: Any) -> Any:
        return object.__new__(guarded if cls is Protocol else cls)

    # The servers that run have taken the class by now; only its instances can still be others.
    Protocol.__new__ = new  # type: ignore[method-assign]  # the one place where it can be caught
    return True


def leave_out_access_log() -> None:
    """Have uvicorn log no requests: the gateway does, and never an URL, which may be a secret."""
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False


def refusal_bytes(url: bytes, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A whole HTTP answer that ends the connection, in the shape that clients of `url`'s route read."""
    path = url.decode("latin-1").partition("?")[0]
    error: Any = text
    if path.startswith("/") and route_of(path) is None:
        error = {"message": text, "type": "invalid_request_error", "param": None, "code": str(status)}
    body = json.dumps({"error": error}, separators=(",", ":")).encode()
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "content-type: application/json"]
    lines += [f"content-length: {len(body)}", "connection: close", *(f"{n}: {v}" for n, v in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _guarded(protocol: Any, limits: ConnectionLimits) -> type:
    """uvicorn's protocol with limits. `_unread` counts the bytes since the last head or piece of a body."""

    class GuardedProtocol(protocol):  # type: ignore[misc]  # a variable
        def __init__(self, *values: Any, **named: Any) -> None:
            self._unread = 0
            self._in_body = self._refused = False
            self._fault: HeadFault | None = None
            self._deadline: asyncio.TimerHandle | None = None
            super().__init__(*values, **named)
            self.url = b""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if limits.connections is not None and len(self.connections) > limits.connections:
                self._refuse(503, "The gateway has no connection left; try again.", [("retry-after", "1")])
            else:
                self._set_deadline()

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_deadline()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._refused:
                return
            self._unread += len(data)
            if self._deadline is None and not self._in_body:
                self._set_deadline()
            super().data_received(data)
            if self._unread > limits.head_bytes and not self._refused:
                self._refuse(431, f"The request's head has more than {limits.head_bytes} bytes.")

        def on_message_begin(self) -> None:
            self._fault = None
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            super().on_url(url)
            if len(self.url) > limits.url_bytes:
                self._fail(HeadFault(414, f"The URL has more than {limits.url_bytes} bytes."))

        def on_header(self, name: bytes, value: bytes) -> None:
            # After the head these are trailers: what decides about a request stands in its head.
            if not self._in_body:
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            method = self.parser.get_method().decode("ascii")
            upgrades = self.parser.should_upgrade()
            fault = head_fault(method, self.url, self.headers, upgrades=upgrades, limit=limits.head_bytes)
            if fault is not None:
                self._fail(fault)
            self._unread = 0
            self._in_body = True
            self._end_deadline()
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._unread = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._unread = 0
            self._in_body = False
            super().on_message_complete()
            if self.cycle is not None and self.cycle.response_complete:
                self._set_deadline()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._in_body and self.cycle.response_complete:
                # What is left of its body is of no use: the client may end it, and not take for ever.
                self._set_deadline()

        def send_400_response(self, msg: str) -> None:
            fault = self._fault
            error = sys.exc_info()[1]
            if fault is None and type(error).__name__ == "HttpParserInvalidMethodError":
                fault = unknown_method()
            if fault is None:
                # httptools' own reason; of what failed in uvicorn, nothing that a client could read.
                reason = str(error).partition("callback error")[0].strip(" `") if error else ""
                fault = HeadFault(400, f"Invalid HTTP request: {reason or 'it cannot be read'}.")
            self._refuse(fault.status, fault.text, fault.headers)

        def _fail(self, fault: HeadFault) -> None:
            self._fault = fault
            raise ValueError(fault.text)

        def _set_deadline(self) -> None:
            self._end_deadline()
            self._deadline = self.loop.call_later(limits.head_seconds, self._late)

        def _end_deadline(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _late(self) -> None:
            if self._unread and not self._in_body:
                self._refuse(408, f"The request's head did not come within {limits.head_seconds:g} seconds.")
            else:
                self.transport.close()

        def _refuse(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> None:
            self._refused = True
            self._end_deadline()
            if self.transport.is_closing():
                return
            if not self._may_answer():
                if self._in_body:
                    self.transport.close()
                else:
                    # What was asked before is answered still; uvicorn closes after the last answer.
                    self.cycle.keep_alive = False
                return
            self.transport.write(refusal_bytes(self.url, status, text, headers))
            if self.transport.can_write_eof():
                # A close with bytes unread would reset the connection, and the refusal with it.
                self.transport.write_eof()
                self.loop.call_later(LINGER_SECONDS, self.transport.close)
            else:
                self.transport.close()

        def _may_answer(self) -> bool:
            """Whether what is written now would be read as the answer to the request being received."""
            cycle = self.cycle
            if cycle is None or cycle.response_complete:
                return True
            return self._in_body and not cycle.response_started and not self.pipeline

    return GuardedProtocol

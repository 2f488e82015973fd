"""One request as it is observed: who asked for what, how it ended, and how long it waited for others.

The data plane begins one for each HTTP request; whoever comes to know something of it says so to `current()`.
Outside of a request that is one which nobody reads.
"""

from __future__ import annotations

import re
import secrets
import time
from contextvars import ContextVar
from datetime import datetime, timezone
from time import perf_counter
from typing import TYPE_CHECKING

from aai_gateway.core.operations import Target
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller
from aai_gateway.core.traffic import Served, Tally, minute_of, outcome_of
from aai_gateway.gateway.wire import Headers, Message, Receive, Send

if TYPE_CHECKING:
    from aai_gateway.gateway.tracing import ClientSpan, ServerSpan

REQUEST_ID = b"x-request-id"
CLIENT_GONE = 499
"""The status of a request whose client left before its answer began."""
UNKNOWN, MANAGEMENT, WEBHOOK, METRICS, DASHBOARD, CHAT, MODELS, LITELLM = (
    *("unknown", "management", "webhook", "metrics", "dashboard", "chat", "models", "litellm"),
)
"""What requests are called beside the operations of `core.operations`."""

_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_MODEL = re.compile(r"[A-Za-z0-9._:/@+-]{1,100}")
_LITELLMS_CHAT = re.compile(r".*/(?:completions|responses|messages|models/.+:(?:stream)?[gG]enerateContent)")
_LITELLMS_MODELS = re.compile(r".*/(?:models(?:/[^:]+)?|model/info|model_group/info)")


class Observed:
    """One request. What is not known is None; nothing in it is secret or an end user's.

    `added` is the seconds that the gateway itself took up to the start of its answer, None before that and
    where it is not known how long it waited: `waits_are_known` is False then.
    """

    __slots__ = (
        *("id", "operation", "region", "target", "route", "caller", "model", "status"),
        *("bytes_in", "bytes_out", "is_whole", "waits_are_known", "added", "trace"),
        *("_begun", "_waits", "_waits_since", "_waited", "_is_read"),
    )

    def __init__(self, id_: str = "") -> None:
        self.id = id_
        self.operation = UNKNOWN
        self.region: Region | None = None
        self.target: Target | None = None
        self.route: str | None = None
        self.caller: Caller | None = None
        self.model: str | None = None
        self.status: int | None = None
        self.bytes_in = self.bytes_out = 0
        self.is_whole = False
        self.waits_are_known = True
        self.added: float | None = None
        self.trace: ServerSpan | None = None
        self._begun = perf_counter()
        self._waits = 0
        self._waits_since = self._waited = 0.0
        self._is_read = False

    # -- what it is -----------------------------------------------------------------------------------------

    def on_target(self, target: Target) -> None:
        """It is this operation of AssemblyAI's."""
        self.operation = target.operation.value
        self.region = target.region
        self.target = target

    def on_litellm(self, path: str) -> None:
        """It is for LiteLLM."""
        if _LITELLMS_CHAT.fullmatch(path):
            self.operation = CHAT
        elif _LITELLMS_MODELS.fullmatch(path):
            self.operation = MODELS
        else:
            self.operation, self.waits_are_known = LITELLM, False

    def on_model(self, model: str, region: Region) -> None:
        """It is for a model of AssemblyAI's; what cannot be a model's name is left out."""
        self.model = model if _MODEL.fullmatch(model) else None
        self.region = region

    def on_other_provider(self, model: str) -> None:
        """LiteLLM asks a provider, and does not say how long it waits for it."""
        self.model = model if _MODEL.fullmatch(model) else None
        self.waits_are_known = False

    # -- how long it waits ----------------------------------------------------------------------------------

    def waiting(self) -> Waiting:
        """The `with` block waits for others. Blocks may overlap."""
        return Waiting(self)

    def wait_begins(self) -> None:
        """From now on it waits for one more."""
        if not self._waits:
            self._waits_since = perf_counter()
        self._waits += 1

    def wait_ends(self) -> None:
        """It waits for one less."""
        self._waits -= 1
        if not self._waits:
            self._waited += perf_counter() - self._waits_since

    def seconds(self) -> float:
        """Since it began."""
        return perf_counter() - self._begun

    def served(self) -> Served:
        """What counts of it."""
        region = "" if self.region is None else self.region.value
        added = None if self.added is None else round(self.added * 1_000_000)
        return Served(
            self.operation, region, self.status or CLIENT_GONE, self.bytes_in, self.bytes_out, added
        )

    # -- as it passes ---------------------------------------------------------------------------------------

    def receiving(self, receive: Receive) -> Receive:
        """`receive`, observed: up to its end, the body is waited for."""

        async def observing() -> Message:
            if self._is_read:
                return await receive()
            self.wait_begins()
            try:
                message = await receive()
            finally:
                self.wait_ends()
            if body := message.get("body"):
                self.bytes_in += len(body)
            self._is_read = not message.get("more_body")
            return message

        return observing

    def sending(self, send: Send) -> Send:
        """`send`, observed; the answer gets the request's id."""

        async def observing(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.body":
                self.bytes_out += len(message.get("body", b""))
                self.is_whole = not message.get("more_body")
            elif kind == "http.response.start":
                self._begins(message["status"])
                message = {**message, "headers": self._with_id(message["headers"])}
            await send(message)

        return observing

    def _begins(self, status: int) -> None:
        self.status = status
        if self.waits_are_known:
            now = perf_counter()
            waited = self._waited + (now - self._waits_since if self._waits else 0.0)
            self.added = max(0.0, now - self._begun - waited)

    def _with_id(self, headers: Headers) -> Headers:
        kept = [pair for pair in headers if pair[0].lower() != REQUEST_ID]
        return [*kept, (REQUEST_ID, self.id.encode())]


class Waiting:
    """A `with` block in which a request waits for others."""

    __slots__ = ("_observed",)

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def __enter__(self) -> None:
        self._observed.wait_begins()

    def __exit__(self, *_: object) -> None:
        self._observed.wait_ends()


_current: ContextVar[Observed] = ContextVar("aai_gateway_observed")


def current() -> Observed:
    """The request that is being served; outside of one, one that nobody reads."""
    return _current.get(None) or Observed()


def begin(headers: Headers) -> Observed:
    """Begin to observe a request, which is `current()` in what is done for it."""
    observed = Observed(_request_id(headers))
    _current.set(observed)
    return observed


def _request_id(headers: Headers) -> str:
    """The client's own id for its request, if it can stand anywhere, or a new one."""
    for name, value in headers:
        if name == REQUEST_ID and _ID.fullmatch(value):
            return value.decode()
    return secrets.token_hex(16)


class Asking:
    """A request to another host, which is waited for until its answer begins; `end` is called in any case.

    It counts for its host by its `outcome`: one without, as when the client left, is nobody's.
    """

    __slots__ = ("_host", "_is_waited_for", "_observed", "_tally", "outcome", "span")

    def __init__(self, tally: Tally, host: str, method: str) -> None:
        self._tally = tally
        self._host = host
        self._observed = observed = current()
        self.outcome: str | None = None
        self.span: ClientSpan | None = observed.trace.asks(host, method) if observed.trace else None
        self._is_waited_for = True
        observed.wait_begins()

    @property
    def request_id(self) -> str:
        """The id of the request that it is made for; empty for one of the gateway's own."""
        return self._observed.id

    def answered(self, status: int) -> None:
        """Its answer has begun."""
        self.outcome = outcome_of(status)
        if self.span is not None:
            self.span.answered(status)
        self._waited()

    def end(self) -> None:
        """It is over. A second call does nothing."""
        self._waited()
        if self.span is not None:
            self.span.end(self.outcome)
            self.span = None
        if self.outcome is not None:
            self._tally.count_asked(self._host, self.outcome, this_minute())
            self.outcome = None

    def _waited(self) -> None:
        if self._is_waited_for:
            self._is_waited_for = False
            self._observed.wait_ends()


_minute = (-1, "")


def this_minute() -> str:
    """The name of this UTC minute."""
    global _minute
    number = int(time.time()) // 60
    if _minute[0] != number:
        _minute = (number, minute_of(datetime.fromtimestamp(number * 60, timezone.utc)))
    return _minute[1]

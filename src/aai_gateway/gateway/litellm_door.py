"""What a request must be before LiteLLM sees it: whole, not too large, and read the same by every reader.

LiteLLM reads a body before it asks who is calling, whole, in whatever form it comes, and what it cannot use
ends in a 500. It buffers it anyway, so reading it here first costs only the look (0.2 ms for 30 KB).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request

from aai_gateway.core.model_requests import require_readable, require_readable_headers
from aai_gateway.core.presented import key_of_request
from aai_gateway.errors import GatewayError, InvalidRequest, Refused, Unauthenticated
from aai_gateway.gateway import litellm_host
from aai_gateway.gateway.data_plane import notes
from aai_gateway.gateway.wire import (
    MOST_VALUES,
    ASGIApp,
    ClientGone,
    Message,
    Receive,
    Scope,
    Send,
    all_headers,
    body_chunks,
    header,
    parse_json_object,
    require_length_within,
    respond_json,
)
from aai_gateway.wire_errors import own_words

log = logging.getLogger("aai_gateway")

UNKNOWN_CALLER_LIMIT = 64 * 1024
"""Bytes that are kept of a body before its sender has shown a key that is known."""

MOST_TOKENS = 1_000_000
"""Values of a body of texts to embed: clients send them as tokens, a thousand texts at once."""

_LONGEST_MESSAGE = 300
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_TAKES_TOKENS = re.compile(r".*/embeddings")
_TAKES_FILES = re.compile(r".*/(?:audio/transcriptions|images/edits)")
_NAMES_MODEL = re.compile(r".*/(?:engines|deployments|models)/.+|.*/moderations")
"""Routes whose body need not name a model: the path does, or the provider has one of its own."""


class LiteLLMDoor:
    """ASGI middleware right in front of LiteLLM. `admit` raises Refused for a request without a known key."""

    def __init__(
        self, inner: ASGIApp, *, admit: Callable[[Scope], Awaitable[object]], body_limit: int
    ) -> None:
        self._inner = inner
        self._admit = admit
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a request that LiteLLM can read; answer any other in OpenAI's shape."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        try:
            receive = await self._checked(scope, receive)
        except ClientGone:
            return
        except Refused as refusal:
            await _refuse(send, refusal)
            return
        except GatewayError as error:
            await _refuse(send, error)
            return
        passing = _Passing(receive, send, litellm_host.is_model_request(Request(scope)))
        try:
            await self._inner(scope, passing.receive, passing.send)
        except Exception as error:
            if passing.trouble is None:
                if passing.may_stumble:
                    await _refuse(send, _stumbled(str(_first_cause(error))))
                elif notes().caller is None and not passing.started:
                    log.warning("LiteLLM failed on a request before it knew who asks")
                    await _refuse(send, Unauthenticated())
                else:
                    raise
                return
        if passing.trouble is not None and not passing.started:
            await _refuse(send, passing.trouble)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """What LiteLLM receives. Raises Refused or ClientGone."""
        key_of_request(scope["headers"])  # one key, or none
        model_route = litellm_host.is_model_request(Request(scope))
        if model_route:
            require_readable_headers(all_headers(scope))
        if not _has_body(scope):
            if model_route and scope["method"] == "POST":
                parse_json_object(b"null")
            return receive
        require_length_within(scope, self._body_limit)
        kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        if kind in _FORMS:
            if model_route:
                if not _TAKES_FILES.fullmatch(scope["path"]):
                    raise Refused("The request body must be a JSON object.", status=415)
                await self._admit(scope)
            return _streamed(receive, self._body_limit)
        if not model_route and kind and not kind.endswith("json"):
            return _streamed(receive, self._body_limit)
        body = await self._read(scope, receive)
        if body or model_route:
            takes_tokens = _TAKES_TOKENS.fullmatch(scope["path"]) is not None
            data = parse_json_object(body, MOST_TOKENS if takes_tokens else MOST_VALUES)
            if model_route:
                require_readable(data, names_model=_NAMES_MODEL.fullmatch(scope["path"]) is not None)
        return _replayed(body, receive)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size, admitted = 0, False
        async for chunk in body_chunks(receive, self._body_limit):
            size += len(chunk)
            if size > UNKNOWN_CALLER_LIMIT and not admitted:
                await self._admit(scope)
                admitted = True
            parts.append(chunk)
        return b"".join(parts)


class _Passing:
    """What goes to and fro while LiteLLM serves; `trouble` is why its reading of the body had to end.

    On a route of a model, a 500 before anything went to a provider says that LiteLLM stumbled over the
    request: `self`, say, is no parameter that it can take. That is answered as the 400 that it is. What fails
    in the gateway itself is a 503 before it gets here. After that a 500 may be a refusal of AssemblyAI's, as
    LiteLLM tells it on Gemini's routes.
    """

    def __init__(self, receive: Receive, send: Send, is_model_route: bool) -> None:
        self._receive = receive
        self._send = send
        self._is_model_route = is_model_route
        self._stumbled: bytes | None = None
        self.started = False
        self.trouble: Refused | None = None

    @property
    def may_stumble(self) -> bool:
        """Whether a failure now is one over the request."""
        is_refused = _refused_status() is not None or not notes().handed_on
        return self._is_model_route and not self.started and is_refused

    async def receive(self) -> Message:
        try:
            return await self._receive()
        except Refused as trouble:
            self.trouble = trouble
        except ClientGone:
            pass
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.trouble is not None and not self.started:
            return
        if self.may_stumble and message.get("status") == 500:
            self._stumbled = b""
        self.started = True
        if self._stumbled is None:
            await self._send(message)
            return
        self._stumbled += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await _refuse(self._send, _stumbled(_message(self._stumbled)))


def _has_body(scope: Scope) -> bool:
    return header(scope, b"transfer-encoding") is not None or header(scope, b"content-length") not in (
        None,
        "0",
    )


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A receive that gives `body` whole, and then what comes after it: the end of the connection."""
    given = False

    async def replaying() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


def _streamed(receive: Receive, limit: int) -> Receive:
    """A receive that raises Refused (413) after `limit` bytes."""
    chunks = body_chunks(receive, limit)
    is_whole = False

    async def streaming() -> Message:
        nonlocal is_whole
        if is_whole:
            return await receive()
        async for chunk in chunks:
            return {"type": "http.request", "body": chunk, "more_body": True}
        is_whole = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return streaming


async def _refuse(send: Send, error: GatewayError) -> None:
    told = litellm_host.openai_error(error)
    headers = error.headers if isinstance(error, Refused) else None
    await respond_json(send, int(told.code), {"error": told.to_dict()}, headers)


def _refused_status() -> int | None:
    """The status of AssemblyAI's last refusal, unless that says no more than a 500 does."""
    status = (notes().refused or (500,))[0]
    return status if status >= 400 and status != 500 else None


def _stumbled(message: str) -> GatewayError:
    """What the client hears: the gateway's own refusal or AssemblyAI's, if LiteLLM stumbled over one."""
    if (refusal := notes().refusal) is not None:
        return refusal
    if notes().handed_on:
        return Refused(own_words(message), status=_refused_status())
    reason = message.partition("\n")[0][:_LONGEST_MESSAGE].rstrip(".")
    log.warning("LiteLLM failed on a request before anything was sent: %s", reason)
    return InvalidRequest(f"The request cannot be served as it is: {reason}.")


def _message(body: bytes) -> str:
    try:
        return str(orjson.loads(body)["error"]["message"])
    except (ValueError, TypeError, KeyError):
        return "it cannot be read"


def _first_cause(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error

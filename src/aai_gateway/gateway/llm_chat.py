"""`POST /v1/chat/completions` of the LLM Gateway's own routes: LiteLLM's chat under AssemblyAI's names.

The request goes to LiteLLM's route of the same name inside the process, its model with the prefix of the
region: hooks, holds, ledger and ownership are those of `gateway.chat`. Errors come back in the LLM Gateway's
shape, AssemblyAI's own as they were.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from aai_gateway.core.presented import key_of_request
from aai_gateway.core.regions import Region, region_of_model
from aai_gateway.errors import InvalidRequest, UnknownOperation
from aai_gateway.gateway.data_plane import LITELLM, notes
from aai_gateway.gateway.forwarding import Call
from aai_gateway.gateway.identifiers import without_identifiers
from aai_gateway.gateway.llm_refusals import llm_error
from aai_gateway.gateway.wire import ASGIApp, Headers, Message, Scope, parse_json_object, read_body, respond
from aai_gateway.wire_errors import own_words

BODY_LIMIT = 32 * 1024 * 1024
PATH = "/v1/chat/completions"

_LITELLMS = ("context_window_fallbacks", "content_policy_fallbacks")
_REPLACED = frozenset(
    {b"authorization", b"content-length", b"content-type", b"cookie", b"transfer-encoding"}
    | {b"api-key", b"ocp-apim-subscription-key", b"x-api-key", b"x-goog-api-key"}
    | {b"x-litellm-api-key", b"x-litellm-key"}
)
"""Headers that LiteLLM could take another key from, or that say how long the client's body was."""


async def complete(call: Call) -> None:
    """Serve one completion."""
    litellm: ASGIApp | None = call.scope.get(LITELLM)
    if litellm is None:
        raise UnknownOperation("There is no LiteLLM here that could serve chat.")
    body = parse_json_object(await read_body(call.receive, BODY_LIMIT))
    sent = json.dumps(for_litellm(body, call.region)).encode()
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await call.receive()
        given = True
        return {"type": "http.request", "body": sent, "more_body": False}

    key = key_of_request(call.scope["headers"]) or ""
    await litellm(_inner_scope(call.scope, key, len(sent)), receive, _Reshaped(call).send)


def for_litellm(body: Mapping[str, Any], region: Region) -> dict[str, Any]:
    """The body as LiteLLM's route takes it. Raises InvalidRequest.

    AssemblyAI turns a `prompt` into a user's message. Its `fallbacks` stay as they are; LiteLLM's own are
    refused: they could lead to another region than the route's.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model is required and must be a string.")
    if region_of_model(model) is not None:
        bare = model.partition("/")[2]
        raise InvalidRequest(f"Models have AssemblyAI's own names here: {bare}, without a prefix.")
    fallbacks = body.get("fallbacks")
    if fallbacks is not None and not (
        isinstance(fallbacks, list) and all(isinstance(entry, Mapping) for entry in fallbacks)
    ):
        raise InvalidRequest("fallbacks must be a list of objects, each with a model.")
    for name in _LITELLMS:
        if name in body:
            raise InvalidRequest(f"{name} is no parameter of AssemblyAI's.")
    sent = {**body, "model": f"{region.model_prefix}{model}"}
    if not sent.get("messages") and isinstance(prompt := sent.pop("prompt", None), str):
        sent["messages"] = [{"role": "user", "content": prompt}]
    return sent


def _inner_scope(scope: Scope, key: str, length: int) -> Scope:
    """The request to LiteLLM's route, with no other key in it than the one that was checked."""
    headers = [
        *((name, value) for name, value in scope["headers"] if name not in _REPLACED),
        (b"authorization", f"Bearer {key}".encode("latin-1")),
        (b"content-type", b"application/json"),
        (b"content-length", str(length).encode()),
    ]
    own = {name: value for name, value in scope.items() if name != LITELLM}
    return {
        **own,
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }


class _Reshaped:
    """Passes a completion on, streamed or not, and gives an error the LLM Gateway's shape."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._refused: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """One message of LiteLLM's answer."""
        if message["type"] == "http.response.start" and message["status"] != 200:
            self._refused = message
        elif self._refused is None:
            await self._call.send(message)
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                headers: Headers = [
                    (name, value)
                    for name, value in self._refused["headers"]
                    if name.lower() not in (b"content-length", b"content-type")
                ]
                status = self._refused["status"]
                told = (b"content-type", b"application/json")
                await respond(self._call.send, status, [*headers, told], error_body(status, self._body))


def error_body(status: int, body: bytes) -> bytes:
    """AssemblyAI's own refusal, if that is what LiteLLM passes on; else what LiteLLM says, in its shape."""
    refused = notes().refused
    if refused is not None and refused[0] == status and _is_llm_error(refused[1]):
        return without_identifiers(refused[1])
    error = llm_error(status, _message(body), str(uuid.uuid4()))
    return json.dumps(error, separators=(",", ":")).encode()


def _is_llm_error(body: bytes) -> bool:
    answer = _json(body)
    return isinstance(answer, dict) and ("message" in answer or "error" in answer)


def _message(body: bytes) -> str:
    """What LiteLLM's error says, without what it puts around AssemblyAI's words."""
    answer = _json(body)
    error = answer.get("error") if isinstance(answer, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    if not isinstance(text, str):
        return "The gateway failed on this request."
    return own_words(text)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return None

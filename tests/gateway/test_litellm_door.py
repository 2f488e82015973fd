"""What LiteLLM is given, and what a client hears when LiteLLM fails on it. The inner app is a test's."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from aai_gateway.core.tenancy import MASTER
from aai_gateway.errors import BudgetExceeded, ClientTooSlow, StoreError, Unauthenticated
from aai_gateway.gateway.data_plane import DataPlane, notes
from aai_gateway.gateway.litellm_door import UNKNOWN_CALLER_LIMIT, LiteLLMDoor
from aai_gateway.gateway.wire import Message, Receive, Scope, Send, body_chunks, respond, respond_json

CHAT = "/v1/chat/completions"
BODY = b'{"model": "assemblyai/gpt-5", "messages": []}'
LIMIT = 300_000
Inner = Callable[[Scope, Receive, Send], Awaitable[None]]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = b"".join([chunk async for chunk in body_chunks(receive, 1 << 30)])
    await respond(send, 200, [], body)


async def known(scope: Scope) -> None:
    """Everybody is."""


async def ask(
    inner: Inner,
    parts: Sequence[bytes | Exception] = (BODY,),
    path: str = CHAT,
    content_type: str = "application/json",
    admit: Callable[[Scope], Awaitable[object]] = known,
    **headers: str,
) -> tuple[int, bytes]:
    """Status and body of the answer to a POST of these parts."""
    waiting, sent = list(parts), list[Message]()

    async def receive() -> Message:
        if not waiting:
            return {"type": "http.disconnect"}
        part = waiting.pop(0)
        if isinstance(part, Exception):
            raise part
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    given = {"content-type": content_type, "transfer-encoding": "chunked", **headers}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    door = LiteLLMDoor(inner, admit=admit, body_limit=LIMIT)
    plane = DataPlane(
        door,
        speech=echo,
        management=echo,
        webhooks=echo,
        dashboard=echo,
        is_management=lambda *_: False,
        client_timeout=60,
    )
    await plane(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def text_of(body: bytes) -> str:
    return str(json.loads(body)["error"]["message"])


async def test_litellm_gets_a_body_as_it_was_written():
    assert (200, BODY) == await ask(echo, [BODY[:5], BODY[5:]])
    assert (200, b"\xff\0") == await ask(echo, [b"\xff", b"\0"], "/otel", "application/x-protobuf")
    form = "multipart/form-data; boundary=x"
    assert (200, b"--x") == await ask(echo, [b"--", b"x"], "/v1/audio/transcriptions", form)


async def test_what_is_no_json_object_does_not_get_there():
    status, body = await ask(echo, [b"[1]"])
    assert (400, "The request body must be a JSON object.") == (status, text_of(body))
    assert 400 == (await ask(echo, [b"[1]"], "/team/member_add"))[0]
    assert 200 == (await ask(echo, [b""], "/cache/flushall"))[0]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "audio/wav"])
async def test_no_body_may_be_too_large(content_type: str):
    path = CHAT if "json" in content_type else "/v1/audio/transcriptions" if "form" in content_type else "/x"
    status, body = await ask(echo, [b" " * LIMIT, b" "], path, content_type)
    assert (413, f"The request body is larger than {LIMIT} bytes.") == (status, text_of(body))


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x"])
async def test_a_silent_client_is_told_so(content_type: str):
    path = CHAT if "json" in content_type else "/v1/audio/transcriptions"
    status, body = await ask(echo, [b"{", ClientTooSlow(5)], path, content_type)
    assert (408, "Nothing of the request's body came for 5 seconds.") == (status, text_of(body))


async def test_little_is_kept_for_who_is_not_known():
    async def nobody(scope: Scope) -> None:
        assert (b"authorization", b"Bearer sk-a") in scope["headers"]
        raise Unauthenticated

    small = b'{"model": "a"}'
    assert (200, small) == await ask(echo, [small], admit=nobody, authorization="Bearer sk-a")
    form = "application/x-www-form-urlencoded"
    assert (200, b"a=b") == await ask(echo, [b"a=b"], "/login", form, nobody)
    large = [b'{"model": "', b"a" * UNKNOWN_CALLER_LIMIT, b'"}']
    assert 401 == (await ask(echo, large, admit=nobody, authorization="Bearer sk-a"))[0]


async def test_the_gateways_own_trouble_is_a_503():
    async def failing(scope: Scope) -> None:
        raise StoreError("The store cannot be read: secret detail")

    status, body = await ask(echo, [b'{"model": "', b"a" * UNKNOWN_CALLER_LIMIT, b'"}'], admit=failing)
    assert (503, "The gateway cannot serve this now.") == (status, text_of(body))


async def test_a_failure_before_anything_was_sent_is_one_over_the_request():
    async def stumbling(scope: Scope, receive: Receive, send: Send) -> None:
        await respond_json(send, 500, {"error": {"message": "got multiple values for 'self'"}})

    async def raising(scope: Scope, receive: Receive, send: Send) -> None:
        notes().caller = MASTER
        raise RuntimeError("wrapped") from ValueError("got multiple values for 'self'")

    for inner in (stumbling, raising):
        status, body = await ask(inner)
        text = "The request cannot be served as it is: got multiple values for 'self'."
        assert (400, text) == (status, text_of(body))
    assert 500 == (await ask(stumbling, [b"{}"], "/config/update"))[0]
    with pytest.raises(RuntimeError):
        await ask(raising, [b"{}"], "/config/update")


async def test_tokens_to_embed_may_be_many():
    tokens = b'{"model": "openai/text-embedding-3-small", "input": [[%s]]}' % b",".join([b"1"] * 60_000)

    assert 200 == (await ask(echo, [tokens], "/v1/embeddings"))[0]
    status, body = await ask(echo, [tokens])
    assert (400, "The request body holds more than 50,000 values.") == (status, text_of(body))


async def test_a_failure_over_a_request_without_a_known_key_is_a_401():
    """LiteLLM's route for Langfuse takes apart a header that need not be there."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise AttributeError("'NoneType' object has no attribute 'replace'")

    assert 401 == (await ask(failing, [b"{}"], "/langfuse/api/public/ingestion"))[0]


async def test_a_refusal_of_the_gateways_that_litellm_wraps_stays_what_it_is():
    async def wrapping(scope: Scope, receive: Receive, send: Send) -> None:
        notes().refusal = BudgetExceeded("Budget has been exceeded!")
        await respond_json(send, 500, {"error": {"message": "APIConnectionError: Budget has been exceeded!"}})

    status, body = await ask(wrapping)
    assert (422, "Budget has been exceeded!") == (status, text_of(body))


async def test_a_failure_of_a_provider_stays_what_it_is():
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        notes().handed_on = True
        await respond_json(send, 500, {"error": {"message": "the provider's"}})

    status, body = await ask(failing)
    assert (500, "the provider's") == (status, text_of(body))

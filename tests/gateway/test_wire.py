from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from aai_gateway.errors import InvalidRequest, Refused
from aai_gateway.gateway.wire import (
    ClientGone,
    Message,
    Receive,
    parse_json_object,
    read_body,
    request_headers,
    response_headers,
)


def receiving(messages: Iterable[Message]) -> Receive:
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    return receive


def part(body: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_put_together_up_to_its_limit():
    parts = [part(b"ab", True), part(b"", True), part(b"c", False)]
    assert b"abc" == await read_body(receiving(parts), 3)
    with pytest.raises(Refused) as caught:
        await read_body(receiving(parts), 2)
    assert 413 == caught.value.status


async def test_a_client_that_leaves_before_the_end_is_gone():
    with pytest.raises(ClientGone):
        await read_body(receiving([part(b"ab", True), {"type": "http.disconnect"}]), 10)


def test_only_what_assemblyai_needs_of_the_clients_headers_goes_up():
    sent = [
        (b"authorization", b"Bearer sk-virtual"),
        (b"cookie", b"a=b"),
        (b"x-litellm-tags", b"a"),
        (b"range", b"bytes=1-"),
        (b"user-agent", b"AssemblyAI/1.0 \xe9"),
        (b"content-type", b"audio/wav"),
        (b"accept-encoding", b"gzip"),
    ]
    assert {
        "user-agent": "AssemblyAI/1.0 \xe9",
        "content-type": "audio/wav",
        "authorization": "account-key",
        "accept-encoding": "identity",
    } == request_headers({"headers": sent}, "account-key")


def test_of_assemblyais_headers_those_of_its_connection_stay_behind():
    given = [
        (b"Content-Type", b"application/json"),
        (b"Retry-After", b"3"),
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Set-Cookie", b"a=b"),
        (b"Content-Length", b"3"),
        (b"X-RateLimit-Remaining", b"1"),
        (b"X-RateLimit-Remaining", b"2"),
    ]
    assert [
        (b"content-type", b"application/json"),
        (b"retry-after", b"3"),
        (b"x-ratelimit-remaining", b"1"),
        (b"x-ratelimit-remaining", b"2"),
    ] == response_headers(given)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"a"',
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":[{"b":1,"b":1}]}',
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":' + b"[" * 5000,
        b'{"a":1}{}',
    ],
)
def test_json_that_two_readers_might_read_differently_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        parse_json_object(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [(b"{}", {}), (b' {"a":"\\u00e4\xc3\xa4"} ', {"a": "ää"}), (b'{"a":1e2}', {"a": 100.0})],
)
def test_other_json_is_read(body: bytes, value: dict[str, Any]):
    assert value == parse_json_object(body)

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from functools import reduce
from typing import Any

import pytest

from aai_gateway.errors import ClientTooSlow, InvalidRequest, Refused
from aai_gateway.gateway.wire import (
    MOST_VALUES,
    ClientGone,
    Message,
    Receive,
    parse_json_object,
    patient,
    read_body,
    request_headers,
    require_length_within,
    response_headers,
)


def receiving(messages: Iterable[Message]) -> Receive:
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    return receive


def part(body: bytes, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


NUMBERS = (b'{"a":[18446744073709551615,-9223372036854775808]}', {"a": [2**64 - 1, -(2**63)]})
NESTED = (b'{"a":' * 100 + b"1" + b"}" * 100, reduce(lambda inner, _: {"a": inner}, range(100), 1))


async def test_a_silent_client_is_not_waited_for():
    async def never() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError

    with pytest.raises(ClientTooSlow) as caught:
        await read_body(patient(never, 0.01), 10)
    assert (408, "close") == (caught.value.status, caught.value.headers["Connection"])


async def test_once_a_body_is_whole_its_client_may_wait():
    waiting = asyncio.Event()
    messages = iter([part(b"a", True), part(b"b", False)])

    async def then_nothing() -> Message:
        for message in messages:
            return message
        await waiting.wait()
        return {"type": "http.disconnect"}

    receive = patient(then_nothing, 0.01)
    assert b"ab" == await read_body(receive, 2)
    watcher = asyncio.ensure_future(receive())
    await asyncio.sleep(0.05)
    assert not watcher.done()
    waiting.set()
    assert {"type": "http.disconnect"} == await watcher


@pytest.mark.parametrize("length", ["3", "9" * 40])
def test_a_length_that_is_too_much_is_refused_at_once(length: str):
    with pytest.raises(Refused) as caught:
        require_length_within({"headers": [(b"content-length", length.encode())]}, 2)
    assert 413 == caught.value.status


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"2")], [(b"content-length", b"-3")]])
def test_another_length_is_for_the_count(headers: list[tuple[bytes, bytes]]):
    require_length_within({"headers": headers}, 2)


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
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}\0',
        b'{"a":1e999}',
        b'{"a":18446744073709551616}',
        b'{"a":-9223372036854775809}',
        b'{"a":1' + b"0" * 5000 + b"}",
        b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"a":' * 101 + b"1" + b"}" * 101,
        b'{"a":[' + b"[]," * 500_000 + b"1]}",
    ],
)
def test_json_that_two_readers_might_read_differently_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        parse_json_object(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [(b"{}", {}), (b' {"a":"\\u00e4\xc3\xa4"} ', {"a": "ää"}), (b'{"a":1e2}', {"a": 100.0}), NUMBERS, NESTED],
)
def test_other_json_is_read(body: bytes, value: dict[str, Any]):
    assert value == parse_json_object(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": [%s]}' % b",".join([b"[]"] * MOST_VALUES),
        b'{"a": {%s}}' % b",".join(b'"%d": 1' % i for i in range(MOST_VALUES)),
        b'{"a": [%s]}' % b",".join([rb'"\\", 1, "\""'] * MOST_VALUES),
        b'{"a": "%s"}' % (b'","' * 3 * MOST_VALUES),
    ],
    ids=["containers", "members", "escapes", "texts"],
)
def test_more_values_than_anybody_needs_are_refused(body: bytes):
    with pytest.raises(InvalidRequest, match="holds more than 50,000 values"):
        parse_json_object(body)


@pytest.mark.parametrize("text", [",", "[{,", '",', '\\",', "\\\\,", '\\,"['])
def test_what_stands_in_a_text_is_no_value(text: str):
    value = {"a": text * MOST_VALUES, "b": [1, text, {"c": text}]}

    assert value == parse_json_object(json.dumps(value).encode())

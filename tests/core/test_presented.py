from __future__ import annotations

import pytest

from aai_gateway.core.presented import KEY_HEADERS, key_of_request
from aai_gateway.errors import InvalidRequest


def raw(*headers: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


@pytest.mark.parametrize("name", KEY_HEADERS)
@pytest.mark.parametrize("written", ["sk-a", "Bearer sk-a", "bearer  sk-a ", "BEARER sk-a", " sk-a"])
def test_a_key_is_read_from_each_header_bare_or_as_a_bearer(name: str, written: str):
    assert "sk-a" == key_of_request(raw((name, written)))
    assert "sk-a" == key_of_request(raw((name.title(), written), ("x-other", "sk-b")))


@pytest.mark.parametrize(
    "headers",
    [
        raw(),
        raw(("x-other", "sk-a")),
        raw(("authorization", "")),
        raw(("authorization", "Bearer ")),
        raw(("cookie", "token=sk-a"), ("x-api-key", " ")),
    ],
)
def test_without_a_key_there_is_none(headers: list[tuple[bytes, bytes]]):
    assert None is key_of_request(headers)


@pytest.mark.parametrize("first", KEY_HEADERS)
@pytest.mark.parametrize("second", KEY_HEADERS)
def test_two_headers_must_say_the_same(first: str, second: str):
    assert "sk-a" == key_of_request(raw((first, "sk-a"), (second, "Bearer sk-a")))
    for headers in (raw((first, "sk-a"), (second, "sk-b")), raw((first, "Bearer sk-b"), (second, "sk-a"))):
        with pytest.raises(InvalidRequest) as caught:
            key_of_request(headers)
        assert first in caught.value.text
        assert "sk-" not in caught.value.text


def test_an_empty_header_is_no_second_key():
    assert "sk-a" == key_of_request(raw(("authorization", "Bearer "), ("x-api-key", "sk-a")))


def test_any_byte_may_stand_in_a_key():
    assert "sk-\xff\xe9" == key_of_request(raw(("authorization", "Bearer sk-\xff\xe9")))

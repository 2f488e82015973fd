from __future__ import annotations

import pytest

from aai_gateway.core.heads import head_fault, unknown_method

LIMIT = 1000


def fault_of(*headers: tuple[bytes, bytes], method: str = "GET", url: bytes = b"/", upgrades: bool = False):
    return head_fault(method, url, headers, upgrades=upgrades, limit=LIMIT)


@pytest.mark.parametrize(
    "host",
    [
        b"x",
        b"x:4000",
        b"gateway.example.com",
        b"127.0.0.1:80",
        b"[::1]",
        b"[::1]:4000",
        b"a_b",
        b" x ",
        b"x:",
    ],
)
def test_a_host_is_a_name_or_address_and_perhaps_a_port(host: bytes):
    assert None is fault_of((b"host", host))


@pytest.mark.parametrize(
    "host",
    [b"", b"[::", b"x y", b"x/y", b"x@y", b"x:port", b"x:1:2", b"\xff", b"x?a", b"x#a", b"http://x", b"a,b"],
)
def test_anything_else_is_no_host(host: bytes):
    fault = fault_of((b"host", host))
    assert fault is not None
    assert 400 == fault.status


def test_two_hosts_are_refused_and_none_is_not():
    assert None is fault_of()
    fault = fault_of((b"host", b"x"), (b"host", b"x"))
    assert fault is not None
    assert "Host must name one host." == fault.text


@pytest.mark.parametrize("coding", [b"chunked", b" Chunked "])
def test_a_body_may_be_chunked(coding: bytes):
    assert None is fault_of((b"transfer-encoding", coding))


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked", b""])
def test_but_not_encoded_otherwise(coding: bytes):
    fault = fault_of((b"transfer-encoding", coding))
    assert fault is not None
    assert 400 == fault.status


def test_an_upgrade_has_no_body():
    assert None is fault_of(upgrades=True)
    assert None is fault_of((b"content-length", b"0"), upgrades=True)
    for header in ((b"content-length", b"1"), (b"transfer-encoding", b"chunked")):
        fault = fault_of(header, upgrades=True)
        assert fault is not None
        assert 400 == fault.status


def test_connect_is_no_method_of_ours():
    assert unknown_method() == fault_of(method="CONNECT")
    assert 405 == unknown_method().status
    assert (("allow", "DELETE, GET, POST"),) == unknown_method().headers


def test_a_head_has_a_size():
    line = len("GET / HTTP/1.1\r\n")
    fitting = LIMIT - line - len("x: \r\n")
    assert None is fault_of((b"x", b"a" * fitting))
    fault = fault_of((b"x", b"a" * (fitting + 1)))
    assert fault is not None
    assert 431 == fault.status

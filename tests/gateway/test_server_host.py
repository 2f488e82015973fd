"""What the gateway relies on in uvicorn: each promise of `server_host`, on the installed release."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import free_port
from guarded_server import LOW_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aai_gateway.gateway import server_host
from aai_gateway.gateway.server_host import ConnectionLimits, connection_limits, guard_connections
from aai_gateway.settings import Settings

SCRIPT = Path(__file__).parents[1] / "support" / "guarded_server.py"
HEAD, URL, CONNECTIONS = 4096, 1024, 20
BOUND = 30.0
"""Seconds within which every answer must have ended; the server's own limit is 0.5."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    port = free_port()
    arguments = [str(port), "0.5", str(HEAD), str(URL), str(CONNECTIONS)]
    process = subprocess.Popen([sys.executable, str(SCRIPT), *arguments])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def conversation(port: int, *sent: bytes, pause: float = 0.0) -> bytes:
    """What a server says to these bytes until it closes the connection."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND) as connection:
        with contextlib.suppress(ConnectionError):
            for part in sent:
                connection.sendall(part)
                time.sleep(pause)
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(1 << 16):
                said += part
    return said


def answer(said: bytes) -> tuple[int, Any]:
    """Status and JSON of the one answer in what was said."""
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower() or b"200" in head
    return int(head.split()[1]), json.loads(body)


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def one_answer(connection: socket.socket) -> bytes:
    """The next answer on a connection, whose body is a JSON object."""
    said = b""
    while not said.endswith(b"}"):
        part = connection.recv(1 << 16)
        assert part
        said += part
    return said


def trickle(connection: socket.socket) -> None:
    """Send byte after byte until BOUND."""
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        connection.sendall(b"a")
        time.sleep(0.05)


def test_a_plain_request_is_served(port: int):
    status, said = answer(conversation(port, request("POST", "/x", "Content-Length: 2", body=b"ab")))
    assert (200, "/x", 2) == (status, said["path"], said["size"])


def test_the_limit_of_open_files_is_raised_as_far_as_it_may(port: int):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    said = answer(conversation(port, request("GET", "/limit")))[1]
    assert max(hard, LOW_LIMIT) == said["files"]


@pytest.mark.parametrize(
    ("sent", "path_is_litellms"),
    [
        (b"GET", False),
        (b"GET /assemblyai/v2/transcript HTTP/1.1\r\nHost", False),
        (b"GET /v1/models H", True),
    ],
)
def test_a_head_that_does_not_come_is_not_waited_for(port: int, sent: bytes, path_is_litellms: bool):
    status, said = answer(conversation(port, sent))
    text = "The request's head did not come within 0.5 seconds."
    assert (408, text) == (status, said["error"]["message"] if path_is_litellms else said["error"])


def test_a_head_that_trickles_in_is_not_waited_for(port: int):
    parts = [bytes([byte]) for byte in b"GET /assemblyai/v2 HTTP/1.1\r\nHost: x\r\nAccept: "]
    assert 408 == answer(conversation(port, *parts, pause=0.05))[0]


def test_a_connection_that_says_nothing_is_closed(port: int):
    assert b"" == conversation(port)


def test_the_head_of_a_next_request_is_not_waited_for_either(port: int):
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND) as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one_answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /b")
        assert one_answer(connection).startswith(b"HTTP/1.1 408")
        assert b"" == connection.recv(1)


@pytest.mark.parametrize(
    "sent",
    [
        [request("GET", "/assemblyai/x", "X-Long: " + "a" * HEAD)],
        [request("GET", "/assemblyai/x", *(f"X-{n}: y" for n in range(HEAD // 8)))],
        [b"GET /assemblyai/x HTTP/1.1\r\nX-Long: ", *[b"a" * 1000] * 20],
        [b"\r\n" * HEAD],
        [request("POST", "/assemblyai/x", "Transfer-Encoding: chunked"), b"1\r\na\r\n0\r\nX: ", b"a" * 9999],
        [request("POST", "/assemblyai/x", "Transfer-Encoding: chunked"), b"1;", *[b"a" * 9999] * 2],
    ],
)
def test_a_head_may_have_so_many_bytes_also_those_of_trailers_and_chunks(port: int, sent: list[bytes]):
    text = f"The request's head has more than {HEAD} bytes."
    assert (431, {"error": text}) == answer(conversation(port, *sent, pause=0.02))


def test_a_url_may_have_so_many_bytes(port: int):
    text = f"The URL has more than {URL} bytes."
    long = "/assemblyai/" + "a" * URL
    assert (414, {"error": text}) == answer(conversation(port, request("GET", long)))
    assert 200 == answer(conversation(port, request("GET", long[: URL - 1])))[0]
    status, said = answer(conversation(port, request("GET", "/v1/" + "a" * URL)))
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": "414"}
    assert (414, {"error": error}) == (status, said)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"GET /assemblyai/x\xff HTTP/1.1\r\n\r\n", "Invalid HTTP request: Invalid char in url path."),
        (b"GET /assemblyai/x HTTP/9.9\r\n\r\n", "Invalid HTTP request: Invalid HTTP version."),
        (b"GET /assemblyai/x HTTP/1.1\r\nA b: c\r\n\r\n", "Invalid HTTP request: Invalid header token."),
        (
            request("POST", "/assemblyai/x", "Content-Length: 2", "Content-Length: 3", body=b"ab"),
            "Invalid HTTP request: Duplicate Content-Length.",
        ),
        (
            request("POST", "/assemblyai/x", "Content-Length: 2", "Transfer-Encoding: chunked"),
            "Invalid HTTP request: Transfer-Encoding can't be present with Content-Length.",
        ),
        (
            request("POST", "/assemblyai/x", "Transfer-Encoding: gzip, chunked"),
            "Transfer-Encoding may only be chunked.",
        ),
        (
            request("POST", "/assemblyai/x", "Transfer-Encoding: chunked", body=b"zz\r\n"),
            "Invalid HTTP request: Invalid character in chunk size.",
        ),
        (request("GET", "/assemblyai/x", "Host: y"), "Host must name one host."),
        (
            b"POST /assemblyai/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
            b"Content-Length: 1\r\n\r\na",
            "A request that asks for an upgrade cannot have a body.",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_the_routes_shape(port: int, sent: bytes, text: str):
    assert (400, {"error": text}) == answer(conversation(port, sent))


@pytest.mark.parametrize("method", ["get", "FOO", "CONNECT", "\x16\x03\x01"])
def test_an_unknown_method_is_told_the_known_ones(port: int, method: str):
    said = conversation(port, request(method, "/assemblyai/x"))
    assert 405 == answer(said)[0]
    assert b"\r\nallow: DELETE, GET, POST\r\n" in said


@pytest.mark.parametrize("rest", [b"garbage", b"GET /" + b"a" * 9000])
def test_what_cannot_be_read_after_a_request_does_not_cost_it_its_answer(port: int, rest: bytes):
    first = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    said = conversation(port, first + rest)
    assert b"HTTP/1.1 200" == said[:12]
    assert b"/slow" in said


def test_a_trailer_is_no_header(port: int):
    body = b"1\r\na\r\n0\r\nAuthorization: sk-a\r\n\r\n"
    status, said = answer(conversation(port, request("POST", "/x", "Transfer-Encoding: chunked", body=body)))
    assert (200, 1) == (status, said["size"])
    assert ["host", "connection", "transfer-encoding"] == said["headers"]


def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(port: int):
    with socket.create_connection(("127.0.0.1", port), timeout=BOUND) as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert one_answer(connection).startswith(b"HTTP/1.1 200")
        with pytest.raises(ConnectionError):
            trickle(connection)


def test_a_connection_too_many_is_told_so_and_the_others_are_served(port: int):
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS - 1):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=BOUND))
        last = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=BOUND))
        last.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one_answer(last).startswith(b"HTTP/1.1 200")
        said = conversation(port)
        assert (503, ["error"]) == (answer(said)[0], list(answer(said)[1]))
        assert b"\r\nretry-after: 1\r\n" in said


def test_a_uvicorn_that_is_not_as_expected_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.delattr(HttpToolsProtocol, "on_response_complete")
    assert not guard_connections(ConnectionLimits(1, HEAD, URL))
    assert "uvicorn has no on_response_complete" in caplog.text


def test_connections_leave_files_for_the_gateway_itself():
    settings = Settings()
    assert 20_000 - server_host.RESERVED_FILES == connection_limits(settings, 20_000).connections
    assert 128 == connection_limits(settings, 256).connections
    assert None is connection_limits(settings, resource.RLIM_INFINITY).connections

"""Only an address that was checked is connected to, whatever a name resolves to a moment later."""

from __future__ import annotations

import ipaddress
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from webhook_world import Receiver, receiving

from aai_gateway.gateway.webhook_post import Answer, PublicResolver, post, receivers_session

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


class Names(AbstractResolver):
    """A resolver that gives each of `answers` in turn: a list of addresses for any name."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self.answers.pop(0)
        if not addresses:
            raise OSError("no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def port_of(receiver: Receiver) -> str:
    return receiver.server.url.rpartition(":")[2]


async def test_a_name_whose_addresses_are_inside_is_not_connected_to(receiver: Receiver):
    url = f"http://rebound.example.org:{port_of(receiver)}/"
    names = Names(["127.0.0.1"], ["::1", "10.0.0.1", "::ffff:127.0.0.1"], [])
    async with receivers_session([], names) as session:
        answers = [await post(session, url, {}, b"{}", []) for _ in range(3)]
    assert [Answer(error="no public address")] * 3 == answers
    assert ["rebound.example.org"] * 3 == names.asked
    assert [] == receiver.told


async def test_a_name_that_is_rebound_after_the_check_is_checked_again(receiver: Receiver):
    url = f"http://rebound.example.org:{port_of(receiver)}/"
    # The receiver stands for a public one at first; then the name leads elsewhere inside.
    names = Names(["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1"])
    async with receivers_session(LOOPBACK, names) as session:
        answers = [await post(session, url, {}, b"{}", LOOPBACK) for _ in range(3)]
    assert [Answer(200), Answer(error="no public address"), Answer(200)] == answers
    # Once for each connection, never between a check and a connection, and no connection is kept.
    assert 3 == len(names.asked)
    assert 2 == len(receiver.told)


async def test_of_several_addresses_only_public_ones_are_left():
    names = PublicResolver(Names(["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111", "169.254.169.254"]), [])
    assert ["8.8.8.8", "2606:4700::1111"] == [one["host"] for one in await names.resolve("x.org", 443)]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::ffff:7f00:1]"]
)
async def test_an_address_in_the_url_is_judged_at_each_delivery(receiver: Receiver, host: str):
    async with receivers_session([]) as session:
        answer = await post(session, f"http://{host}:{port_of(receiver)}/", {}, b"{}", [])
    assert Answer(error="no public address") == answer
    assert [] == receiver.told


async def test_no_proxy_of_the_environment_and_no_redirect(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    receiver.statuses = [302]
    async with receivers_session(LOOPBACK) as session:
        assert Answer(302) == await post(session, receiver.url, {}, b'{"a":1}', LOOPBACK)
    assert (["/hook?sig=%2Fx"], [{"a": 1}]) == (receiver.paths, receiver.told)


async def test_what_goes_wrong_is_told_in_a_few_words(receiver: Receiver):
    async with receivers_session(LOOPBACK) as session:
        assert Answer(error="connection failed") == await post(
            session, "http://127.0.0.1:9/", {}, b"", LOOPBACK
        )
        secure = receiver.server.url.replace("http:", "https:")
        assert Answer(error="TLS failed") == await post(session, secure, {}, b"", LOOPBACK)


@contextmanager
def answering(*, hints: int) -> Iterator[str]:
    """The URL of a server that says "103 Early Hints" so often before its answer."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            with suppress(OSError):
                for _ in range(hints // 1000):
                    self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1000)
                self.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * (hints % 1000))
                self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


async def test_hints_before_the_answer_are_not_read_for_ever():
    async with receivers_session(LOOPBACK) as session:
        with answering(hints=3) as url:
            assert Answer(204) == await post(session, url, {}, b"{}", LOOPBACK)
        with answering(hints=100_000) as url:
            assert Answer(error="no valid answer") == await post(session, url, {}, b"{}", LOOPBACK)

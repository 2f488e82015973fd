from __future__ import annotations

from typing import Any

import pytest

from aai_gateway.core.operations import resolve
from aai_gateway.core.tenancy import MASTER, Caller, Team, VirtualKey
from aai_gateway.core.traffic import Counts, Place, Tally
from aai_gateway.gateway.observer import Observer
from aai_gateway.gateway.observing import MANAGEMENT, current
from aai_gateway.gateway.wire import ASGIApp, Message, Receive, Scope, Send, respond

CALLER = Caller(VirtualKey(hash="abcdef0123456789", masked="sk-...1234"), Team(id="t1", alias="research"))


class Lines:
    """Takes the place of the log."""

    def __init__(self) -> None:
        self.said: list[tuple[bool, dict[str, Any]]] = []

    def request(self, failed: bool, fields: dict[str, Any]) -> None:
        self.said.append((failed, fields))


async def serve(app: ASGIApp, **scope: Any) -> tuple[dict[Place, Counts], tuple[bool, dict[str, Any]]]:
    """What is counted of a request to `app`, and what its line says."""
    tally, lines = Tally(), Lines()
    observer = Observer(tally)
    observer._logs = lines  # type: ignore[assignment]  # as Logs

    async def receive() -> Message:
        return {"type": "http.request", "body": b"12345"}

    async def send(message: Message) -> None:
        pass

    try:
        await observer.serve(app, {"method": "GET", "headers": [], **scope}, receive, send)
    finally:
        [line] = lines.said
        counted = {place: counts for (_, place), counts in tally.take().served.items()}
    return counted, line


async def test_a_request_is_counted_and_told_once() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        current().caller = CALLER
        current().on_target(resolve("GET", "/assemblyai/v2/transcript/abc"))
        await receive()
        await respond(send, 200, [], b"1234567")

    counted, (failed, fields) = await serve(app, headers=[(b"x-request-id", b"my-id")])
    [(place, counts)] = counted.items()
    assert (Place("get", "us", 200), (1, 5, 7, 1)) == (place, counts.flat()[:4])
    assert 1 == sum(counts.buckets)
    assert not failed
    assert fields.pop("ms") >= fields.pop("added_ms") >= 0
    assert {
        "request_id": "my-id",
        "team": "research",
        "key": "abcdef012345",
        "operation": "get",
        "region": "us",
        "status": 200,
        "bytes_in": 5,
        "bytes_out": 7,
    } == fields


async def test_of_management_the_method_and_the_routes_template_are_told() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        current().caller, current().operation, current().route = MASTER, MANAGEMENT, "/key/{key}/regenerate"
        await respond(send, 403, [], b"")

    _, (failed, fields) = await serve(app, method="POST")
    assert not failed
    assert ("master", "POST", "/key/{key}/regenerate") == (fields["key"], fields["method"], fields["route"])


async def test_of_litellm_the_template_that_fastapi_noted_is_told() -> None:
    class Route:
        path = "/spend/{id}"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        current().on_litellm(scope["path"])
        scope["route"] = Route()
        await respond(send, 200, [], b"")

    counted, (_, fields) = await serve(app, path="/spend/sk-secret")
    assert ("litellm", "/spend/{id}") == (fields["operation"], fields["route"])
    # What LiteLLM waits for is not known.
    assert "added_ms" not in fields
    assert [0] == [counts.added_count for counts in counted.values()]


async def test_a_client_that_left_is_no_failure() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    counted, (failed, fields) = await serve(app)
    assert [Place("unknown", "", 499)] == list(counted)
    assert (False, 499) == (failed, fields["status"])


async def test_an_answer_that_broke_off_is_told_as_such() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})

    _, (_, fields) = await serve(app)
    assert (200, 3, True) == (fields["status"], fields["bytes_out"], fields["broken_off"])


async def test_an_error_that_nobody_answered_counts_as_500_and_goes_on() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(current())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await serve(app)
    assert 500 == seen[0].status

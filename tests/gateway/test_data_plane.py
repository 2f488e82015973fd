from __future__ import annotations

from typing import Any

import pytest

from aai_gateway.gateway.data_plane import LITELLM, DataPlane, notes
from aai_gateway.gateway.wire import ASGIApp, Message, Receive, Scope, Send


class Spy:
    """An application that notes the scopes it is given and answers with `start`."""

    def __init__(self, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.scopes: list[Scope] = []
        self._start = {"type": "http.response.start", "status": status, "headers": headers or []}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await send(self._start)


async def receive() -> Message:
    return {"type": "http.disconnect"}


def plane(
    inner: ASGIApp,
    speech: ASGIApp,
    management: ASGIApp,
    webhooks: ASGIApp,
    dashboard: ASGIApp,
    *roots: str,
) -> DataPlane:
    def is_management(method: str, path: str) -> bool:
        return (method, path) == ("POST", "/key/generate")

    return DataPlane(
        inner,
        speech=speech,
        management=management,
        webhooks=webhooks,
        dashboard=dashboard,
        is_management=is_management,
        client_timeout=60,
        root_paths=roots,
    )


async def served_by(path: str, *roots: str, kind: str = "http", root_path: str = "") -> tuple[str, Any]:
    """Who serves a path, and the scope that it got."""
    apps = {"inner": Spy(), "speech": Spy(), "management": Spy(), "webhooks": Spy(), "dashboard": Spy()}
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": kind, "method": "POST", "path": path, "root_path": root_path, "headers": []}
    await plane(*apps.values(), *roots)(scope, receive, send)
    [(name, app)] = [(name, app) for name, app in apps.items() if app.scopes]
    return name, app.scopes[0]


@pytest.mark.parametrize(
    ("path", "roots", "server"),
    [
        ("/assemblyai/v2/upload", (), "speech"),
        ("/eu.assemblyai/v2/upload", (), "speech"),
        ("//ASSEMBLYAI", (), "speech"),
        ("/x/../assemblyai/v2", (), "speech"),
        ("/llm-gateway.assemblyai/v1/models", (), "speech"),
        ("/LLM-Gateway.EU.assemblyai/v1/models", (), "speech"),
        ("/%6clm-gateway.assemblyai;x/v1/models", (), "speech"),
        ("/root/llm-gateway.assemblyai/v1/models", ("/root",), "speech"),
        ("/root/assemblyai/v2/upload", ("/root",), "speech"),
        ("/root//AssemblyAI", ("/other", "/root"), "speech"),
        ("/root/assemblyai/v2/upload", (), "inner"),
        ("/key/generate", (), "management"),
        ("/webhooks/assemblyai/us/x", (), "webhooks"),
        ("/root/webhooks/deliveries", ("/root",), "webhooks"),
        ("/webhooks/deliveries/x", (), "inner"),
        ("/root/key/generate", ("/root",), "management"),
        ("/key/generate", ("/root",), "management"),
        ("/v1/chat/completions", ("/root",), "inner"),
        ("/rooted/key/generate", ("/root",), "inner"),
        ("/", (), "inner"),
        ("/dashboard", (), "dashboard"),
        ("/dashboard/", (), "dashboard"),
        ("/dashboard/teams/new", (), "dashboard"),
        ("/root/dashboard", ("/root",), "dashboard"),
        ("/dashboards", (), "inner"),
        ("/Dashboard", (), "inner"),
        ("//dashboard", (), "inner"),
        ("/x/../dashboard", (), "inner"),
    ],
)
async def test_who_serves_a_path(path: str, roots: tuple[str, ...], server: str):
    assert server == (await served_by(path, *roots))[0]


async def test_assemblyais_routes_can_hand_on_to_litellm_with_what_is_noted():
    async def speech(scope: Scope, receive: Receive, send: Send) -> None:
        await scope[LITELLM]({**scope, "path": "/v1/chat/completions"}, receive, send)

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        notes().headers[b"x-noted"] = scope["path"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/llm-gateway.assemblyai/v1", "headers": []}
    await plane(inner, speech, Spy(), Spy(), Spy())(scope, receive, send)
    assert (b"x-noted", b"/v1/chat/completions") in sent[0]["headers"]


async def test_the_servers_own_root_path_counts_too():
    assert "speech" == (await served_by("/a/assemblyai/v2/upload", root_path="/a/"))[0]


async def test_speech_learns_the_root_and_management_the_path_below_it():
    _, scope = await served_by("/root/assemblyai/v2/upload", "/root")
    assert ("/root", "/root/assemblyai/v2/upload") == (scope["root_path"], scope["path"])
    _, scope = await served_by("/root/key/generate", "/root")
    assert ("", "/key/generate") == (scope["root_path"], scope["path"])


async def test_websockets_on_speech_routes_are_ours_and_the_rest_is_litellms():
    assert "speech" == (await served_by("/assemblyai/v3/ws", kind="websocket"))[0]
    assert "inner" == (await served_by("/v1/realtime", kind="websocket"))[0]
    assert "inner" == (await served_by("/key/generate", kind="websocket"))[0]


async def test_a_lifespan_is_litellms():
    inner = Spy()

    async def send(message: Message) -> None:
        pass

    await plane(inner, Spy(), Spy(), Spy(), Spy())({"type": "lifespan"}, receive, send)
    assert ["lifespan"] == [scope["type"] for scope in inner.scopes]


@pytest.mark.parametrize(
    ("status", "noted", "given", "expected"),
    [
        (429, ["17"], [], b"17"),
        (503, ["17"], [], b"17"),
        (429, ["5", "17"], [], b"17"),
        (429, ["17"], [(b"retry-after", b"3")], b"3"),
        (429, [], [], None),
        (200, ["17"], [], None),
    ],
)
async def test_assemblyais_retry_after_reaches_the_client(
    status: int, noted: list[str], given: list[tuple[bytes, bytes]], expected: bytes | None
):
    started: list[Message] = []

    async def refused(scope: Scope, receive: Receive, send: Send) -> None:
        for value in noted:
            notes().retry_after = value
        await Spy(status, given)(scope, receive, send)

    async def send(message: Message) -> None:
        started.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
    await plane(refused, Spy(), Spy(), Spy(), Spy())(scope, receive, send)
    assert expected == dict(started[0]["headers"]).get(b"retry-after")


@pytest.mark.parametrize(
    ("path", "root_path", "roots"),
    [
        ("/root/dashboard/teams", "", ("/root",)),
        ("/root/dashboard/teams", "/root", ()),
        ("/dashboard/teams", "/root/", ()),  # a proxy has cut it off
    ],
)
async def test_the_dashboard_learns_the_root_that_its_links_need(
    path: str, root_path: str, roots: tuple[str, ...]
):
    name, scope = await served_by(path, *roots, root_path=root_path)
    assert ("dashboard", "/root", "/root/dashboard/teams") == (name, scope["root_path"], scope["path"])

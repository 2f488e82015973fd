"""The ledger's rows for chat equal the emulator's invoice, completion by completion, to the micro-dollar."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from chat_world import MESSAGES, SONNET, booked, fault, held, post_chat
from gateway_process import GatewayProcess
from waiting import until

from aai_gateway.emulator import Emulator

IN_FLIGHT = 14
"""Tokens that AssemblyAI may send while the gateway hangs up: two chunks of the emulator's."""
LONG = "All work and no play makes a long prompt. " * 60


def cached(ttl: str, name: str) -> dict[str, Any]:
    control = {"type": "ephemeral", "ttl": ttl}
    part = {"type": "text", "text": f"{name}. {LONG}", "cache_control": control}
    return {"messages": [{"role": "system", "content": [part]}, *MESSAGES]}


PLAIN: dict[str, dict[str, Any]] = {
    "claude": {},
    "gpt": {"model": "assemblyai/gpt-5"},
    "gemini": {"model": "assemblyai/gemini-2.5-flash", "messages": [{"role": "user", "content": LONG}]},
    "no surcharge": {"model": "assemblyai/gemma-4-31b"},
    "list price": {"model_region": "global"},
    "list price in extra_body": {"extra_body": {"model_region": "global"}},
    "eu": {"model": "eu.assemblyai/claude-sonnet-4-6"},
    "cache written": cached("5m", "five minutes"),
    "cache read": cached("5m", "five minutes"),
    "cache written for an hour": cached("1h", "one hour"),
    "cache at list price": {**cached("5m", "list price"), "model_region": "global"},
}
FALLBACKS: dict[str, dict[str, Any]] = {
    "fallback": {"fallbacks": [{"model": "gpt-5"}]},
    "fallback at list price": {"fallbacks": [{"model": "gpt-5", "model_region": "global"}]},
    "all at list price": {"model_region": "global", "fallbacks": [{"model": "gpt-5"}]},
    "second fallback": {
        "fallbacks": [{"model": "claude-haiku-4-5-20251001"}, {"model": "gemini-2.5-pro"}],
        "fallback_config": {"depth": 2, "retry": False},
    },
}
DOWN = ["claude-sonnet-4-6", "claude-haiku-4-5-20251001"]


@contextmanager
def steered(emulator: Emulator, *, style: str = "both", down: tuple[str, ...] = ()) -> Iterator[None]:
    """The emulated LLM Gateways with another usage style and with models that fail."""

    def steer(style: str, down: tuple[str, ...]) -> None:
        for url in (emulator.urls.llm_us, emulator.urls.llm_eu):
            httpx.post(f"{url}/_emulator/usage-style", json={"style": style}).raise_for_status()
            httpx.post(f"{url}/_emulator/failing-models", json={"models": list(down)}).raise_for_status()

    steer(style, down)
    try:
        yield
    finally:
        steer("both", ())


class Books:
    """What the emulator charged and what the gateway booked for a team, from now on."""

    def __init__(self, emulator: Emulator, gateway: GatewayProcess) -> None:
        self.emulator, self.gateway, self.team = emulator, gateway, gateway.team()
        self._before = len(emulator.invoice.rows)

    def invoiced(self) -> list[tuple[Any, ...]]:
        rows = (row for row in self.emulator.invoice.rows[self._before :] if row.service == "chat")
        return [
            (
                row.region,
                row.model,
                row.micros,
                [(item.name, item.quantity, item.micros) for item in row.items],
            )
            for row in rows
        ]

    def booked(self, count: int) -> list[tuple[Any, ...]]:
        rows = until(lambda: len(found := booked(self.gateway, self.team)) >= count and found)
        return [
            (
                row["region"],
                row["model"],
                row["micros"],
                [(item["name"], item["quantity"], item["micros"]) for item in row["items"]],
            )
            for row in rows
        ]


@pytest.fixture
def books(emulator: Emulator, gateway: GatewayProcess) -> Books:
    return Books(emulator, gateway)


@pytest.mark.parametrize("style", ["both", "input_output"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kind", [*PLAIN, *FALLBACKS])
def test_a_completion_is_booked_as_it_is_invoiced(
    emulator: Emulator, gateway: GatewayProcess, books: Books, kind: str, stream: bool, style: str
) -> None:
    body = PLAIN.get(kind) or FALLBACKS.get(kind) or {}

    with steered(emulator, style=style, down=tuple(DOWN) if kind in FALLBACKS else ()):
        response = post_chat(gateway, books.team, **body, stream=stream)

    assert 200 == response.status_code, response.text
    assert books.invoiced() == books.booked(1)
    assert 1 == len(books.invoiced())
    if not stream:
        for header in ("x-litellm-response-cost", "x-aai-gateway-cost"):
            assert books.invoiced()[0][2] == Decimal(response.headers[header]) * 1_000_000


@pytest.mark.parametrize("style", ["both", "input_output"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 50}),
        ("/v1/responses", {"input": "Repeat: a quick brown fox."}),
        ("/v1/completions", {"prompt": "Repeat: a quick brown fox."}),
        (
            "/v1/chat/completions",
            {"messages": MESSAGES, "model": "assemblyai/nope", "fallbacks": [SONNET]},
        ),
    ],
    ids=["messages", "responses", "completions", "fallback of LiteLLM's"],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_every_way_to_a_model_is_booked_once(
    emulator: Emulator, gateway: GatewayProcess, books: Books, path: str, body: dict[str, Any], stream: bool,
    style: str,
) -> None:  # fmt: skip
    with steered(emulator, style=style):
        response = httpx.post(
            f"{gateway.url}{path}",
            json={"model": SONNET, "stream": stream, **body},
            headers=books.team.bearer,
            timeout=60,
        )

    assert 200 == response.status_code, response.text
    assert 1 == len(books.invoiced())
    assert books.invoiced() == books.booked(1)


@pytest.mark.parametrize("lines", [1, 4, 12])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_a_client_that_leaves_mid_stream_pays_for_what_was_sent_to_it(
    gateway: GatewayProcess, books: Books, path: str, lines: int
) -> None:
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": LONG * 3}], "max_tokens": 900}
    if path == "/v1/responses":
        asked = {"input": LONG * 3}
    body = {"model": SONNET, "stream": True, **asked}
    with httpx.stream(
        "POST", f"{gateway.url}{path}", json=body, headers=books.team.bearer, timeout=60
    ) as response:
        for _, _ in zip(range(lines), response.iter_lines(), strict=False):
            pass

    [(*_, invoiced)] = until(books.invoiced)
    [(*_, row)] = books.booked(1)
    assert invoiced[0] == row[0]
    assert [] == held(gateway, books.team)
    # AssemblyAI charges what it sent, the ledger what arrived: less by what was sent while we hung up.
    assert 0 <= sum(item[1] for item in invoiced[1:]) - sum(item[1] for item in row[1:]) <= IN_FLIGHT


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_client_that_leaves_while_it_waits_pays_what_is_invoiced(
    emulator: Emulator, gateway: GatewayProcess, books: Books, stream: bool
) -> None:
    fault(emulator.urls.llm_us, delay_seconds=1.0)
    body = {"model": SONNET, "messages": MESSAGES, "stream": stream}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway.url}/v1/chat/completions", json=body, headers=books.team.bearer, timeout=0.3)

    [(*_, invoiced)] = until(books.invoiced)
    [(*_, row)] = books.booked(1)
    assert 0 <= sum(item[1] for item in invoiced) - sum(item[1] for item in row) <= stream * IN_FLIGHT


def test_refused_chats_cost_nothing(gateway: GatewayProcess, books: Books) -> None:
    for body in ({"model": "assemblyai/nope"}, {"temperature": 9}, {"transcript_id": "x", "messages": []}):
        assert post_chat(gateway, books.team, **body).status_code >= 400
    assert 200 == post_chat(gateway, books.team).status_code

    assert 1 == len(books.booked(1))
    assert books.invoiced() == books.booked(1)


def test_many_at_once_are_each_booked(gateway: GatewayProcess, books: Books) -> None:
    async def all_at_once() -> None:
        async with httpx.AsyncClient(headers=books.team.bearer, timeout=60) as client:
            posts = (
                client.post(
                    f"{gateway.url}/v1/chat/completions",
                    json={"model": SONNET, "messages": [{"role": "user", "content": "word " * count}]},
                )
                for count in range(1, 25)
            )
            for response in await asyncio.gather(*posts):
                response.raise_for_status()

    asyncio.run(all_at_once())

    assert sorted(books.invoiced()) == sorted(books.booked(24))


def test_the_team_is_charged_what_it_was_booked(gateway: GatewayProcess, books: Books) -> None:
    for _ in range(3):
        post_chat(gateway, books.team)
    micros = sum(row[2] for row in books.booked(3))

    with gateway.admin() as admin:
        info = admin.get("/team/info", params={"team_id": books.team.id}).json()

    assert Decimal(micros) / 1_000_000 == Decimal(str(info["team_info"]["spend"]))

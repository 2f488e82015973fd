"""A completion is held before it is sent, and booked or given back before the client has its answer."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import httpx
import pytest
from chat_world import MESSAGES, SONNET, booked, fault, held, post_chat, transcribed
from gateway_process import GatewayProcess, TeamAccess, running_gateway
from waiting import until

from aai_gateway.emulator import Emulator

ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 50},
    "/v1/responses": {"input": "Repeat: a quick brown fox."},
    "/v1/completions": {"prompt": "Repeat: a quick brown fox."},
}
streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
every_route = pytest.mark.parametrize("path", ROUTES)


def post(gateway: GatewayProcess, team: TeamAccess, path: str, **body: Any) -> httpx.Response:
    body = {"model": SONNET, **ROUTES[path], **body}
    return httpx.post(f"{gateway.url}{path}", json=body, headers=team.bearer, timeout=60)


def budget(gateway: GatewayProcess, team: TeamAccess) -> tuple[int, int]:
    """Micro-dollars that the team has spent, and that are held for it."""
    with closing(sqlite3.connect(f"file:{gateway.store_path}?mode=ro", uri=True)) as store:
        query = "select spent_micros, held_micros from teams where id = ?"
        spent, on_hold = store.execute(query, (team.id,)).fetchone()
        return spent, on_hold


def micros(response: httpx.Response, header: str) -> int:
    return int(Decimal(response.headers[header]) * 1_000_000)


@streamed
@every_route
def test_a_completion_is_booked_before_the_client_has_its_end(
    gateway: GatewayProcess, path: str, stream: bool
) -> None:
    team = gateway.team(max_budget=1)

    response = post(gateway, team, path, stream=stream)

    assert 200 == response.status_code, response.text
    [row] = booked(gateway, team)
    assert [] == held(gateway, team)
    assert (row["micros"], 0) == budget(gateway, team)


@streamed
@every_route
def test_headers_tell_cost_and_what_is_left(gateway: GatewayProcess, path: str, stream: bool) -> None:
    team = gateway.team(max_budget=1)

    response = post(gateway, team, path, stream=stream)

    [row] = booked(gateway, team)
    left = micros(response, "x-aai-gateway-budget-remaining")
    if stream:
        assert 1_000_000 - left == micros(response, "x-aai-gateway-held-cost") > row["micros"]
        assert "x-aai-gateway-cost" not in response.headers
    else:
        assert row["micros"] == micros(response, "x-aai-gateway-cost") == 1_000_000 - left
        assert row["micros"] == micros(response, "x-litellm-response-cost")
        assert "x-aai-gateway-held-cost" not in response.headers


def test_a_spent_soft_budget_is_told(gateway: GatewayProcess) -> None:
    team = gateway.team(max_budget=1, soft_budget=0.00005)

    first, second = post_chat(gateway, team), post_chat(gateway, team)

    assert "x-aai-gateway-budget-warning" not in first.headers
    assert "past its soft budget of $0.000050" in second.headers["x-aai-gateway-budget-warning"]


@streamed
@every_route
def test_what_does_not_fit_is_refused_as_litellm_refuses(
    gateway: GatewayProcess, path: str, stream: bool
) -> None:
    team = gateway.team(max_budget=0.0001)

    response = post(gateway, team, path, stream=stream)

    assert 422 == response.status_code
    assert "Budget has been exceeded! Team" in response.json()["error"]["message"]
    if path != "/v1/messages":  # Anthropic's error shape has no such type
        assert "budget_exceeded" == response.json()["error"]["type"]
        assert "422" == response.json()["error"]["code"]
    assert ([], []) == (held(gateway, team), booked(gateway, team))


@streamed
@every_route
def test_at_the_edge_of_a_budget_a_request_is_answered_or_refused_and_nothing_stays_held(
    gateway: GatewayProcess, path: str, stream: bool
) -> None:
    """What a route asks for, and the chat that LiteLLM makes of it, are not estimated alike."""
    refused = post(gateway, gateway.team(max_budget=0.000001), path, stream=stream)
    [likely] = re.findall(r"likely to cost \$([0-9.]+[0-9])", refused.json()["error"]["message"])
    team = gateway.team(max_budget=float(likely))

    response = post(gateway, team, path, stream=stream)

    assert response.status_code in (200, 422), response.text
    assert [] == held(gateway, team)


def test_a_shorter_answer_fits_where_a_longer_one_does_not(gateway: GatewayProcess) -> None:
    team = gateway.team(max_budget=0.002)

    assert 422 == post_chat(gateway, team).status_code
    assert 422 == post_chat(gateway, team, max_tokens=50, n=9).status_code
    assert 200 == post_chat(gateway, team, max_tokens=50).status_code


@streamed
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_clear_refusal_gives_the_hold_back(
    gateway: GatewayProcess, emulator: Emulator, status: int, stream: bool
) -> None:
    team = gateway.team(max_budget=1)
    fault(emulator.urls.llm_us, status=status)

    response = post_chat(gateway, team, stream=stream)

    assert status == response.status_code
    assert ([], []) == (held(gateway, team), booked(gateway, team))
    assert (0, 0) == budget(gateway, team)
    assert "x-aai-gateway-held-cost" not in response.headers


@streamed
@every_route
def test_a_cut_connection_keeps_the_hold(
    gateway: GatewayProcess, emulator: Emulator, path: str, stream: bool
) -> None:
    team = gateway.team(max_budget=1)
    fault(emulator.urls.llm_us, cut=True, after=True)

    response = post(gateway, team, path, stream=stream)

    assert response.status_code >= 500
    [hold] = held(gateway, team)
    assert (0, hold["micros"]) == budget(gateway, team)
    assert [] == booked(gateway, team)


def test_litellms_own_fallback_is_held_anew_after_an_unknown_end(
    gateway: GatewayProcess, emulator: Emulator
) -> None:
    team = gateway.team(max_budget=1)
    fault(emulator.urls.llm_us, cut=True, after=True)
    before = len(emulator.invoice.rows)

    response = post_chat(gateway, team, fallbacks=["assemblyai/gpt-5"])

    assert 200 == response.status_code, response.text
    [hold], [row] = held(gateway, team), booked(gateway, team)
    assert ("claude-sonnet-4-6", "gpt-5") == (hold["model"], row["model"])
    assert ["claude-sonnet-4-6", "gpt-5"] == [row.model for row in emulator.invoice.rows[before:]]
    assert (row["micros"], hold["micros"]) == budget(gateway, team)


@pytest.fixture(scope="module")
def hasty(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose chat holds expire after three seconds."""
    folder = tmp_path_factory.mktemp("hasty")
    quick = {"AAI_GATEWAY_CHAT_HOLD_EXPIRY": "3", "AAI_GATEWAY_SETTLE_INTERVAL": "0.2"}
    with running_gateway(emulator, folder, **quick) as gateway:
        yield gateway


def test_an_answer_that_never_came_is_on_record_as_unknown(hasty: GatewayProcess, emulator: Emulator) -> None:
    team = hasty.team(max_budget=1)
    fault(emulator.urls.llm_us, delay_seconds=1.0, after=True)

    response = post_chat(hasty, team, timeout=0.3, tags=["late"])

    assert 408 == response.status_code
    [row] = until(lambda: booked(hasty, team))
    assert ("unknown", 0, ["late"]) == (row["status"], row["micros"], row["tags"])
    assert row["items"][0]["held_micros"] == micros(response, "x-aai-gateway-held-cost")
    assert (0, 0) == budget(hasty, team)


def test_an_answer_after_its_holds_expiry_is_booked_all_the_same(
    hasty: GatewayProcess, emulator: Emulator
) -> None:
    team, before = hasty.team(), len(emulator.invoice.rows)
    fault(emulator.urls.llm_us, delay_seconds=4.5)

    assert 200 == post_chat(hasty, team).status_code

    [row], [charge] = booked(hasty, team), emulator.invoice.rows[before:]
    assert ("completed", charge.micros) == (row["status"], row["micros"])


def test_a_gateway_that_is_killed_meanwhile_keeps_the_hold_for_the_record(
    hasty: GatewayProcess, emulator: Emulator
) -> None:
    team = hasty.team(max_budget=1)
    fault(emulator.urls.llm_us, delay_seconds=2.0)
    body = {"model": SONNET, "messages": MESSAGES}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{hasty.url}/v1/chat/completions", json=body, headers=team.bearer, timeout=0.5)
    hasty.kill()
    assert ([], 1) == (booked(hasty, team), len(held(hasty, team)))

    hasty.start()

    [row] = until(lambda: booked(hasty, team))
    assert ("unknown", 0) == (row["status"], row["micros"])
    assert (0, 0) == budget(hasty, team)


def test_tags_and_end_users_are_on_the_row(gateway: GatewayProcess) -> None:
    team = gateway.team(metadata={"tags": ["team-tag"]})
    with gateway.admin() as admin:
        made = admin.post("/key/generate", json={"team_id": team.id, "metadata": {"tags": ["key-tag", "a"]}})
    tagged = TeamAccess(team.id, team.alias, made.raise_for_status().json()["key"])

    post_chat(gateway, tagged, metadata={"tags": ["a", "b"]}, user="reader-7")
    httpx.post(
        f"{gateway.url}/v1/messages",
        json={"model": SONNET, "messages": MESSAGES, "max_tokens": 9},
        headers={**tagged.bearer, "x-litellm-tags": "c, d", "x-litellm-customer-id": "reader-8"},
        timeout=60,
    ).raise_for_status()

    first, second = booked(gateway, team)
    assert (["a", "b", "key-tag", "team-tag"], "reader-7") == (first["tags"], first["end_user"])
    assert (["c", "d", "key-tag", "a", "team-tag"], "reader-8") == (second["tags"], second["end_user"])


@pytest.mark.parametrize(
    "bad", [{"metadata": {"tags": ["x" * 257]}}, {"tags": [str(n) for n in range(51)]}, {"user": "x\ny"}]
)
def test_bad_tags_are_refused(gateway: GatewayProcess, bad: dict[str, Any]) -> None:
    team = gateway.team()

    assert 400 == post_chat(gateway, team, **bad).status_code
    assert ([], []) == (held(gateway, team), booked(gateway, team))


def test_a_transcripts_length_is_in_the_hold(gateway: GatewayProcess) -> None:
    team = gateway.team(max_budget=10)
    transcript = transcribed(gateway, team)
    body = {"messages": [{"role": "user", "content": "Sum up.\n\n{{ transcript }}"}], "stream": True}

    without = micros(post_chat(gateway, team, **body), "x-aai-gateway-held-cost")
    about = micros(post_chat(gateway, team, **body, transcript_id=transcript), "x-aai-gateway-held-cost")

    assert 60 < about - without < 120  # 5 s x 4.5 tokens x $3.30 per million


def test_of_a_hundred_at_once_never_more_than_the_budget_is_under_way(
    gateway: GatewayProcess, emulator: Emulator
) -> None:
    probe = gateway.team(max_budget=1)
    hold = micros(post_chat(gateway, probe, stream=True), "x-aai-gateway-held-cost")
    limit = 10 * hold
    team, other = gateway.team(max_budget=limit / 1e6), gateway.team(max_budget=1)
    fault(emulator.urls.llm_us, delay_seconds=1.0, count=100)
    seen: list[tuple[int, int]] = []

    async def all_at_once() -> list[httpx.Response]:
        url, body = f"{gateway.url}/v1/chat/completions", {"model": SONNET, "messages": MESSAGES}
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(headers=team.bearer, timeout=120, limits=limits) as client:
            answers = asyncio.gather(*(client.post(url, json=body) for _ in range(100)))
            while not answers.done():
                seen.append(budget(gateway, team))
                await asyncio.sleep(0.02)
            return answers.result()

    try:
        responses = asyncio.run(all_at_once())
    finally:
        httpx.delete(f"{emulator.urls.llm_us}/_emulator/faults").raise_for_status()

    accepted = [response for response in responses if response.status_code == 200]
    refused = [response for response in responses if response.status_code != 200]
    assert max(spent + on_hold for spent, on_hold in seen) <= limit
    assert 10 * hold - hold < max(spent + on_hold for spent, on_hold in seen)
    assert len(accepted) >= 10
    assert {(422, "budget_exceeded")} == {(r.status_code, r.json()["error"]["type"]) for r in refused}
    assert len(accepted) == len(booked(gateway, team))
    assert (sum(row["micros"] for row in booked(gateway, team)), 0) == budget(gateway, team)
    assert 200 == post_chat(gateway, other).status_code

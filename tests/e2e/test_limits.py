"""Limits through the whole proxy: who is over one is told so, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import httpx
import openai
import pytest
from gateway_process import GatewayProcess, TeamAccess
from waiting import comes

from aai_gateway.emulator import Emulator

SUBMIT = "/assemblyai/v2/transcript"
UPLOAD = "/assemblyai/v2/upload"
HELLO = {"audio_url": "https://example.org/audio.wav"}
CHAT = {"model": "assemblyai/gpt-5", "messages": [{"role": "user", "content": "Hello"}]}


def ask(gateway: GatewayProcess, team: TeamAccess, method: str, path: str, **body: object) -> httpx.Response:
    return httpx.request(method, gateway.url + path, headers=team.bearer, timeout=60, **body)  # type: ignore[arg-type]  # as httpx takes


def test_requests_of_both_kinds_count_together_and_each_is_refused_in_its_shape(
    gateway: GatewayProcess, emulator: Emulator
) -> None:
    team, other = gateway.team(rpm_limit=4), gateway.team()
    answers = [
        ask(gateway, team, "GET", SUBMIT),
        ask(gateway, team, "GET", "/assemblyai/v2/nothing"),
        ask(gateway, team, "GET", "/v1/models"),
        ask(gateway, team, "POST", "/v1/chat/completions", json=CHAT),
    ]
    assert [200, 404, 200, 200] == [answer.status_code for answer in answers]
    assert [("4", "3"), ("4", "1"), ("4", "0")] == [told(answers[index]) for index in (0, 2, 3)]
    asked = len(emulator.requests)
    refusal = f"Too Many Requests: Team {team.alias} may make 4 requests a minute."
    speech = ask(gateway, team, "GET", SUBMIT)
    assert (429, {"error": refusal}, ("4", "0")) == (speech.status_code, speech.json(), told(speech))
    chat = ask(gateway, team, "POST", "/v1/chat/completions", json=CHAT)
    error = {"message": refusal, "type": "rate_limit_error", "param": None, "code": "429"}
    assert (429, error, ("4", "0")) == (chat.status_code, chat.json()["error"], told(chat))
    assert all(0 < int(answer.headers["retry-after"]) <= 60 for answer in (speech, chat))
    client = openai.OpenAI(api_key=team.key, base_url=f"{gateway.url}/v1", max_retries=0)
    with pytest.raises(openai.RateLimitError, match="may make 4 requests a minute"):
        client.models.list()
    assert [] == emulator.requests[asked:]
    free = ask(gateway, other, "GET", SUBMIT)
    assert (200, (None, None)) == (free.status_code, told(free))


def told(answer: httpx.Response) -> tuple[str | None, str | None]:
    named = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests")
    return answer.headers.get(named[0]), answer.headers.get(named[1])


async def test_of_fifty_jobs_at_once_exactly_the_limit_is_let_in(
    gateway: GatewayProcess, emulator: Emulator
) -> None:
    team = gateway.team(concurrent_jobs=7)
    asked = len(emulator.requests)
    async with httpx.AsyncClient(base_url=gateway.url, headers=team.bearer, timeout=60) as client:
        answers = await asyncio.gather(*(client.post(SUBMIT, json=HELLO) for _ in range(50)))
        assert {200: 7, 429: 43} == Counter(answer.status_code for answer in answers)
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {"10"} == {answer.headers["retry-after"] for answer in refused}
        assert 7 == sum(request.method == "POST" for request in emulator.requests[asked:])
        jobs = [answer.json()["id"] for answer in answers if answer.status_code == 200]

        async def completed() -> bool:
            return bool((await client.get(f"{SUBMIT}/{jobs[0]}")).json()["status"] == "completed")

        await comes(completed)
        assert 200 == (await client.post(SUBMIT, json=HELLO)).status_code


def test_an_upload_of_unknown_length_is_cut_off_with_429(gateway: GatewayProcess, emulator: Emulator) -> None:
    team = gateway.team(upload_bytes_per_day=3_000_000)

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(100_000)

    asked = len(emulator.requests)
    answer = ask(gateway, team, "POST", UPLOAD, content=endless())
    refusal = (
        f"Too Many Requests: Team {team.alias} may upload 3,000,000 bytes a day (UTC) and has 3,000,000 left."
    )
    assert (429, {"error": refusal}) == (answer.status_code, answer.json())
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    assert [] == [request for request in emulator.requests[asked:] if request.status == 200]
    assert 200 == ask(gateway, team, "POST", UPLOAD, content=bytes(3_000_000)).status_code
    assert 429 == ask(gateway, team, "POST", UPLOAD, content=b"x").status_code

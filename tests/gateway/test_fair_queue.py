"""Turns at AssemblyAI through the speech routes: told by the order in which requests arrived there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from opened_gateway import opened_gateway, speech_client
from waiting import comes

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key
from aai_gateway.emulator import Emulator
from aai_gateway.errors import UpstreamFailed
from aai_gateway.gateway import fair_queue
from aai_gateway.gateway.asking import ask
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.fair_queue import RequestTurns
from aai_gateway.store import holds, keys, teams

SUBMIT = "/assemblyai/v2/transcript"
HELLO = {"audio_url": "https://example.org/audio.wav"}
OTHER_KEY = "sk-key-of-other"


@asynccontextmanager
async def two_teams(
    emulator: Emulator, directory: Path, **settings: object
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient, httpx.AsyncClient]]:
    """A gateway, a client of the team that floods, and one of another."""
    emulator.faults.clear()
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(opened_gateway(emulator, directory, **settings))
        async with gateway.store.write() as connection:
            await teams.create(connection, Team(id="other", alias="other"))
            key = VirtualKey(hash_key(OTHER_KEY), mask_key(OTHER_KEY), team_id="other")
            await keys.create(connection, key)
        flood = await stack.enter_async_context(speech_client(gateway))
        quiet = await stack.enter_async_context(speech_client(gateway, OTHER_KEY))
        yield gateway, flood, quiet


async def job(client: httpx.AsyncClient) -> str:
    return str((await client.post(SUBMIT, json=HELLO)).raise_for_status().json()["id"])


async def finish(client: httpx.AsyncClient, made: str) -> None:
    async def completed() -> bool:
        return bool((await client.get(f"{SUBMIT}/{made}")).json()["status"] == "completed")

    await comes(completed)


async def test_a_team_that_floods_does_not_delay_another(emulator: Emulator, tmp_path: Path) -> None:
    async with two_teams(emulator, tmp_path, account_requests_per_5_minutes=1000) as (
        gateway,
        flood,
        quiet,
    ):
        loud, low = await job(flood), await job(quiet)
        for _ in range(98):
            await gateway.upstream.turns.turn("what went before")
        polls = [asyncio.ensure_future(flood.get(f"{SUBMIT}/{loud}")) for _ in range(60)]
        before = len(emulator.requests)
        answers = await asyncio.gather(*(quiet.get(f"{SUBMIT}/{low}") for _ in range(2)))
        assert [200, 200] == [answer.status_code for answer in answers]
        order = ["quiet" if low in request.path else "flood" for request in emulator.requests[before:]]
        # One of the flood's for each of its own, and what went before they came; first come, first served
        # would have been all sixty.
        assert 2 == order.count("quiet")
        assert order.count("flood") <= 20
        waiting = [poll for poll in polls if not poll.done()]
        for poll in waiting:
            poll.cancel()
        await asyncio.wait(waiting)


async def test_who_waits_too_long_is_told_when_to_come_again(emulator: Emulator, tmp_path: Path) -> None:
    settings = {"account_requests_per_5_minutes": 10, "queue_timeout": 0.1}
    async with two_teams(emulator, tmp_path, **settings) as (gateway, flood, quiet):
        made = await job(flood)
        asked = len(emulator.requests)
        answers = await asyncio.gather(
            flood.get(f"{SUBMIT}/{made}"),
            flood.get(f"{SUBMIT}/{made}/srt"),
            flood.delete(f"{SUBMIT}/{made}"),
            quiet.post(SUBMIT, json=HELLO),
            quiet.post("/assemblyai/v2/upload", content=b"x"),
        )
        assert [429, 429, 429, 429, 429] == [answer.status_code for answer in answers]
        assert all(
            int(answer.headers["retry-after"]) > 0 for answer in answers if "retry-after" in answer.headers
        )
        told = (
            "Too Many Requests: the account's requests are used up; this one has waited 0.1 s for its turn."
        )
        assert {"error": told} == answers[0].json()
        with pytest.raises(UpstreamFailed) as failed:
            await ask(gateway.upstream, Region.US, f"/v2/transcript/{made}")
        assert (429, False) == (failed.value.status, failed.value.sent)
        assert [] == emulator.requests[asked:]
        async with gateway.store.read() as connection:
            assert 1 == await holds.running_jobs(connection)


async def test_a_turn_that_is_given_up_is_the_next_ones() -> None:
    turns = RequestTurns(3000, 30)
    await asyncio.gather(*(turns.turn("a") for _ in range(300)))
    gone = asyncio.ensure_future(turns.turn("a"))
    stays = asyncio.ensure_future(turns.turn("a"))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert gone.cancelled()


async def test_submissions_take_turns_while_all_jobs_run(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fair_queue, "LOOK_EVERY", 0.02)
    async with two_teams(emulator, tmp_path, account_concurrent_jobs=1) as (gateway, flood, quiet):
        running = await job(flood)
        waiting: dict[str, asyncio.Future[str]] = {}

        async def all_wait() -> bool:
            return len(gateway.submissions.turns._waiting) == len(waiting)

        for name, client in (("flood 1", flood), ("flood 2", flood), ("left", flood), ("quiet", quiet)):
            waiting[name] = asyncio.ensure_future(job(client))
            await comes(all_wait)  # in this order
        waiting.pop("left").cancel()
        order = []
        clients = {"flood 1": flood, "flood 2": flood, "quiet": quiet}
        client = flood
        while waiting:
            assert not any(made.done() for made in waiting.values())
            await finish(client, running)
            await asyncio.wait(waiting.values(), return_when=asyncio.FIRST_COMPLETED)
            [name] = [name for name, made in waiting.items() if made.done()]
            running, client = await waiting.pop(name), clients[name]
            order.append(name)
            async with gateway.store.read() as connection:
                assert 1 == await holds.running_jobs(connection)
        assert ["flood 1", "quiet", "flood 2"] == order


async def test_a_submission_that_waits_too_long_leaves_nothing(emulator: Emulator, tmp_path: Path) -> None:
    settings = {"account_concurrent_jobs": 1, "queue_timeout": 0.1}
    async with two_teams(emulator, tmp_path, **settings) as (gateway, flood, quiet):
        await job(flood)
        asked = len(emulator.requests)
        answer = await quiet.post(SUBMIT, json=HELLO)
        told = "Too Many Requests: the account runs as many jobs at once as it may, 1."
        assert (429, {"error": told}, "10") == (
            answer.status_code,
            answer.json(),
            answer.headers["retry-after"],
        )
        assert [] == emulator.requests[asked:]
        async with gateway.store.read() as connection:
            assert 1 == await holds.running_jobs(connection)

"""A gateway that dies right before or right after each single write of a job's life, one after the other.

After each death another is started, which dies at its own first write, and then one that lives: the books
must be AssemblyAI's.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from account_books import SentChat, examine_budgets, examine_chats, examine_jobs, unfinished
from gateway_process import CONFIG, free_port
from light_gateway import Death, Nursery, is_alive, wait_for_end, wait_until_serving

from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key
from aai_gateway.emulator import Emulator, EmulatorConfig, sample_path
from aai_gateway.store import Store, keys, teams

AT_ONCE = 6
SETTLED_SECONDS = 240
KEY = "sk-key-of-team"
TEAM = "team-1"
SETTINGS = {
    # A machine that is busy with other tests is no trouble of AssemblyAI's.
    "AAI_GATEWAY_READ_TIMEOUT": "4.0",
    "AAI_GATEWAY_RECOVER_AFTER": "4.0",
    "AAI_GATEWAY_SETTLE_AFTER": "1.0",
    "AAI_GATEWAY_SETTLE_INTERVAL": "0.2",
    "AAI_GATEWAY_CHAT_HOLD_EXPIRY": "2.0",
    "LITELLM_MASTER_KEY": "sk-master",
}


@dataclass(frozen=True)
class Place:
    """Right before or right after the Nth write of a function; 0: nowhere. Without a writer, of any."""

    number: int
    writer: str | None = None
    moment: Literal["before", "after"] = "after"


@dataclass
class Life:
    """One store and one emulated account, and what the client of its only team knows."""

    emulator: Emulator
    folder: Path
    port: int = field(default_factory=free_port)
    uploads: list[str] = field(default_factory=list)
    chats: list[SentChat] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The gateway's."""
        urls = self.emulator.urls
        return {
            **SETTINGS,
            "ASSEMBLYAI_API_KEY": self.emulator.config.account_key,
            "AAI_GATEWAY_US_URL": urls.us,
            "AAI_GATEWAY_EU_URL": urls.eu,
            "AAI_GATEWAY_LLM_US_URL": urls.llm_us,
            "AAI_GATEWAY_LLM_EU_URL": urls.llm_eu,
            "AAI_GATEWAY_DATA_DIR": str(self.folder),
        }

    @property
    def store(self) -> Path:
        """The gateway's."""
        return self.folder / "gateway.db"

    @property
    def writers(self) -> list[str]:
        """Who has written so far."""
        return (self.folder / "writes").read_text().splitlines()

    def death(self, place: Place) -> Death:
        """A death at that place."""
        return Death(str(self.folder / "writes"), place.number, place.writer, place.moment)

    def client(self) -> httpx.AsyncClient:
        """The team's."""
        url = f"http://127.0.0.1:{self.port}"
        return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20)


Work = Callable[[Life, httpx.AsyncClient], Awaitable[None]]


async def speak(life: Life, client: httpx.AsyncClient) -> None:
    """The life of speech jobs: settled by a poll, by the settler and by a deletion, and one refused."""
    audio = sample_path("hello").read_bytes()
    uploaded = (await client.post("/assemblyai/v2/upload", content=audio)).json()["upload_url"]
    life.uploads.append(uploaded)
    polled = await submit(client, {"audio_url": uploaded, "speaker_labels": True})
    await completed(life, polled)
    # Each of these sees the end and settles: all but one of them in vain.
    await asyncio.gather(*(client.get(f"/assemblyai/v2/transcript/{polled}") for _ in range(3)))
    refused = {"audio_url": "https://example.org/audio.wav?refused", "redact_pii_return_unredacted": True}
    assert 400 == (await client.post("/assemblyai/v2/transcript", json=refused)).status_code
    deleted = await submit(client, {"audio_url": "https://example.org/audio.wav?deleted"})
    await completed(life, deleted)
    await client.delete(f"/assemblyai/v2/transcript/{deleted}")
    await submit(client, {"audio_url": "https://assembly.ai/wildfires.mp3?left", "auto_chapters": True})
    # The settler's turn. A gateway that dies now does so alone.
    await settled(life)


async def chat(life: Life, client: httpx.AsyncClient) -> None:
    """The life of completions: one answered at once, one streamed, one refused."""
    body = {
        "model": "assemblyai/claude-sonnet-4-6",
        "messages": [{"role": "user", "content": "Repeat: fox."}],
    }
    life.chats.append(SentChat("whole", TEAM))
    answer = (await client.post("/v1/chat/completions", json={**body, "user": "whole"})).raise_for_status()
    life.chats[-1] = SentChat("whole", TEAM, answer.json()["id"].removeprefix("chatcmpl-"))
    refused = {**body, "model": "assemblyai/no-such-model", "user": "refused"}
    life.chats.append(SentChat("refused", TEAM))
    assert 400 == (await client.post("/v1/chat/completions", json=refused)).status_code
    life.chats.append(SentChat("streamed", TEAM))
    streamed = {**body, "user": "streamed", "stream": True}
    async with client.stream("POST", "/v1/chat/completions", json=streamed) as stream:
        lines = [line.removeprefix("data: ") async for line in stream.aiter_lines() if line]
    assert "[DONE]" == lines[-1]
    life.chats[-1] = SentChat("streamed", TEAM, json.loads(lines[0])["id"].removeprefix("chatcmpl-"))


async def submit(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = (await client.post("/assemblyai/v2/transcript", json=body)).raise_for_status()
    return str(answer.json()["id"])


async def completed(life: Life, transcript_id: str) -> None:
    """Wait for AssemblyAI, and not through the gateway."""
    await until(
        lambda: ("completed", transcript_id) in {(job.status, job.id) for job in life.emulator.jobs()}
    )


async def settled(life: Life) -> None:
    await until(lambda: not unfinished(life.store))


async def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLED_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came of it in {SETTLED_SECONDS} s")
        await asyncio.sleep(0.02)


async def make_store(path: Path) -> None:
    """A store with one team and its key."""
    store = await Store.open(f"sqlite:///{path}")
    try:
        async with store.write() as connection:
            await teams.create(connection, Team(id=TEAM, alias=TEAM))
            await keys.create(connection, VirtualKey(hash=hash_key(KEY), masked=mask_key(KEY), team_id=TEAM))
    finally:
        await store.close()


async def one_death(
    nursery: Nursery, folder: Path, work: Work, place: Place, proxy: list[str] | None
) -> list[str] | None:
    """Let a gateway die somewhere, and examine the books; who wrote if it lived, None if it died."""
    async with Emulator(EmulatorConfig(job_seconds=0.1)) as emulator:
        life = Life(emulator, folder)
        pid = nursery.start(life.environment, life.port, life.death(place), proxy)
        assert await asyncio.to_thread(wait_until_serving, pid, life.port)
        async with life.client() as client:
            working = asyncio.ensure_future(work(life, client))
            await until(lambda: working.done() or not is_alive(pid))
            if not is_alive(pid):
                # It may wait for what only a gateway that lives can do.
                working.cancel()
            try:
                await working
                # A gateway that dies right after its last write is about to.
                await asyncio.sleep(0.2)
            except (httpx.TransportError, asyncio.CancelledError):
                await asyncio.to_thread(wait_for_end, pid)
        lived = is_alive(pid)
        nursery.kill(pid)
        if not lived:
            await come_back(nursery, life, place)
        jobs = [asdict(job) for job in emulator.jobs()]
        verdict = examine_jobs(jobs, life.store, lambda job: TEAM).joined(examine_budgets(life.store))
        verdict = verdict.joined(examine_chats(life.chats, emulator.invoice.to_json()["rows"], life.store))
    assert {} == {kind: wrongs for kind, wrongs in verdict.wrongs.items() if wrongs}, place
    return life.writers if lived else None


async def come_back(nursery: Nursery, life: Life, place: Place) -> None:
    """A second gateway that dies at its first write, if it has any to make, and a third that lives."""
    second = nursery.start(life.environment, life.port, life.death(Place(1, moment=place.moment)))
    await until(lambda: not is_alive(second) or not unfinished(life.store))
    nursery.kill(second)
    third = nursery.start(life.environment, life.port)
    await settled(life)
    nursery.kill(third)


async def every_death(
    nursery: Nursery, folder: Path, work: Work, proxy: list[str] | None = None
) -> list[Place]:
    """Live a whole life to see who writes, then die at each of its writes; where it died."""
    store = folder / "empty.db"
    await make_store(store)
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(place: Place) -> list[str] | None:
        async with turns:
            own = folder / f"{place.writer}-{place.number}-{place.moment}"
            await asyncio.to_thread(own.mkdir)
            await asyncio.to_thread(shutil.copy, store, own / "gateway.db")
            return await one_death(nursery, own, work, place, proxy)

    writers = await one(Place(0))
    assert writers is not None
    places = [
        Place(number, writer, moment)
        for writer, times in Counter(writers).items()
        for number in range(1, times + 1)
        for moment in ("before", "after")
    ]
    ended = await asyncio.gather(*(one(place) for place in places))
    # How often the settler comes by, and whether it is first, differs from life to life.
    return [place for place, lived in zip(places, ended, strict=True) if lived is None]


def tell(deaths: list[Place]) -> None:
    for place in deaths:
        print(f"killed right {place.moment:>6} the commit of {place.writer}, its number {place.number}")


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    with Nursery(tmp_path / "light.log") as nursery:
        yield nursery


async def test_a_death_around_any_write_of_a_speech_jobs_life_loses_and_doubles_nothing(
    nursery: Nursery, tmp_path: Path
):
    deaths = await every_death(nursery, tmp_path, speak)
    tell(deaths)
    writers = {
        "passthrough._upload_within": 1,
        "submission._hold": 4,
        "submission._submit": 3,
        "submission._refused": 1,
        "ledger.settle": 3,
        "passthrough._delete": 1,
        "settler._claim": 1,
    }
    assert {
        Place(number + 1, writer, moment)
        for writer, times in writers.items()
        for number in range(times)
        for moment in ("before", "after")
    } <= set(deaths)


async def test_a_death_around_any_write_of_a_completions_life_loses_and_doubles_nothing(tmp_path: Path):
    proxy = ["--config", str(CONFIG)]
    with Nursery(tmp_path / "proxy.log", proxy=True) as nursery:
        deaths = await every_death(nursery, tmp_path, chat, proxy)
    tell(deaths)
    writers = {"ledger.hold_chat": 3, "ledger.book_chat": 2, "ledger.release_chat": 1}
    assert {
        Place(number + 1, writer, moment)
        for writer, times in writers.items()
        for number in range(times)
        for moment in ("before", "after")
    } <= set(deaths)

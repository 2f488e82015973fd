"""The clients of several teams: they upload, submit, poll, delete and chat, whatever happens to the gateway.

What each knows of its own jobs is the truth that the ledger is held against: the team is named in the query
of a public `audio_url`, and an upload's URL is known to the client that made the upload.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import orjson
from account_books import SentChat

from aai_gateway.emulator import sample_path

ANSWER_SECONDS = 5.0
CHAT_SECONDS = 30.0
PAUSE = (0.05, 0.6)
"""Seconds that a client rests between two things that it does, at least and at most."""

ROUTES = {"us": "assemblyai", "eu": "eu.assemblyai"}
PUBLIC = (
    "https://example.org/audio.wav",
    "https://assembly.ai/wildfires.mp3",
    "https://example.com/audio.mp3",
)
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"speaker_labels": True},
    {"speech_models": ["universal-2"]},
    {"speech_models": ["universal-3-pro", "universal-2"], "entity_detection": True},
    {"multichannel": True, "sentiment_analysis": True},
    {"auto_chapters": True},
)
SPENT_WITHIN = 40
"""Submissions that spend a tight budget for certain."""
CHAT_MODELS = ("assemblyai/claude-sonnet-4-6", "assemblyai/gpt-5-nano", "eu.assemblyai/gemini-2.5-flash")


@dataclass
class Team:
    """A team and its key. `is_tight` marks one whose budget is spent within a few jobs."""

    id: str
    key: str
    is_tight: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """What presents the key."""
        return {"Authorization": f"Bearer {self.key}"}


@dataclass
class Known:
    """What all clients together know and saw."""

    uploads: dict[str, str] = field(default_factory=dict)
    """Upload URL to team id."""
    jobs: dict[tuple[str, str], str] = field(default_factory=dict)
    """Region and transcript id to team id: those that the gateway answered."""
    chats: list[SentChat] = field(default_factory=list)
    refused: int = 0
    """Submissions over a budget."""
    unanswered: int = 0
    """Submissions that got no answer, or none that says what became of them."""
    under_way: int = 0
    """Requests at this moment."""

    @property
    def heard(self) -> int:
        """Jobs that the gateway answered."""
        return len(self.jobs)

    @property
    def chatted(self) -> bool:
        """Whether a completion was answered."""
        return any(chat.request_id is not None for chat in self.chats)

    def team_of(self, job: Mapping[str, Any]) -> str | None:
        """Whose a job is, by its audio."""
        url = str(job["audio_url"])
        return self.uploads.get(url) or parse_qs(urlsplit(url).query).get("team", [None])[0]


class Client:
    """One client of a team, in a loop of its own until `run` is cancelled."""

    def __init__(self, number: int, seed: int, base: str, known: Known, chatting: asyncio.Event) -> None:
        self._number = number
        self._random = random.Random(f"{seed} client {number}")  # noqa: S311 - repeatable, not secret
        self._base = base
        self._known = known
        self._chatting = chatting
        self._count = 0
        self._team: Team
        self.next_team: Team

    async def run(self) -> None:
        """Do one thing after the other. A gateway that is gone is waited for."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    await self._one(session)
                except (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError):
                    await asyncio.sleep(0.1)
                await asyncio.sleep(self._random.uniform(*PAUSE))

    async def spend_all(self) -> None:
        """Submit until the team's budget allows no more, or `SPENT_WITHIN` times."""
        self._team = self.next_team
        refused = self._known.refused
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as session:
            for _ in range(SPENT_WITHIN):
                await self._submit(session, "us", await self._body(session, "us"))
                if self._known.refused > refused:
                    break

    async def _one(self, session: aiohttp.ClientSession) -> None:
        self._team = self.next_team
        if self._chatting.is_set() and self._random.random() < 0.5:
            await self._chat(session)
            return
        region = "us" if self._team.is_tight or self._random.random() < 0.75 else "eu"
        body = await self._body(session, region)
        transcript_id = await self._submit(session, region, body)
        if transcript_id is None and self._random.random() < 0.5:
            # As a client's own retry: another job, which is paid for as well.
            transcript_id = await self._submit(session, region, body)
        if transcript_id is not None:
            await self._follow(session, region, transcript_id)

    async def _body(self, session: aiohttp.ClientSession, region: str) -> dict[str, Any]:
        """A submission: an upload, a URL of its own, one that the team uses often, or a broken one."""
        self._count += 1
        marker = f"team={self._team.id}&client={self._number}&n={self._count}"
        chance = self._random.random()
        if self._team.is_tight:
            return {"audio_url": f"{PUBLIC[0]}?{marker}"}
        if chance < 0.2:
            return {"audio_url": await self._upload(session, region), **self._random.choice(OPTIONS)}
        if chance < 0.3:
            return {"audio_url": f"{PUBLIC[0]}?team={self._team.id}"}
        if chance < 0.35:
            return {"audio_url": f"https://audio.invalid/missing.mp3?{marker}"}
        return {"audio_url": f"{self._random.choice(PUBLIC)}?{marker}", **self._random.choice(OPTIONS)}

    async def _upload(self, session: aiohttp.ClientSession, region: str) -> str:
        url = f"{self._base}/{ROUTES[region]}/v2/upload"
        status, answer = await self._ask(session, "POST", url, data=sample_path("hello").read_bytes())
        if status != 200:
            raise ConnectionError
        self._known.uploads[answer["upload_url"]] = self._team.id
        return str(answer["upload_url"])

    async def _submit(self, session: aiohttp.ClientSession, region: str, body: dict[str, Any]) -> str | None:
        url = f"{self._base}/{ROUTES[region]}/v2/transcript"
        try:
            status, answer = await self._ask(session, "POST", url, json=body)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            self._known.unanswered += not isinstance(error, aiohttp.ClientConnectorError)
            await asyncio.sleep(0.1)
            return None
        if status == 200:
            self._known.jobs[region, answer["id"]] = self._team.id
            return str(answer["id"])
        if status == 400 and "udget" in str(answer):
            self._known.refused += 1
        else:
            self._known.unanswered += 1
        return None

    async def _follow(self, session: aiohttp.ClientSession, region: str, transcript_id: str) -> None:
        """Poll some to their end, look at some once, leave the rest alone; delete a few."""
        url = f"{self._base}/{ROUTES[region]}/v2/transcript/{transcript_id}"
        chance = self._random.random()
        for _ in range(0 if chance < 0.4 else 1 if chance < 0.6 else 4):
            await asyncio.sleep(0.2)
            _, answer = await self._ask(session, "GET", url)
            if answer.get("status") in ("completed", "error"):
                break
        if self._random.random() < 0.1:
            await self._ask(session, "DELETE", url)

    async def _chat(self, session: aiohttp.ClientSession) -> None:
        self._count += 1
        marker = f"{self._number}-{self._count}"
        body = {
            "model": self._random.choice(CHAT_MODELS),
            # A length of its own, and so a price of its own.
            "messages": [{"role": "user", "content": f"Repeat: {'word ' * (self._count % 400)}{marker}."}],
            "user": marker,
            "max_tokens": 200,
            "stream": self._random.random() < 0.4,
        }
        place = len(self._known.chats)
        self._known.chats.append(SentChat(marker, self._team.id))
        self._known.under_way += 1
        try:
            request_id = await self._complete(session, body)
        finally:
            self._known.under_way -= 1
        self._known.chats[place] = SentChat(marker, self._team.id, request_id)

    async def _complete(self, session: aiohttp.ClientSession, body: dict[str, Any]) -> str | None:
        """AssemblyAI's id of a completion, None unless the whole answer came."""
        url, timeout = f"{self._base}/v1/chat/completions", aiohttp.ClientTimeout(total=CHAT_SECONDS)
        async with session.post(url, json=body, headers=self._team.headers, timeout=timeout) as response:
            content = await response.read()
        if response.status != 200:
            return None
        if body["stream"]:
            events = [line.removeprefix(b"data: ") for line in content.split(b"\n") if line]
            if events[-1] != b"[DONE]":
                return None
            content = events[0]
        return str(orjson.loads(content)["id"]).removeprefix("chatcmpl-")

    async def _ask(
        self, session: aiohttp.ClientSession, method: str, url: str, **more: Any
    ) -> tuple[int, Any]:
        """Status and JSON of one answer, as the client's team."""
        self._known.under_way += 1
        try:
            async with session.request(method, url, headers=self._team.headers, **more) as response:
                return response.status, await response.json(content_type=None)
        except ValueError:
            # A body that broke off.
            raise ConnectionError from None
        finally:
            self._known.under_way -= 1

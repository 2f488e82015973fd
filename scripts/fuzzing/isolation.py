"""Random requests of many keys of many teams through the real proxy: nobody sees what is another's.

Each answer is held against `tenants.expected`, and searched for marks of others. What is refused as unknown
must be the same bytes for somebody's transcript as for nobody's, and cause no request to AssemblyAI.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from fuzzing.tenants import (
    LLM_ROUTES,
    READING,
    REGIONS,
    ROUTES,
    Holder,
    Region,
    Tenants,
    Thing,
    expected,
    pick,
    strange_marks,
)

CLIENTS = 12
NOT_FOUND = (400, b'{"error":"Transcript lookup error, transcript id not found"}')
FOREIGN_UPLOAD = (403, b'{"error":"Cannot access uploaded file"}')
WEIGHTS = {
    "submit": 5,
    "upload": 2,
    "submit an upload": 4,
    "delete": 4,
    "list": 12,
    "chat": 3,
    "understanding": 3,
    **dict.fromkeys(READING, 9),
}
"""How often each operation comes, relative to the others; a chat costs as much time as thirty polls."""


@dataclass
class Told:
    """What happened, for the table and the verdict."""

    requests: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    wrongs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refusals: dict[str, set[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(set))
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"another's": [], "nobody's": []})


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes


class Isolation:
    """Sends the requests and keeps the second opinion."""

    def __init__(self, gateway_url: str, tenants: Tenants, requests: int, seed: int) -> None:
        self._url = gateway_url
        self._tenants = tenants
        self._left = requests
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.told = Told()

    async def run(self) -> Told:
        """All requests, `CLIENTS` at once, then every list from end to end."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
            await asyncio.gather(*(self._client(session) for _ in range(CLIENTS)))
            for holder in self._tenants.holders:
                if holder.state == "live":
                    for region in sorted(holder.regions):
                        await self._read_whole_list(session, holder, region)
        return self.told

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while self._left > 0:
            self._left -= 1
            operation = self._chance.choices([*WEIGHTS], [*WEIGHTS.values()])[0]
            await self._one(session, self._chance.choice(self._tenants.holders), operation)

    async def _one(self, session: aiohttp.ClientSession, holder: Holder, operation: str) -> None:
        region: Region = self._chance.choice(REGIONS)
        thing, name = self._thing(holder, operation)
        if thing is not None and self._chance.random() < 0.8:
            region = thing.region
        wanted = expected(holder, operation, region, thing)
        visible = self._tenants.seen_by(holder, region) if operation == "list" else set()
        began = time.perf_counter()
        answer = await self._send(session, holder, operation, region, name)
        took = time.perf_counter() - began
        self._judge(holder, operation, region, wanted, answer, name)
        if wanted == "served" and answer.status == 200:
            self._learn(holder, operation, region, answer, visible)
        if wanted == "not found" and operation == "get" and (thing is None or thing.region == region):
            self.told.seconds["nobody's" if thing is None else "another's"].append(took)

    def _thing(self, holder: Holder, operation: str) -> tuple[Thing | None, str]:
        if operation in ("list", "upload", "submit"):
            return None, ""
        if operation == "submit an upload":
            thing = pick(self._chance, self._tenants, holder, self._tenants.uploads)
            nobodys = f"https://cdn.assemblyai.com/upload/{uuid.uuid4().hex}/{uuid.uuid4()}"
            return thing, nobodys if thing is None else thing.name
        thing = pick(self._chance, self._tenants, holder, self._tenants.transcripts)
        return thing, str(uuid.UUID(int=self._chance.getrandbits(128))) if thing is None else thing.name

    async def _send(
        self, session: aiohttp.ClientSession, holder: Holder, operation: str, region: Region, name: str
    ) -> Answer:
        speech = f"{self._url}/{ROUTES[region]}/v2"
        headers = {"Authorization": self._chance.choice(("", "Bearer ")) + holder.secret}
        method, url, body = "POST", f"{speech}/transcript", None
        match operation:
            case "upload":
                url, body = f"{speech}/upload", holder.mark().encode() * self._chance.randint(1, 50)
            case "submit":
                url_of_own = f"https://example.org/audio.wav?{holder.mark()}"
                redacted = {"redact_pii": True, "redact_pii_audio": True}
                body = orjson.dumps({"audio_url": url_of_own, **redacted})
            case "submit an upload":
                body = orjson.dumps({"audio_url": name})
            case "list":
                method, url = "GET", f"{speech}/transcript?{self._list_query(holder)}"
            case "delete":
                method, url = "DELETE", f"{speech}/transcript/{name}"
            case "chat":
                url, body = f"{self._url}/v1/chat/completions", self._chat(region, name)
                headers["Content-Type"] = "application/json"
            case "understanding":
                url, body = f"{self._url}/{LLM_ROUTES[region]}/v1/understanding", _understanding(name)
                headers["Content-Type"] = "application/json"
            case _:
                method, url = "GET", f"{speech}/transcript/{name}{READING[operation]}"
        async with session.request(method, url, data=body, headers=headers) as response:
            return Answer(response.status, await response.read())

    def _list_query(self, holder: Holder) -> str:
        query = [f"limit={self._chance.choice((1, 3, 10, 200))}"]
        if self._chance.random() < 0.3:
            query.append(f"status={self._chance.choice(('queued', 'completed', 'error'))}")
        return "&".join(query)

    def _chat(self, region: Region, name: str) -> bytes:
        """The transcript named at one of the places where AssemblyAI or LiteLLM would read it."""
        body: dict[str, Any] = {
            "model": f"{ROUTES[region]}/claude-haiku-4-5-20251001",
            "messages": [{"role": "user", "content": "Repeat: {{ transcript }}"}],
            "max_tokens": 20,
        }
        match self._chance.randrange(3):
            case 0:
                body["transcript_id"] = name
            case 1:
                body["extra_body"] = {"transcript_id": name}
            case _:
                body["fallbacks"] = [{"model": "claude-sonnet-4-6", "transcript_id": name}]
        return orjson.dumps(body)

    def _judge(
        self, holder: Holder, operation: str, region: Region, wanted: str, answer: Answer, name: str
    ) -> None:
        told = self.told
        told.requests[operation] += 1
        told.outcomes[wanted] += 1
        told.statuses[f"{answer.status // 100}xx"] += 1
        who = f"key {holder.number} of owner {holder.owner}: {operation} {name}: {answer.status}"
        shown = f"{who} {answer.body[:200]!r}, wanted {wanted}"
        if marks := strange_marks(answer.body, holder):
            told.wrongs["marks of others"].append(f"{who} shows {marks}")
        if answer.status >= 500:
            told.wrongs["server errors"].append(shown)
        elif not _agrees(wanted, operation, answer):
            told.wrongs["other than expected"].append(shown)
        told.served[operation] += wanted == "served" and answer.status == 200
        if wanted == "not found":
            told.refusals[f"{operation}, {region}"].add((answer.status, _without_request_id(answer.body)))

    def _learn(
        self, holder: Holder, operation: str, region: Region, answer: Answer, visible: set[str]
    ) -> None:
        body = orjson.loads(answer.body) if operation in ("upload", "list") or "submit" in operation else {}
        if operation == "upload":
            thing = Thing(body["upload_url"], region, holder.owner, holder.number)
            self._tenants.uploads.append(thing)
        elif operation in ("submit", "submit an upload"):
            self._tenants.transcripts.append(Thing(body["id"], region, holder.owner, holder.number))
        elif operation == "list":
            # What was made while the list was under way may be there or not.
            known = self._tenants.seen_by(holder, region)
            strange = [item["id"] for item in body["transcripts"] if item["id"] not in known]
            self._told_of_strange(holder, strange)

    def _told_of_strange(self, holder: Holder, strange: list[str]) -> None:
        """A list may be faster than the answer to the submission that it shows: such an id is new, once."""
        others = {thing.name: thing for thing in self._tenants.transcripts}
        for each in strange:
            if each in others:
                self.told.wrongs["lists of others"].append(f"key {holder.number} lists {each}")

    async def _read_whole_list(self, session: aiohttp.ClientSession, holder: Holder, region: Region) -> None:
        """Follow a list's links from its newest end to its oldest: exactly what the key may see."""
        url = f"{self._url}/{ROUTES[region]}/v2/transcript?limit=100"
        found: list[str] = []
        while url:
            async with session.get(url, headers={"Authorization": holder.secret}) as response:
                page = orjson.loads(await response.read())
            self.told.requests["list, followed"] += 1
            found += [item["id"] for item in page["transcripts"]]
            url = page["page_details"]["prev_url"]
            if url and urlsplit(url).netloc != urlsplit(self._url).netloc:
                self.told.wrongs["links elsewhere"].append(url)
                return
        wanted = self._tenants.seen_by(holder, region)
        if len(found) != len(set(found)) or set(found) != wanted:
            text = f"key {holder.number} in {region}: {len(found)} listed, {len(wanted)} are its own"
            self.told.wrongs["lists of others"].append(text)


def _understanding(name: str) -> bytes:
    asked = {"request": {"translation": {"target_languages": ["de"]}}}
    return orjson.dumps({"transcript_id": name, "speech_understanding": asked})


def _agrees(wanted: str, operation: str, answer: Answer) -> bool:
    match wanted:
        case "unauthenticated":
            return answer.status == 401
        case "forbidden":
            return answer.status == 403
        case "foreign upload":
            return (answer.status, answer.body) == FOREIGN_UPLOAD
        case "not found" if operation in ("chat", "understanding"):
            return answer.status == 404 and b"transcript not found" in answer.body
        case "not found":
            return (answer.status, answer.body) == NOT_FOUND
        case _:
            # Of a transcript that is one's own AssemblyAI may still refuse something: not ready, no audio,
            # and for the LLM Gateway there may be none before it is completed and after it is deleted.
            may_be = (400, 404) if operation in ("chat", "understanding") else (400,)
            return answer.status == 200 or (answer.status in may_be and NOT_FOUND[1] != answer.body)


def _without_request_id(body: bytes) -> bytes:
    try:
        value = orjson.loads(body)
    except ValueError:
        return body
    if isinstance(value, dict):
        value.pop("request_id", None)
    return orjson.dumps(value)

"""What tests of webhooks share: a receiver that keeps what it is told, and jobs with a webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web
from recording_upstream import BODY, RecordingUpstream, recording_upstream

from aai_gateway.core.regions import Region
from aai_gateway.store import Store, intents, transcripts, webhooks
from aai_gateway.store.intents import Intent
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.webhooks import Webhook

AUDIO = "https://example.org/audio.wav"


@dataclass
class Receiver:
    """A team's receiver. It answers with each of `statuses` in turn, then 200, `pause` seconds later."""

    server: RecordingUpstream
    statuses: list[int] = field(default_factory=list)
    pause: float = 0.0
    told: list[dict[str, Any]] = field(default_factory=list)
    """The JSON bodies that came."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Their headers, by lower-case name."""
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """A URL of its own."""
        return f"{self.server.url}/hook?sig=%2Fx"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Keep what it is told."""
        self.told.append(json.loads(request[BODY]))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(request.raw_path)
        await asyncio.sleep(self.pause)
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": self.url} if status == 302 else {})


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver in a thread of its own."""
    with recording_upstream() as server:
        receiver = Receiver(server)
        server.answer = receiver.answer
        yield receiver


async def job_with_webhook(
    store: Store,
    name: str,
    now: datetime,
    *,
    url: str = "https://hooks.example.org/x",
    owner: str = "team:t",
    key_hash: str | None = None,
    region: Region = Region.US,
    header: tuple[str, str] | None = None,
    accepted: bool = True,
    settled_at: datetime | None = None,
) -> tuple[Webhook, Transcript]:
    """A job `name` whose webhook has the id `hook-<name>`; `header` is its name and its encrypted value."""
    intent = Intent(region, owner, AUDIO, id=f"intent-{name}", created_at=now)
    webhook = Webhook(
        id=f"hook-{name}",
        region=region,
        owner=owner,
        key_hash=key_hash,
        intent_id=intent.id,
        url=url,
        header_name=header[0] if header else None,
        header_value=header[1] if header else None,
        created_at=now,
    )
    job = Transcript(
        name,
        region,
        owner,
        AUDIO,
        intent_id=intent.id,
        status="completed" if settled_at else "processing",
        created_at=now,
        settled_at=settled_at,
    )
    async with store.write() as connection:
        await intents.open(connection, intent)
        await webhooks.add(connection, webhook)
        if accepted:
            await transcripts.record(connection, job)
            await intents.accept(connection, intent.id, name)
    return webhook, job

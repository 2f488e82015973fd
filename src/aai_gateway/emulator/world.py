"""One region of AssemblyAI: its uploads and transcripts. Regions are separate worlds and share nothing.

A job is kept as what was asked for and what was heard, a few hundred bytes; the transcript that clients see
is made when they ask for it, so that a hundred thousand jobs are cheap.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from aai_gateway.emulator import transcripts
from aai_gateway.emulator.hearing import Recording, Unheard
from aai_gateway.emulator.price_list import PriceList
from aai_gateway.emulator.sample_audio import Heard

_MOST_ENCODED = 512

Status = Literal["queued", "processing", "completed", "error"]


@dataclass(slots=True, eq=False)
class Job:
    """A transcript: what was asked for, when and at which prices, and what became of it."""

    id: str
    number: int
    """Its place among the region's transcripts, the oldest being 0."""
    request: dict[str, Any]
    model: str
    """The speech model that runs."""
    prices: PriceList
    """What held when it was submitted."""
    created: datetime
    ends: float = 0.0
    """Seconds of the event loop's clock."""
    status: Status = "queued"
    outcome: Heard | Unheard | None = None
    """What was heard, or why nothing was; None until then, and where deletion came first."""
    completed: datetime | None = None
    deleted: bool = False
    redacted_audio: Path | None = None
    webhook_status: int | None = None

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "error")

    @property
    def measures(self) -> dict[str, Any]:
        """What a completed job says of its audio and model; empty for any other."""
        if self.status != "completed" or not isinstance(self.outcome, Heard):
            return {}
        return transcripts.measures(self.request, self.outcome, self.model)

    @property
    def error(self) -> str | None:
        """Why it failed, if it did."""
        return self.outcome.text if isinstance(self.outcome, Unheard) and self.status == "error" else None


class World:
    """The uploads and transcripts of one region, held in memory; files are in `folder`."""

    def __init__(self, region: str, account_key: str, folder: Path) -> None:
        digest = hashlib.sha256(account_key.encode()).digest()
        self.region = region
        self.folder = folder
        self.uploads: dict[str, Recording] = {}
        self.jobs: dict[str, Job] = {}
        self.order: list[Job] = []
        """All transcripts, the oldest first: each at its number."""
        self._project_id = int.from_bytes(digest[:3], "big")
        self._token_id = int.from_bytes(digest[3:6], "big")
        self._account = digest.hex()[:32]
        self._encoded: OrderedDict[str, tuple[object, bytes]] = OrderedDict()

    def add_upload(self, recording: Recording) -> str:
        """Keep an uploaded file; gives its upload URL, which only this region understands."""
        url = f"https://cdn.assemblyai.com/upload/{self._account}/{uuid.uuid4()}"
        self.uploads[url] = recording
        return url

    def add_job(self, request: dict[str, Any], model: str, prices: PriceList, created: datetime) -> Job:
        """Keep a new transcript."""
        job = Job(str(uuid.uuid4()), len(self.order), request, model, prices, created)
        self.jobs[job.id] = job
        self.order.append(job)
        return job

    def encoded(self, job: Job) -> bytes:
        """The transcript as clients see it now, as JSON; those that ended and were read last are kept."""
        if not job.ended:
            return orjson.dumps(self._made(job))
        state = (job.status, job.deleted, job.webhook_status)
        kept = self._encoded.pop(job.id, None)
        encoded = kept[1] if kept and kept[0] == state else orjson.dumps(self._made(job))
        self._encoded[job.id] = (state, encoded)
        if len(self._encoded) > _MOST_ENCODED:
            self._encoded.popitem(last=False)
        return encoded

    def body(self, job: Job) -> dict[str, Any]:
        """The transcript as clients see it now."""
        body: dict[str, Any] = orjson.loads(self.encoded(job))
        return body

    def transcript(self, transcript_id: str) -> dict[str, Any] | None:
        """A transcript of this region as it stands now, None for any other id and for a deleted one."""
        job = self.jobs.get(transcript_id)
        return None if job is None or job.deleted else self.body(job)

    def transcript_text(self, transcript_id: str) -> str | None:
        """The text of a completed transcript of this region, None for any other id."""
        job = self.jobs.get(transcript_id)
        if job is None or job.status != "completed" or job.deleted:
            return None
        return str(self.body(job)["text"])

    def _made(self, job: Job) -> dict[str, Any]:
        body = transcripts.queued(job.id, job.request, self._project_id, self._token_id)
        if job.deleted:
            return transcripts.deleted(body | job.measures)
        if job.error is not None:
            body = transcripts.failed(body, job.error)
        elif job.status == "completed" and isinstance(job.outcome, Heard):
            body = transcripts.completed(body, job.outcome, job.model)
        return body | {"status": job.status, "webhook_status_code": job.webhook_status}

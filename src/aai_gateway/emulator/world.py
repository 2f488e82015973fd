"""One region of AssemblyAI: its uploads and transcripts. Regions are separate worlds and share nothing."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson

from aai_gateway.emulator.hearing import Recording


@dataclass(slots=True, eq=False)
class Job:
    """A transcript: its body as clients see it, and what the list and the export of audio need."""

    id: str
    body: dict[str, Any]
    request: dict[str, Any]
    created: datetime
    number: int
    completed: datetime | None = None
    deleted: bool = False
    redacted_audio: Path | None = None
    _encoded: bytes | None = field(default=None, repr=False)

    def update(self, body: dict[str, Any]) -> None:
        """Let clients see `body` from now on."""
        self.body = body
        self._encoded = None

    def encoded(self) -> bytes:
        """The body as JSON, encoded once for each status."""
        if self._encoded is None:
            self._encoded = orjson.dumps(self.body)
        return self._encoded


class World:
    """The uploads and transcripts of one region, held in memory; files are in `folder`."""

    def __init__(self, region: str, account_key: str, folder: Path) -> None:
        digest = hashlib.sha256(account_key.encode()).digest()
        self.region = region
        self.folder = folder
        self.uploads: dict[str, Recording] = {}
        self.jobs: dict[str, Job] = {}
        self.project_id = int.from_bytes(digest[:3], "big")
        self.token_id = int.from_bytes(digest[3:6], "big")
        self._account = digest.hex()[:32]

    def add_upload(self, recording: Recording) -> str:
        """Keep an uploaded file; gives its upload URL, which only this region understands."""
        url = f"https://cdn.assemblyai.com/upload/{self._account}/{uuid.uuid4()}"
        self.uploads[url] = recording
        return url

    def add_job(self, transcript_id: str, body: dict[str, Any], request: dict[str, Any]) -> Job:
        """Keep a new transcript."""
        job = Job(transcript_id, body, request, datetime.now(timezone.utc), len(self.jobs))
        self.jobs[transcript_id] = job
        return job

    def newest_first(self) -> Iterator[Job]:
        """All transcripts, the newest first."""
        return reversed(self.jobs.values())

    def transcript_text(self, transcript_id: str) -> str | None:
        """The text of a completed transcript of this region, None for any other id."""
        job = self.jobs.get(transcript_id)
        if job is None or job.body["status"] != "completed" or job.deleted:
            return None
        return str(job.body["text"])

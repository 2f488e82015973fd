"""A job's life: queued, processing, then completed or error; charged once, and told to its webhook.

Timing: `job_seconds`, the first third of it queued, plus `realtime_factor` seconds for each second of audio.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from aai_gateway.emulator import transcripts
from aai_gateway.emulator.config import EmulatorConfig
from aai_gateway.emulator.entities import find_entities
from aai_gateway.emulator.hearing import Unheard, download_error, hear
from aai_gateway.emulator.redacted_audio import write_silenced
from aai_gateway.emulator.refusals import model_that_runs
from aai_gateway.emulator.sample_audio import Heard
from aai_gateway.emulator.webhooks import deliver
from aai_gateway.emulator.wording import wanted_words
from aai_gateway.emulator.world import Job, World


class Charges(Protocol):
    """What a job needs of the invoice."""

    def charge_transcript(self, region: str, transcript: dict[str, Any]) -> None:
        """Charge one completed transcript."""


class Jobs:
    """Runs the jobs of one region; `stop` ends those that still run."""

    def __init__(
        self, world: World, config: EmulatorConfig, invoice: Charges, redacted_url: Callable[[Job], str]
    ) -> None:
        self._world = world
        self._config = config
        self._invoice = invoice
        self._redacted_url = redacted_url
        self._running: dict[str, asyncio.Task[None]] = {}
        self._webhooks: set[asyncio.Task[None]] = set()

    async def submit(self, request: dict[str, Any]) -> bytes:
        """Start a job for an accepted request; gives the encoded answer, with status `queued`."""
        transcript_id = str(uuid.uuid4())
        body = transcripts.queued(transcript_id, request, self._world.project_id, self._world.token_id)
        job = self._world.add_job(transcript_id, body, request)
        answer = job.encoded()
        task = asyncio.create_task(self._run(job))
        self._running[transcript_id] = task
        task.add_done_callback(lambda _: self._running.pop(transcript_id, None))
        if self._config.job_seconds == 0 and self._config.realtime_factor == 0:
            await asyncio.wait([task])
        return answer

    def delete(self, job: Job) -> None:
        """Delete a transcript and its upload; a job that still runs ends there and is not charged."""
        if task := self._running.get(job.id):
            task.cancel()
        upload = self._world.uploads.pop(job.request["audio_url"], None)
        for path in (upload.path if upload else None, job.redacted_audio):
            if path is not None:
                path.unlink(missing_ok=True)
        job.deleted = True
        job.redacted_audio = None
        job.completed = job.completed or datetime.now(timezone.utc)
        job.update(transcripts.deleted(job.body))

    async def stop(self) -> None:
        """End all jobs and webhooks."""
        tasks = [*self._running.values(), *self._webhooks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        clock = asyncio.get_running_loop().time
        begun, seconds = clock(), self._config.job_seconds
        if seconds:
            await asyncio.sleep(seconds / 3)
        job.update(job.body | {"status": "processing"})
        outcome = await self._outcome(job)
        if isinstance(outcome, Heard):
            seconds += self._config.realtime_factor * outcome.duration_ms / 1000
        if (left := begun + seconds - clock()) > 0:
            await asyncio.sleep(left)
        await self._finish(job, outcome)

    async def _outcome(self, job: Job) -> Heard | Unheard:
        try:
            heard = await hear(
                job.request["audio_url"], self._world.uploads, self._world.folder, self._config.hear_unknown
            )
        except OSError:
            return download_error(job.request["audio_url"])
        if isinstance(heard, Heard) and (reason := transcripts.shortcoming(job.body, heard)):
            return Unheard(reason)
        return heard

    async def _finish(self, job: Job, outcome: Heard | Unheard) -> None:
        if isinstance(outcome, Unheard):
            body = transcripts.failed(job.body, outcome.text)
        else:
            model = model_that_runs(job.request) or "universal-2"
            body = transcripts.completed(job.body, outcome, model)
            if job.body["redact_pii"] and job.body["redact_pii_audio"]:
                job.redacted_audio = await asyncio.to_thread(self._silence, job, outcome)
            self._invoice.charge_transcript(self._world.region, body)
        job.completed = datetime.now(timezone.utc)
        job.update(body)
        if job.request.get("webhook_url"):
            self._start_webhook(self._tell(job))

    def _silence(self, job: Job, heard: Heard) -> Path | None:
        words = wanted_words(heard, job.body)
        policies = job.body["redact_pii_policies"]
        spans = [
            (words[entity.first].start, words[entity.last - 1].end)
            for entity in find_entities(words)
            if policies is None or entity.kind in policies
        ]
        target = self._world.folder / f"redacted-{job.id}{heard.path.suffix}"
        return target if write_silenced(heard.path, target, spans) else None

    def _start_webhook(self, telling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(telling)
        self._webhooks.add(task)
        task.add_done_callback(self._webhooks.discard)

    async def _tell(self, job: Job) -> None:
        name, value = (job.request.get(f"webhook_auth_header_{part}") for part in ("name", "value"))
        headers = {name: value or ""} if name else {}
        url, told = job.request["webhook_url"], {"transcript_id": job.id, "status": job.body["status"]}
        async with aiohttp.ClientSession() as session:
            status = await deliver(session, url, headers, told)
            if not job.deleted:
                job.update(job.body | {"webhook_status_code": status})
            if job.redacted_audio is not None:
                audio = {"status": "redacted_audio_ready", "redacted_audio_url": self._redacted_url(job)}
                await deliver(session, url, headers, audio)

"""A job's life: queued, processing, then completed or error; charged once, and told to its webhook.

Timing: `job_seconds`, the first third of it queued, plus `realtime_factor` seconds for each second of audio.
A waiting job is an entry in a schedule; only one whose audio must be fetched or recognised has a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from aai_gateway.emulator import transcripts
from aai_gateway.emulator.config import EmulatorConfig, Pace
from aai_gateway.emulator.entities import find_entities
from aai_gateway.emulator.hearing import Unheard, download_error, hear, known
from aai_gateway.emulator.price_list import PriceList
from aai_gateway.emulator.redacted_audio import write_silenced
from aai_gateway.emulator.refusals import model_that_runs
from aai_gateway.emulator.sample_audio import Heard
from aai_gateway.emulator.schedule import Schedule
from aai_gateway.emulator.webhooks import deliver
from aai_gateway.emulator.wording import wanted_words
from aai_gateway.emulator.world import Job, World

_HEARD_AT_ONCE = 16


class Charges(Protocol):
    """What a job needs of the invoice."""

    def charge_transcript(self, region: str, transcript: Mapping[str, Any], prices: PriceList) -> None:
        """Charge one completed transcript."""


class Jobs:
    """Runs the jobs of one region; `stop` ends those that still run."""

    def __init__(
        self,
        world: World,
        config: EmulatorConfig,
        pace: Pace,
        invoice: Charges,
        redacted_url: Callable[[Job], str],
    ) -> None:
        self._world = world
        self._config = config
        self._pace = pace
        self._invoice = invoice
        self._redacted_url = redacted_url
        self._schedule: Schedule[Job] = Schedule(self._due)
        self._listening = asyncio.Semaphore(_HEARD_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, request: dict[str, Any], created: datetime, prices: PriceList) -> bytes:
        """Start a job for an accepted request; gives the encoded answer, with status `queued`.

        It is charged at `prices`, which held when it was `created`.
        """
        model = model_that_runs(request, prices.speech_models) or "universal-2"
        job = self._world.add_job(request, model, prices, created)
        answer = self._world.encoded(job)
        seconds, now = self._pace.job_seconds, asyncio.get_running_loop().time()
        if seconds == 0 and self._pace.realtime_factor == 0:
            await asyncio.wait([self._start(self._hear_and_end(job))])
        else:
            job.ends = now + seconds
            self._schedule.add(now + seconds / 3, job)
        return answer

    def delete(self, job: Job) -> None:
        """Delete a transcript and its upload; a job that still runs ends there and is not charged."""
        upload = self._world.uploads.pop(job.request["audio_url"], None)
        for path in (upload.path if upload else None, job.redacted_audio):
            if path is not None:
                path.unlink(missing_ok=True)
        if job.status != "completed":
            job.outcome = None
        job.deleted = True
        job.redacted_audio = None
        job.completed = job.completed or datetime.now(timezone.utc)
        job.status = "completed"

    async def stop(self) -> None:
        """End all jobs and webhooks."""
        self._schedule.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _due(self, job: Job) -> None:
        """The first time a job is due it starts to be processed, the second time it ends."""
        if job.deleted:
            return
        if job.status == "processing":
            self._end(job)
            return
        job.status = "processing"
        heard = known(job.request["audio_url"], self._world.uploads)
        if heard is None:
            self._start(self._hear(job))
        else:
            self._heard(job, heard)

    async def _hear(self, job: Job) -> None:
        outcome = await self._listen(job)
        if not job.deleted:
            self._heard(job, outcome)

    def _heard(self, job: Job, outcome: Heard | Unheard) -> None:
        job.outcome = _fitting(job, outcome)
        if isinstance(job.outcome, Heard):
            job.ends += self._pace.realtime_factor * job.outcome.duration_ms / 1000
        self._schedule.add(job.ends, job)

    async def _hear_and_end(self, job: Job) -> None:
        job.status = "processing"
        outcome = await self._listen(job)
        if not job.deleted:
            job.outcome = _fitting(job, outcome)
            if (silencing := self._end(job)) is not None:
                await silencing

    async def _listen(self, job: Job) -> Heard | Unheard:
        url, world = job.request["audio_url"], self._world
        try:
            async with self._listening:
                return await hear(url, world.uploads, world.folder, self._config.hear_unknown)
        except OSError:
            return download_error(url)

    def _end(self, job: Job) -> asyncio.Task[None] | None:
        """End a job, at once or, where audio must be redacted first, with the task that it gives."""
        wanted = job.request.get("redact_pii") and job.request.get("redact_pii_audio")
        if wanted and isinstance(job.outcome, Heard):
            return self._start(self._silence_and_complete(job, job.outcome))
        self._complete(job)
        return None

    async def _silence_and_complete(self, job: Job, heard: Heard) -> None:
        silenced = await asyncio.to_thread(self._silence, job, heard)
        if job.deleted:
            if silenced is not None:
                silenced.unlink(missing_ok=True)
            return
        job.redacted_audio = silenced
        self._complete(job)

    def _complete(self, job: Job) -> None:
        """Charge a job that has ended, then let clients see it, then tell its webhook."""
        if isinstance(job.outcome, Heard):
            measures = transcripts.measures(job.request, job.outcome, job.model)
            self._invoice.charge_transcript(
                self._world.region, {**job.request, "id": job.id, **measures}, job.prices
            )
        job.completed = datetime.now(timezone.utc)
        job.status = "completed" if isinstance(job.outcome, Heard) else "error"
        if job.request.get("webhook_url"):
            self._start(self._tell(job))

    def _silence(self, job: Job, heard: Heard) -> Path | None:
        words = wanted_words(heard, job.request)
        policies = job.request.get("redact_pii_policies")
        spans = [
            (words[entity.first].start, words[entity.last - 1].end)
            for entity in find_entities(words)
            if policies is None or entity.kind in policies
        ]
        target = self._world.folder / f"redacted-{job.id}{heard.path.suffix}"
        return target if write_silenced(heard.path, target, spans) else None

    async def _tell(self, job: Job) -> None:
        name, value = (job.request.get(f"webhook_auth_header_{part}") for part in ("name", "value"))
        headers = {name: value or ""} if name else {}
        url, told = job.request["webhook_url"], {"transcript_id": job.id, "status": job.status}
        async with aiohttp.ClientSession() as session:
            job.webhook_status = await deliver(session, url, headers, told)
            if job.redacted_audio is not None:
                audio = {"status": "redacted_audio_ready", "redacted_audio_url": self._redacted_url(job)}
                await deliver(session, url, headers, audio)


def _fitting(job: Job, outcome: Heard | Unheard) -> Heard | Unheard:
    """What was heard, unless the request's own thresholds reject it."""
    reason = transcripts.shortcoming(job.request, outcome) if isinstance(outcome, Heard) else None
    return outcome if reason is None else Unheard(reason)

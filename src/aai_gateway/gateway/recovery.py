"""Recovery: which of AssemblyAI's jobs belong to the submissions that were cut off before their answer.

An intent without an answer has a job at AssemblyAI, or none. The list is searched around its time; a job is
its own when audio, time and options agree and nobody else can have made it. What a search that was made late
enough has not found was never accepted: the intent is closed as unknown and its hold is given back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.matching import Echo, Listed, Window, agrees, echo_of, match, may_have_made, spans
from aai_gateway.core.regions import Region
from aai_gateway.errors import NotFound
from aai_gateway.gateway.asking import AccountJobs
from aai_gateway.gateway.submission import record_accepted
from aai_gateway.settings import Settings
from aai_gateway.store import Store, audit_log, holds, intents, transcripts
from aai_gateway.store.intents import Intent

log = logging.getLogger("aai_gateway")

AT_ONCE = 200
"""Intents that a search is made for at once; the others have their turn after them."""
ANCHORS = 5
"""Jobs of ours that are tried as the place where a search begins."""
MORE_CANDIDATES = 3
"""Jobs of one audio that are looked at in one search, beyond two for each intent."""

LONGEST_INTERVAL = timedelta(seconds=30)
"""Between two searches for the same intents; shorter where submissions are looked for sooner."""
INTENT_GIVE_UP = timedelta(minutes=15)
"""A search this long after a submission that finds no job says that there is none; AssemblyAI lists a job
at once, as far as is known."""


class Recovery:
    """Looks for the jobs of cut-off submissions, in rounds of bounded size."""

    def __init__(self, settings: Settings, store: Store, jobs: AccountJobs) -> None:
        self._store = store
        self._jobs = jobs
        self._settle_after = settings.settle_after
        self._lasts = timedelta(seconds=settings.recover_after)
        self._last: dict[Region, Intent] = {}
        self._next_pass: dict[Region, datetime] = {}

    async def round(self, region: Region) -> int:
        """Search for the oldest intents that have not had their turn; how many jobs were found.

        Raises UpstreamFailed, StoreError; then the same intents have the next turn.
        """
        now = utc_now()
        last = self._last.get(region)
        if last is None and self._next_pass.get(region, now) > now:
            return 0
        async with self._store.read() as connection:
            due = await intents.unresolved(connection, region, now - self._lasts, after=last, limit=AT_ONCE)
        found = 0
        for window, members in spans(due, self._lasts):
            found += await self._search(region, window, members)
        if len(due) == AT_ONCE:
            self._last[region] = due[-1]
        else:
            self._last.pop(region, None)
            self._next_pass[region] = now + min(self._lasts / 4, LONGEST_INTERVAL)
        return found

    async def _search(self, region: Region, window: Window, lost: Sequence[Intent]) -> int:
        """Find and give the jobs of intents whose windows meet."""
        asked_at = utc_now()
        candidates = await self._candidates(region, window, lost)
        echoes = await self._echoes(region, candidates)
        async with self._store.read() as connection:
            # Asked for after the list was read: the job of a later one cannot be on it.
            rivals = await intents.under_way(connection, region, utc_now() - self._lasts)
        contested = [job for job in candidates if is_contested(job, echoes.get(job.id), rivals, self._lasts)]
        free = [job for job in candidates if job not in contested]
        found = 0
        matched = match(lost, free, echoes, self._lasts)
        for intent, job in matched:
            found += await give(self._store, intent, job, self._settle_after)
        given = {intent.id for intent, _ in matched}
        for intent in lost:
            waits = any(may_have_made(intent, job, self._lasts) for job in contested)
            old = intent.created_at + max(INTENT_GIVE_UP, self._lasts * 3) <= asked_at
            if old and not waits and intent.id not in given:
                await self._give_up(intent)
        return found

    async def _candidates(self, region: Region, window: Window, lost: Sequence[Intent]) -> list[Listed]:
        """Jobs that are nobody's and may be the intents'."""
        urls = {intent.audio_url for intent in lost}
        found: list[Listed] = []
        async with self._store.read() as connection:
            anchors = await transcripts.submitted_after(connection, region, window.latest, ANCHORS)
        async for page in self._jobs.back_to(region, window.earliest, anchors):
            near = [job for job in page if job.audio_url in urls and window.holds(job.created)]
            if not near:
                continue
            async with self._store.read() as connection:
                known = await transcripts.known(connection, region, (job.id for job in near))
            found = _nearest([*found, *(job for job in near if job.id not in known)], lost, self._lasts)
        return found

    async def _echoes(self, region: Region, jobs: Iterable[Listed]) -> dict[str, Echo]:
        echoes: dict[str, Echo] = {}
        for job in jobs:
            try:
                echoes[job.id] = echo_of(await self._jobs.transcript(region, job.id))
            except NotFound:
                continue
        return echoes

    async def _give_up(self, intent: Intent) -> None:
        async with self._store.write() as connection:
            if await intents.close(connection, intent.id, "unknown"):
                await holds.release(connection, intent.id, utc_now())
        log.info("AssemblyAI has no job for submission %s of %s", intent.id, intent.owner)


def is_contested(job: Listed, echo: Echo | None, rivals: Iterable[Intent], lasts: timedelta) -> bool:
    """Whether a submission that is still under way may have made the job: its answer will tell."""
    return any(
        may_have_made(rival, job, lasts) and (echo is None or job.deleted or agrees(rival.requested, echo))
        for rival in rivals
    )


async def give(store: Store, intent: Intent, job: Listed, settle_after: float) -> bool:
    """Make the job the intent's, unless either has been given meanwhile."""
    async with store.write() as connection:
        if not await intents.lock_without_job(connection, intent.id):
            return False
        accepted = {"id": job.id, "status": job.status}
        given = await record_accepted(connection, intent, accepted, settle_after)
        if given:
            target = audit_log.transcript_target(intent.region, job.id)
            details = {"owner": intent.owner, "intent": intent.id, "created_at": job.created}
            audit_log.record(connection, "transcript.recover", target, details, team_id=intent.team_id)
    if given:
        log.info("found transcript %s of %s, which was cut off", job.id, intent.owner)
    return given


def _nearest(jobs: Sequence[Listed], lost: Sequence[Intent], lasts: timedelta) -> list[Listed]:
    """The jobs nearest in time to the intents of their audio: not many more than there are intents."""
    kept: list[Listed] = []
    for url in {job.audio_url for job in jobs}:
        mine = [intent for intent in lost if intent.audio_url == url]
        near = []
        for job in jobs:
            able = [one for one in mine if may_have_made(one, job, lasts)]
            if able:
                near.append((min(abs(job.created - one.created_at) for one in able), job.id, job))
        kept += [job for _, _, job in sorted(near)[: MORE_CANDIDATES + 2 * len(mine)]]
    return kept

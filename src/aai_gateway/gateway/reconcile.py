"""Reconciling: AssemblyAI's list of jobs against the ledger, and what is missing booked.

Made beside a running gateway, on the same store: whatever the settler, a client's poll or a second
reconciling books meanwhile, each job is booked once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.matching import CLOCK_SKEW, Listed, match
from aai_gateway.core.reconciling import (
    Booked,
    Figures,
    Finding,
    cost_of,
    different,
    extra,
    figures_of,
    missing,
    other_status,
)
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller, Team
from aai_gateway.core.usage_rows import Service
from aai_gateway.errors import NotFound, StoreError
from aai_gateway.gateway.asking import AccountJobs
from aai_gateway.gateway.ledger import Ledger
from aai_gateway.gateway.prices import Prices
from aai_gateway.gateway.recovery import ANCHORS, give, is_contested
from aai_gateway.settings import Settings
from aai_gateway.store import Store, audit_log, intents, reconciling, teams, transcripts, usage_lines
from aai_gateway.store.intents import Intent
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageFilter

UNATTRIBUTED = "unattributed"
"""Id and name of the team that gets the jobs that nobody can be found for."""
PARALLEL = 8
"""Transcripts that are read at once."""

UNLISTED: tuple[Service, ...] = ("chat", "understanding")
"""What AssemblyAI keeps no list of: it can be counted, and not compared."""


@dataclass(slots=True)
class Report:
    """What was compared and found. `fixed` are findings that are booked now; the others remain.

    `not_charged` are jobs from outside that were handed to a team (`aai-gateway transcripts adopt`).
    """

    region: Region
    since: datetime
    until: datetime
    compared: int = 0
    pending: int = 0
    adopted: int = 0
    by_length: int = 0
    not_charged: int = 0
    unknown_completions: int = 0
    unknown_held_micros: int = 0
    findings: list[Finding] = field(default_factory=list)
    fixed: list[Finding] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing remains to be explained."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class _Job:
    """A listed job with what the store has of it and, where it was asked for, what AssemblyAI says of it."""

    listed: Listed
    booked: Booked | None
    figures: Figures | None = None


class Reconciler:
    """Compares one region's jobs. `told` is called after each page with the jobs so far and their time."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        jobs: AccountJobs,
        ledger: Ledger,
        prices: Prices,
        told: Callable[[int, datetime], None] = lambda jobs, back_to: None,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._ledger = ledger
        self._prices = prices
        self._told = told
        self._lasts = timedelta(seconds=settings.recover_after)
        self._settle_after = settings.settle_after
        self._lost: list[Intent] = []

    async def run(
        self, region: Region, since: datetime, until: datetime, *, fix: bool = False, quick: bool = False
    ) -> Report:
        """Compare the jobs submitted from `since` up to `until`; with `fix` book those that are missing.

        `quick` compares ids and statuses alone. Raises UpstreamFailed when AssemblyAI stays away for minutes,
        and StoreError; what is booked by then stays booked.
        """
        report = Report(region, since, until)
        margin = CLOCK_SKEW + self._lasts
        since = max(since, datetime.min.replace(tzinfo=timezone.utc) + margin)
        until = min(until, datetime.max.replace(tzinfo=timezone.utc) - margin)
        async with self._store.read() as connection:
            self._lost = await intents.without_job(connection, region, since - margin, until + margin)
            anchors = await transcripts.submitted_after(connection, region, until + margin, ANCHORS)
        seen: set[str] = set()
        async for page in self._jobs.back_to(region, since - margin, anchors):
            seen.update(job.id for job in page)
            await self._compare(report, [job for job in page if since <= job.created < until], fix, quick)
            self._told(len(seen), page[-1].created)
        await self._compare_unlisted(report, seen, quick)
        async with self._store.read() as connection:
            for service in UNLISTED:
                where = UsageFilter(service=service, region=region, since=since, until=until)
                unknown = await usage_lines.unknown_completions(connection, where)
                report.unknown_completions += unknown.count
                report.unknown_held_micros += unknown.held_micros
        return report

    async def _compare(self, report: Report, page: Sequence[Listed], fix: bool, quick: bool) -> None:
        if not page:
            return
        async with self._store.read() as connection:
            known = await reconciling.jobs(connection, report.region, (job.id for job in page))
            book = await self._prices.book(connection)
        listed = [_Job(job, known.get(job.id)) for job in page]
        found = [job for job in listed if job.booked is None or not job.booked.adopted]
        report.not_charged += len(listed) - len(found)
        ended = [job for job in found if job.listed.ended]
        report.pending += len(found) - len(ended)
        booked = [job for job in ended if job.booked is not None and job.booked.counts]
        report.compared += len(booked)
        for job in booked if quick else await self._looked_at(report.region, booked):
            assert job.booked is not None
            if job.figures is None:
                finding = other_status(job.listed, job.booked)
            else:
                report.by_length += job.figures.deleted
                finding = different(job.listed, job.booked, job.figures, book)
            if finding is not None:
                report.findings.append(finding)
        await self._compare_missing(report, [job for job in found if _is_to_do(job, fix)], fix, quick)

    async def _compare_missing(self, report: Report, jobs: Sequence[_Job], fix: bool, quick: bool) -> None:
        """Jobs without a ledger row: say what they cost and whose they are, and book them."""
        if fix or not quick:
            jobs = await self._looked_at(report.region, jobs)
        givers = await self._givers(report, [job for job in jobs if job.booked is None])
        for job in jobs:
            if job.booked is None and job.listed.id not in givers:
                report.pending += job.listed.ended  # one under way may have made it: its answer will tell
                continue
            giver = givers.get(job.listed.id)
            finding = await self._missing(job, giver)
            row = await self._adopted(report.region, job, giver) if fix else None
            if row is None or job.figures is None:
                report.findings += [finding] if job.listed.ended else []
            elif not job.listed.ended:
                report.adopted += 1
            else:
                micros = await self._ledger.settle(row, job.figures.transcript, audited=True)
                booked = replace(finding, actual_micros=micros, team_id=await self._charged(row))
                report.fixed.append(booked)

    async def _missing(self, job: _Job, giver: Intent | None) -> Finding:
        """The finding on a job that is not booked, at the prices of its submission."""
        known = job.booked or giver
        requested, at = (known.requested, known.created_at) if known else ({}, job.listed.created)
        cost = None
        if job.figures is not None and job.listed.ended:
            async with self._store.read() as connection:
                book = await self._prices.book(connection)
            cost = cost_of(book, job.figures, requested, at=at)
        # Without its figures nobody can say whose a job without a row is.
        nobodys = UNATTRIBUTED if job.figures is not None else None
        team = known.team_id if known is not None else nobodys
        return missing(job.listed, job.booked, team, cost, asked=job.figures is not None)

    async def _charged(self, row: Transcript) -> str | None:
        """The team that a job is booked to: its submitter's, whoever has the transcript by now."""
        async with self._store.read() as connection:
            booked = (await reconciling.jobs(connection, row.region, [row.id]))[row.id]
        return booked.team_id

    async def _givers(self, report: Report, jobs: Sequence[_Job]) -> dict[str, Intent | None]:
        """The intents that jobs without a row belong to; None for nobody's. Contested ones are left out."""
        if not jobs:
            return {}
        now = utc_now()
        async with self._store.read() as connection:
            # Asked for after the list was read: the job of a later one cannot be on it.
            rivals = await intents.under_way(connection, report.region, now - self._lasts)
        free = [
            job
            for job in jobs
            if not is_contested(job.listed, job.figures.echo if job.figures else None, rivals, self._lasts)
        ]
        lost = [intent for intent in self._lost if intent.created_at < now - self._lasts]
        echoes = {job.listed.id: job.figures.echo for job in free if job.figures is not None}
        # Nothing is left of a deleted job that could tell whose it was.
        pairs = match(lost, (job.listed for job in free if not job.listed.deleted), echoes, self._lasts)
        taken = {intent.id for intent, _ in pairs}
        self._lost = [intent for intent in self._lost if intent.id not in taken]
        givers: dict[str, Intent | None] = {job.listed.id: None for job in free}
        return givers | {job.id: intent for intent, job in pairs}

    async def _adopted(self, region: Region, job: _Job, giver: Intent | None) -> Transcript | None:
        """The job's row, made where there is none; None when somebody else is about to have it."""
        if job.booked is None and giver is not None:
            await give(self._store, giver, job.listed, self._settle_after)
        elif job.booked is None:
            await self._unattributed(region, job)
        async with self._store.read() as connection:
            return await transcripts.get(connection, region, job.listed.id)

    async def _unattributed(self, region: Region, job: _Job) -> None:
        team = await unattributed_team(self._store)
        now = utc_now()
        options = dict(job.figures.echo.options) if job.figures else {}
        options.pop("unknown_options", None)
        row = Transcript(
            id=job.listed.id,
            region=region,
            owner=Caller(key=None, team=team).owner,
            audio_url=job.listed.audio_url,
            requested=options,
            team_id=team.id,
            status=job.listed.status,
            created_at=job.listed.created,
            deleted_at=now if job.listed.deleted else None,
            next_check_at=now + timedelta(seconds=self._settle_after),
        )
        async with self._store.write() as connection:
            if await transcripts.record(connection, row):
                target = audit_log.transcript_target(region, row.id)
                details = {"owner": row.owner, "created_at": row.created_at}
                audit_log.record(connection, "transcript.adopt", target, details, team_id=row.team_id)

    async def _compare_unlisted(self, report: Report, seen: set[str], quick: bool) -> None:
        """Booked jobs that AssemblyAI does not list: those that it does not know either are extra."""
        unlisted: list[Booked] = []
        async for job in reconciling.booked(self._store, report.region, report.since, report.until):
            if job.counts and job.id not in seen:
                unlisted.append(job)
        for job in unlisted:
            if quick or await self._look(report.region, job.id) is None:
                report.findings.append(extra(job))

    async def _looked_at(self, region: Region, jobs: Iterable[_Job]) -> list[_Job]:
        """The jobs with AssemblyAI's figures, but for those that are gone by now."""
        places = asyncio.Semaphore(PARALLEL)

        async def one(job: _Job) -> _Job | None:
            async with places:
                figures = await self._look(region, job.listed.id)
            return None if figures is None else replace(job, figures=figures)

        tasks = [asyncio.ensure_future(one(job)) for job in jobs]
        try:
            return [job for job in await asyncio.gather(*tasks) if job is not None]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, region: Region, transcript_id: str) -> Figures | None:
        try:
            return figures_of(await self._jobs.transcript(region, transcript_id))
        except NotFound:
            return None


async def unattributed_team(store: Store) -> Team:
    """The team of jobs that nobody can be found for, made when it is first needed; it has no keys.

    Raises StoreError when another team has its name.
    """
    async with store.read() as connection:
        team = await teams.by_id(connection, UNATTRIBUTED)
    if team is not None:
        return team
    try:
        async with store.write() as connection:
            return await teams.create(connection, Team(id=UNATTRIBUTED, alias=UNATTRIBUTED))
    except StoreError:
        # Another reconciling was faster, or the name is taken.
        async with store.read() as connection:
            if (team := await teams.by_id(connection, UNATTRIBUTED)) is None:
                raise
        return team


def _is_to_do(job: _Job, fix: bool) -> bool:
    """Whether a job is to be booked; or, when all is to be mended, to be given a row while it runs."""
    if job.listed.ended:
        return job.booked is None or not job.booked.counts
    return fix and job.booked is None

"""Adoption: transcripts that were made before the gateway are handed to a team, and never charged.

Each is looked up at AssemblyAI with the account's key. A single transcript does not say when it was made, its
item in the list does (AssemblyAI documentation, "Get transcript", "List transcripts"). So pages of the list
are read first, from below the oldest job of our own, as long as that is cheaper than three questions for
each id; what they lack is asked for by itself, and its place in the list by its neighbours. Where that
fails, a transcript is listed at the moment of its adoption.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.matching import DELETED_URL, Listed
from aai_gateway.core.owners import NOBODY, team_id_of, team_owner
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.errors import NotFound, UpstreamFailed
from aai_gateway.gateway.asking import AccountJobs
from aai_gateway.settings import Settings
from aai_gateway.store import Store, ownership, teams, transcripts
from aai_gateway.store.ownership import Adoption
from aai_gateway.store.transcripts import Transcript

PARALLEL = 8
"""Transcripts that are asked for at once."""
QUESTIONS = 3
"""What one transcript costs that is asked for by itself: its body, and its two neighbours in the list."""
ANCHORS = 5
"""Jobs of ours that are tried as the place below which the list is read."""
_PAGE = 500
_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of one id. `why` says it where the outcome is "failed"; `created_at` is as it is listed.

    `is_dated` says that AssemblyAI's list told the time; otherwise it is that of the adoption.
    """

    id: str
    outcome: Literal["adopted", "already", "failed"]
    why: str | None = None
    created_at: datetime | None = None
    is_dated: bool = False


class Adopter:
    """Adopts for one team in one region. `told` is called with each outcome, in no order."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        jobs: AccountJobs,
        team: Team,
        region: Region,
        told: Callable[[Adopted], None] = lambda outcome: None,
    ) -> None:
        self._settle_after = timedelta(seconds=settings.settle_after)
        self._store = store
        self._jobs = jobs
        self._team = team
        self._owner = team_owner(team.id)
        self._region = region
        self._told = told
        self._results: dict[str, Adopted] = {}

    async def run(self, ids: Sequence[str]) -> list[Adopted]:
        """Adopt each id once, and say of each what became of it, in their order.

        What is adopted stays so, whatever ends the rest: asked again, it is "already" the team's. When
        AssemblyAI stays away for minutes, the ids that are left fail. Raises StoreError.
        """
        wanted = list(dict.fromkeys(ids))
        for one in wanted:
            if not _ID.fullmatch(one):
                self._tell(Adopted(one, "failed", "This is no transcript id."))
        await self._known(wanted)
        try:
            await self._from_the_list(self._left(wanted))
            await self._one_by_one(self._left(wanted))
        except UpstreamFailed as error:
            for one in self._left(wanted):
                self._tell(Adopted(one, "failed", f"Not looked up: {error.text}"))
        return [self._results[one] for one in wanted]

    def _left(self, wanted: Sequence[str]) -> list[str]:
        return [one for one in wanted if one not in self._results]

    def _tell(self, result: Adopted) -> None:
        self._results[result.id] = result
        self._told(result)

    async def _known(self, wanted: Sequence[str]) -> None:
        """Answer for those that somebody has: AssemblyAI need not be asked."""
        left = self._left(wanted)
        for start in range(0, len(left), _PAGE):
            async with self._store.read() as connection:
                there = await transcripts.known(connection, self._region, left[start : start + _PAGE])
                rows = [await transcripts.get(connection, self._region, one) for one in there]
            for row in rows:
                if row is not None and row.owner == self._owner:
                    self._tell(Adopted(row.id, "already", created_at=row.created_at, is_dated=True))
                elif row is not None:
                    await self._refuse(row)

    async def _refuse(self, row: Transcript) -> None:
        if row.owner == NOBODY:
            why = "It is being deleted."
        else:
            whose = await self._name_of(row.owner)
            why = f"It belongs to {whose}; `aai-gateway transcripts move` gives it to another."
        self._tell(Adopted(row.id, "failed", why))

    async def _name_of(self, owner: str) -> str:
        if (team_id := team_id_of(owner)) is None:
            return "the master key" if owner == "master" else "a key without a team"
        async with self._store.read() as connection:
            team = await teams.by_id(connection, team_id)
        return f"team {team.alias}" if team is not None else "a team that was deleted"

    async def _from_the_list(self, left: Sequence[str]) -> None:
        """Adopt what pages of AssemblyAI's list show, while they are the cheaper way."""
        if (pages := len(left) // QUESTIONS) == 0:
            return
        async with self._store.read() as connection:
            anchors = await transcripts.submitted_after(
                connection, self._region, _BEGINNING, ANCHORS, adopted=False
            )
        missing = set(left)
        async for page in self._jobs.back_to(self._region, _BEGINNING, anchors):
            for job in page:
                if job.id in missing:
                    missing.discard(job.id)
                    await self._adopt(job)
            pages -= 1
            if not missing or pages == 0:
                return

    async def _one_by_one(self, left: Sequence[str]) -> None:
        places = asyncio.Semaphore(PARALLEL)

        async def one(transcript_id: str) -> None:
            async with places:
                await self._ask_for(transcript_id)

        tasks = [asyncio.ensure_future(one(each)) for each in left]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_for(self, transcript_id: str) -> None:
        try:
            transcript = await self._jobs.transcript(self._region, transcript_id)
            listed = await self._jobs.listed(self._region, transcript_id)
        except NotFound:
            why = f"AssemblyAI has no such transcript in the {self._region.value.upper()} region."
            self._tell(Adopted(transcript_id, "failed", why))
            return
        if listed is not None:
            await self._adopt(listed)
            return
        error = transcript.get("error")
        now = utc_now()
        status, url = str(transcript.get("status")), str(transcript.get("audio_url"))
        job = Listed(transcript_id, status, url, now, error=str(error) if error else None)
        await self._adopt(job, is_dated=False)

    async def _adopt(self, job: Listed, is_dated: bool = True) -> None:
        now = utc_now()
        row = Transcript(
            id=job.id,
            region=self._region,
            owner=self._owner,
            audio_url=job.audio_url,
            team_id=self._team.id,
            status=job.status,
            error=job.error,
            created_at=job.created,
            completed_at=job.completed,
            settled_at=now if job.ended else None,
            deleted_at=now if job.audio_url == DELETED_URL else None,
            # One that still runs is looked at like any other, so that the list knows how it ends.
            next_check_at=None if job.ended else now + self._settle_after,
        )
        async with self._store.write() as connection:
            outcome = await ownership.adopt(connection, row, now)
        self._tell(_result(job, outcome, is_dated))


def _result(job: Listed, outcome: Adoption, is_dated: bool) -> Adopted:
    match outcome:
        case "adopted" | "already":
            return Adopted(job.id, outcome, created_at=job.created, is_dated=is_dated)
        case "being made":
            why = (
                "A submission with its audio is still under way, and may have made it; "
                "try again when it has ended."
            )
        case _:
            why = "Somebody else got it meanwhile."
    return Adopted(job.id, "failed", why)

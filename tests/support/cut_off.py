"""Submissions that were cut off: what AssemblyAI has of them, and what the gateway's store has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from opened_gateway import TEAM

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.prices import billable_options
from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator
from aai_gateway.gateway.context import Gateway
from aai_gateway.store import holds, intents, transcripts, usage
from aai_gateway.store.holds import Hold
from aai_gateway.store.intents import Intent

HELLO = "https://example.org/audio.wav"
INTERVIEW = "https://assembly.ai/wildfires.mp3"
LONG_AGO = timedelta(minutes=3)
"""No submission lasts as long."""


def accepted(emulator: Emulator, audio_url: str = HELLO, region: str = "us", **options: Any) -> str:
    """The id of a job that AssemblyAI took while its answer was lost."""
    [made] = accepted_many(emulator, 1, audio_url, region, **options)
    return made


def accepted_many(
    emulator: Emulator, count: int, audio_url: str = HELLO, region: str = "us", **options: Any
) -> list[str]:
    """The ids of such jobs, in the order of their submission."""
    url = f"{emulator.urls.us if region == 'us' else emulator.urls.eu}/v2/transcript"
    with httpx.Client(headers={"Authorization": emulator.config.account_key}) as client:
        answers = (client.post(url, json={"audio_url": audio_url, **options}) for _ in range(count))
        return [str(answer.raise_for_status().json()["id"]) for answer in answers]


def intent(
    audio_url: str = HELLO, owner: str = f"team:{TEAM}", age: timedelta = LONG_AGO, **requested: Any
) -> Intent:
    """An intent without an answer, of a team, so old."""
    return Intent(
        region=Region.US,
        owner=owner,
        team_id=owner.removeprefix("team:"),
        audio_url=audio_url,
        requested=billable_options(requested),
        created_at=utc_now() - age,
    )


async def note(gateway: Gateway, *noted: Intent, micros: int = 0) -> None:
    """Put intents on record, each with a hold where there is a sum."""
    async with gateway.store.write() as connection:
        for one in noted:
            await intents.open(connection, one)
            if micros:
                await holds.place(connection, _hold(one, micros))


def _hold(one: Intent, micros: int) -> Hold:
    until = one.created_at + timedelta(days=1)
    return Hold(one.id, "speech", one.region, one.owner, micros, until, team_id=one.team_id)


async def rows(gateway: Gateway) -> list[usage.UsageRow]:
    """The ledger."""
    async with gateway.store.read() as connection:
        return await usage.list_rows(connection, limit=100_000)


async def owners(gateway: Gateway, *ids: str) -> list[str | None]:
    """Whose the US transcripts are."""
    async with gateway.store.read() as connection:
        found = [await transcripts.get(connection, Region.US, one) for one in ids]
    return [row.owner if row is not None else None for row in found]


async def still_open(gateway: Gateway) -> list[str]:
    """The ids of open US intents, oldest first."""
    async with gateway.store.read() as connection:
        return [i.id for i in await intents.unresolved(connection, Region.US, utc_now())]


async def held(gateway: Gateway) -> list[str]:
    """What has a hold."""
    async with gateway.store.read() as connection:
        return [hold.id for hold in await holds.list_all(connection)]


def set_back(emulator: Emulator, moment: datetime, ids: Iterable[str] | None = None) -> None:
    """Let US jobs, or all of them, have been submitted earlier: at a moment, in their order."""
    world = emulator._worlds[0]
    wanted = None if ids is None else set(ids)
    for job in world.order:
        if wanted is None or job.id in wanted:
            job.created = moment
            moment += timedelta(milliseconds=1)


def as_team(one: Intent, owner: str) -> Intent:
    """The same intent, of another owner."""
    return replace(one, owner=owner, team_id=owner.removeprefix("team:"))

"""What jobs that nobody comes back for cost in memory: 50,000 of them in the store of a running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import sqlalchemy as sa

from aai_gateway.demo.processes import Services
from aai_gateway.emulator.config import EmulatorUrls
from aai_gateway.errors import GatewayError
from aai_gateway.store import Store, schema
from benchmark.load import do
from benchmark.servers import (
    AUDIO_URL,
    direct_target,
    gateway_target,
    peak_rss,
    rss,
    set_job_seconds,
    this_gateway,
)

JOBS = 50_000
FILL_SECONDS = 120.0
ROWS_AT_ONCE = 5_000
HELD_MICROS = 1_000
SETTLE_RATE = "1000"
"""Jobs per second that the settler may ask for: far more than by default, to be harder on the memory."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Bytes of resident memory beyond those with nothing pending, with AssemblyAI up and down."""

    growth_up: int
    growth_down: int
    settled_per_second: float


async def measure_pending(services: Services, urls: EmulatorUrls, seconds: float) -> Pending:
    """Watch a gateway for so long with AssemblyAI up, and as long with it down.

    Raises GatewayError when nothing was settled, or something without AssemblyAI: then nothing was measured.
    """
    gateway = this_gateway(services, urls, "pending", AAI_GATEWAY_SETTLE_RATE=SETTLE_RATE)
    service, _ = gateway.start()
    store = await Store.open(f"sqlite:///{services.folder / 'pending' / 'gateway.db'}")
    try:
        target = gateway_target(gateway)
        set_job_seconds(urls, 0)
        await do(target.base, target.life(AUDIO_URL), connections=16, seconds=seconds)
        await asyncio.sleep(2)
        before, jobs = rss(service), await _jobs_of(urls)
        async with peak_rss(service) as up:
            await _fill(store, jobs)
            settled_up = await _settled_in(store, seconds)
        async with httpx.AsyncClient(base_url=f"{urls.us}/_emulator", trust_env=False) as emulator:
            await emulator.post("/faults", json={"cut": True, "count": None})
            await asyncio.sleep(1)
            async with peak_rss(service) as down:
                settled_down = await _settled_in(store, seconds)
            await emulator.delete("/faults")
    finally:
        await store.close()
        services.stop(service)
    if settled_up == 0 or settled_down > 0:
        raise GatewayError(f"{settled_up} jobs were settled with AssemblyAI up, {settled_down} without it.")
    return Pending(up[0] - before, down[0] - before, settled_up / seconds)


async def _jobs_of(urls: EmulatorUrls) -> list[str]:
    """The ids of new jobs of the emulator, which have soon ended."""
    set_job_seconds(urls, 1)
    ids: list[str] = []
    target = direct_target(urls)
    submission = target.submission(AUDIO_URL, ids.append)
    await do(target.base, (submission for _ in range(JOBS)), connections=16, seconds=FILL_SECONDS)
    if len(ids) < JOBS:
        raise GatewayError(f"The emulator took only {len(ids)} jobs.")
    return ids


async def _fill(store: Store, ids: list[str]) -> None:
    """Write to the store what as many submissions have written, all due to be settled."""
    async with store.read() as connection:
        keys = schema.virtual_keys.c
        key_hash, team_id = (await connection.execute(sa.select(keys.hash, keys.team_id))).one()
    caller = {"region": "us", "owner": f"team:{team_id}", "team_id": team_id, "key_hash": key_hash}
    for some in _batches(ids):
        now = datetime.now(timezone.utc)
        job = {**caller, "created_at": now, "audio_url": AUDIO_URL, "requested": {"speaker_labels": True}}
        hold = {**caller, "service": "speech", "micros": HELD_MICROS, "created_at": now}
        state = {"status": "queued", "throttled": False, "attempts": 0, "next_check_at": now}
        async with store.write() as connection:
            await connection.execute(
                sa.insert(schema.intents),
                [{**job, "id": f"i-{i}", "outcome": "accepted", "transcript_id": i} for i in some],
            )
            await connection.execute(
                sa.insert(schema.holds),
                [{**hold, "id": f"i-{i}", "expires_at": now + timedelta(days=1)} for i in some],
            )
            for table in (schema.virtual_keys, schema.teams, schema.gateway_budget):
                held = table.c.held_micros + HELD_MICROS * len(some)
                await connection.execute(sa.update(table).values(held_micros=held))
            await connection.execute(
                sa.insert(schema.transcripts),
                [{**job, **state, "id": i, "intent_id": f"i-{i}"} for i in some],
            )


def _batches(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + ROWS_AT_ONCE] for start in range(0, len(ids), ROWS_AT_ONCE))


async def _settled_in(store: Store, seconds: float) -> int:
    """How many jobs are settled within so long."""
    before = await _settled(store)
    await asyncio.sleep(seconds)
    return await _settled(store) - before


async def _settled(store: Store) -> int:
    async with store.read() as connection:
        count = await connection.scalar(sa.select(sa.func.count()).select_from(schema.usage))
    return int(count or 0)


def ledger_rows(folder: Path) -> tuple[int, int]:
    """How many transcript rows and speech usage rows a gateway's store has."""
    engine = sa.create_engine(f"sqlite:///{folder / 'gateway.db'}")
    try:
        with engine.connect() as connection:
            jobs = connection.scalar(sa.select(sa.func.count()).select_from(schema.transcripts))
            speech = schema.usage.c.service == "speech"
            booked = connection.scalar(sa.select(sa.func.count()).select_from(schema.usage).where(speech))
    finally:
        engine.dispose()
    return int(jobs or 0), int(booked or 0)

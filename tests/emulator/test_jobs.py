"""Many jobs at once: what they cost the emulator, how they are reported, and how long they take."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest

from aai_gateway.emulator import Emulator, EmulatorConfig, Pace
from aai_gateway.emulator.invoice import Invoice
from aai_gateway.emulator.jobs import Jobs
from aai_gateway.emulator.price_list import PUBLISHED
from aai_gateway.emulator.world import World

HELLO = "https://example.org/audio.wav"
MANY = 2000


@pytest.fixture
def pace() -> Pace:
    return Pace(job_seconds=3600, realtime_factor=0)


@pytest.fixture
async def running(tmp_path: Path, pace: Pace) -> AsyncIterator[tuple[World, Jobs, Invoice]]:
    world, invoice = World("us", "key", tmp_path), Invoice()
    jobs = Jobs(world, EmulatorConfig(), pace, invoice, lambda job: "")
    yield world, jobs, invoice
    await jobs.stop()


async def submit(jobs: Jobs, **options: object) -> str:
    request = {"audio_url": HELLO, **options}
    return json.loads(await jobs.submit(request, datetime.now(timezone.utc), PUBLISHED))["id"]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the emulator has no event to wait for
        await asyncio.sleep(0.01)


async def test_a_pending_job_costs_little_memory_and_no_task(running):
    world, jobs, _ = running
    tasks = len(asyncio.all_tasks())
    await submit(jobs)
    tracemalloc.start()
    try:
        for number in range(MANY):
            await submit(jobs, webhook_url=f"https://gateway.example/hooks/{number}")
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert MANY + 1 == len(world.order)
    assert size / MANY < 2500
    assert tasks == len(asyncio.all_tasks())


async def test_all_of_them_end_and_are_charged_once(running, pace: Pace):
    world, jobs, invoice = running
    pace.job_seconds = 0.05
    made = [await submit(jobs, speaker_labels=True) for _ in range(MANY)]
    await asyncio.wait_for(until(lambda: all(job.ended for job in world.order)), 60)
    assert made == [job.id for job in world.order]
    assert sorted(made) == sorted(row.id for row in invoice.rows)
    assert {invoice.rows[0].micros} == {row.micros for row in invoice.rows}


async def test_a_job_deleted_while_it_runs_ends_there_and_is_not_charged(running, pace: Pace):
    world, jobs, invoice = running
    pace.job_seconds = 0.05
    gone, kept = await submit(jobs), await submit(jobs)
    jobs.delete(world.jobs[gone])
    await asyncio.wait_for(until(lambda: world.jobs[kept].ended), 10)
    assert [kept] == [row.id for row in invoice.rows]
    body = world.body(world.jobs[gone])
    assert ("completed", "Deleted by user.", None) == (body["status"], body["text"], body["audio_duration"])


async def test_a_job_takes_longer_for_longer_audio(running, pace: Pace):
    world, jobs, _ = running
    pace.job_seconds, pace.realtime_factor = 0, 0.05
    made = world.jobs[await submit(jobs)]
    assert not made.ended
    await asyncio.wait_for(until(lambda: made.ended), 10)
    assert (made.completed - made.created).total_seconds() >= 0.2  # the audio has 4.8 s


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorConfig(job_seconds=0)) as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": emulator.config.account_key}
    async with httpx.AsyncClient(headers=headers) as client:
        yield client


async def made_in(url: str, client: httpx.AsyncClient, audio_url: str = HELLO, **options: object) -> str:
    body = {"audio_url": audio_url, **options}
    return (await client.post(f"{url}/v2/transcript", json=body)).json()["id"]


async def test_the_report_names_every_job_its_state_and_its_charge(
    emulator: Emulator, client: httpx.AsyncClient
):
    done = await made_in(emulator.urls.us, client, speech_models=["universal-2"], speaker_labels=True)
    failed = await made_in(emulator.urls.us, client, "https://audio.invalid/a.mp3")
    deleted = await made_in(emulator.urls.us, client)
    await client.delete(f"{emulator.urls.us}/v2/transcript/{deleted}")
    control = f"{emulator.urls.llm_eu}/_emulator/jobs"
    assert {"job_seconds": 60} == (await client.post(control, json={"job_seconds": 60})).json()
    pending = await made_in(emulator.urls.eu, client)

    answer = await client.get(control)
    assert "application/x-ndjson" == answer.headers["content-type"]
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [("us", done), ("us", failed), ("us", deleted), ("eu", pending)] == [
        (row["region"], row["id"]) for row in rows
    ]
    charges = {row.id: row.micros for row in emulator.invoice.rows}
    assert [charges[done], 0, charges[deleted], 0] == [row["micros"] for row in rows]
    assert ["completed", "error", "completed", "queued"] == [row["status"] for row in rows]
    assert [False, False, True, False] == [row["deleted"] for row in rows]
    assert [HELLO, "https://audio.invalid/a.mp3", HELLO, HELLO] == [row["audio_url"] for row in rows]
    assert ("universal-2", 5, None) == tuple(
        rows[0][name] for name in ("speech_model_used", "audio_duration", "audio_channels")
    )
    assert rows[1]["error"].startswith("Download error")
    assert datetime.fromisoformat(rows[0]["created"]) <= datetime.fromisoformat(rows[0]["completed"])
    assert [pending] == [job.id for job in emulator.jobs("eu")]
    only_eu = await client.get(control, params={"region": "eu"})
    assert [pending] == [json.loads(line)["id"] for line in only_eu.text.splitlines()]


async def test_the_report_of_thousands_is_one_line_each(emulator: Emulator, client: httpx.AsyncClient):
    emulator.pace.job_seconds = 3600
    made = [await made_in(emulator.urls.us, client) for _ in range(1200)]
    lines = (await client.get(f"{emulator.urls.us}/_emulator/jobs")).text.splitlines()
    assert made == [json.loads(line)["id"] for line in lines]


async def test_how_long_jobs_take_may_change(emulator: Emulator, client: httpx.AsyncClient):
    control = f"{emulator.urls.us}/_emulator/jobs"
    at_once = await made_in(emulator.urls.us, client)
    await client.post(control, json={"job_seconds": 0.4})
    later = await made_in(emulator.urls.us, client)
    await client.post(control, json={"job_seconds": 0})
    assert ["completed", "queued"] == [job.status for job in emulator.jobs()]
    started = time.monotonic()
    while (await client.get(f"{emulator.urls.us}/v2/transcript/{later}")).json()["status"] != "completed":
        assert time.monotonic() < started + 30
    assert [at_once, later] == [row.id for row in emulator.invoice.rows]


@pytest.mark.parametrize("body", [{}, {"job_seconds": -1}, {"job_seconds": "1"}, {"seconds": 1}, [1], True])
async def test_impossible_job_times_are_refused(emulator: Emulator, client: httpx.AsyncClient, body: object):
    assert 400 == (await client.post(f"{emulator.urls.us}/_emulator/jobs", json=body)).status_code
    assert 0 == emulator.pace.job_seconds

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from aiohttp import web

from aai_gateway.emulator import Emulator, EmulatorConfig
from aai_gateway.emulator import webhooks as module

Told = asyncio.Queue


@asynccontextmanager
async def listening(statuses: list[int], told: Told) -> AsyncIterator[str]:
    """A webhook that answers with each of `statuses` in turn, then 200, and passes on what it was told."""

    async def hook(request: web.Request) -> web.Response:
        await told.put((request.headers.get("X-Secret"), request.query_string, await request.json()))
        return web.Response(status=statuses.pop(0) if statuses else 200)

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook?team=research"
    finally:
        await runner.cleanup()


async def submitted(emulator: Emulator, **options: object) -> str:
    headers = {"Authorization": emulator.config.account_key}
    body = {"audio_url": "https://assembly.ai/wildfires.mp3", **options}
    async with httpx.AsyncClient(headers=headers) as client:
        return (await client.post(f"{emulator.urls.us}/v2/transcript", json=body)).json()["id"]


async def test_told_once_completed_with_its_header_after_failures():
    told: Told = Told()
    async with listening([500, 503], told) as url, Emulator(EmulatorConfig(job_seconds=0)) as emulator:
        job = await submitted(
            emulator, webhook_url=url, webhook_auth_header_name="X-Secret", webhook_auth_header_value="hush"
        )
        expected = ("hush", "team=research", {"transcript_id": job, "status": "completed"})
        assert [expected] * 3 == [await asyncio.wait_for(told.get(), 20) for _ in range(3)]
        headers = {"Authorization": emulator.config.account_key}
        async with httpx.AsyncClient(headers=headers) as client:
            for _ in range(500):
                body = (await client.get(f"{emulator.urls.us}/v2/transcript/{job}")).json()
                if body["webhook_status_code"] is not None:
                    break
                await asyncio.sleep(0.01)
        assert 200 == body["webhook_status_code"]


async def test_a_4xx_ends_it_and_redacted_audio_is_told_too():
    told: Told = Told()
    async with listening([404], told) as url, Emulator(EmulatorConfig(job_seconds=0)) as emulator:
        job = await submitted(emulator, webhook_url=url, redact_pii=True, redact_pii_audio=True)
        first = (await asyncio.wait_for(told.get(), 20))[2]
        second = (await asyncio.wait_for(told.get(), 20))[2]
        assert {"transcript_id": job, "status": "completed"} == first
        assert "redacted_audio_ready" == second["status"]
        async with httpx.AsyncClient() as client:
            assert 200 == (await client.get(second["redacted_audio_url"])).status_code


async def test_failed_jobs_are_told():
    told: Told = Told()
    async with listening([], told) as url, Emulator(EmulatorConfig(job_seconds=0)) as emulator:
        job = await submitted(emulator, webhook_url=url, audio_url="https://audio.invalid/a.mp3")
        assert {"transcript_id": job, "status": "error"} == (await asyncio.wait_for(told.get(), 20))[2]


async def test_a_dead_webhook_holds_nothing_up():
    async with Emulator(EmulatorConfig(job_seconds=0)) as emulator:
        await submitted(emulator, webhook_url="http://127.0.0.1:9/nobody")
        assert 200 == emulator.requests[-1].status


async def test_a_webhook_that_never_answers_well_is_told_ten_times(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_LONGEST_WAIT", 0.01)
    told: Told = Told()
    async with listening([500, 302] * 10, told) as url, Emulator(EmulatorConfig(job_seconds=0)) as emulator:
        job = await submitted(emulator, webhook_url=url)
        headers = {"Authorization": emulator.config.account_key}
        async with httpx.AsyncClient(headers=headers) as client:
            status = None
            while status is None:
                await asyncio.sleep(0.01)
                status = (await client.get(f"{emulator.urls.us}/v2/transcript/{job}")).json()[
                    "webhook_status_code"
                ]
        assert (302, 10) == (status, told.qsize())
        assert (None, "team=research", {"transcript_id": job, "status": "completed"}) == await told.get()

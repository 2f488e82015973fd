from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from gateway_process import free_port
from opened_gateway import opened_gateway, speech_client

from aai_gateway.core.regions import Region
from aai_gateway.core.traffic import Tally
from aai_gateway.emulator import Emulator, Fault
from aai_gateway.errors import UpstreamFailed
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.gateway.wire import ClientGone
from aai_gateway.settings import Settings

HELLO = {"audio_url": "https://example.org/audio.wav"}


@pytest.mark.parametrize(("region", "route"), [("us", "assemblyai"), ("eu", "eu.assemblyai")])
async def test_a_region_without_a_key_answers_503_and_no_other_region_is_asked(
    emulator: Emulator, tmp_path: Path, region: str, route: str
):
    only_eu = {"assemblyai_api_key": None, "assemblyai_eu_api_key": emulator.config.account_key}
    settings = only_eu if region == "us" else {"assemblyai_api_key": None}
    asked = len(emulator.requests)
    async with (
        opened_gateway(emulator, tmp_path, **settings) as gateway,
        speech_client(gateway, "sk-master") as client,
    ):
        answers = [
            await client.post(f"/{route}/v2/transcript", json=HELLO),
            await client.post(f"/{route}/v2/upload", content=b"x"),
            await client.get(f"/{route}/v2/transcript/some-id"),
            await client.delete(f"/{route}/v2/transcript/some-id"),
        ]
    text = f"This gateway has no AssemblyAI key for the {region.upper()} region."
    assert [(503, {"error": text})] * 4 == [(answer.status_code, answer.json()) for answer in answers]
    assert [] == emulator.requests[asked:]


async def test_each_region_gets_its_own_key(emulator: Emulator, tmp_path: Path):
    async with (
        opened_gateway(emulator, tmp_path, assemblyai_eu_api_key="another") as gateway,
        speech_client(gateway) as client,
    ):
        assert 200 == (await client.post("/assemblyai/v2/transcript", json=HELLO)).status_code
        assert 401 == (await client.post("/eu.assemblyai/v2/transcript", json=HELLO)).status_code


async def test_an_upstream_that_is_too_slow_is_a_504(emulator: Emulator, tmp_path: Path):
    async with (
        opened_gateway(emulator, tmp_path, read_timeout=0.2) as gateway,
        speech_client(gateway, "sk-master") as client,
    ):
        emulator.faults.add(Fault(host="us", path="/v2/transcript/slow-id", delay_seconds=0.7))
        answer = await client.get("/assemblyai/v2/transcript/slow-id")
    assert (504, {"error": "AssemblyAI took too long to answer."}) == (answer.status_code, answer.json())


async def test_a_connection_that_is_cut_is_a_502(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path) as gateway, speech_client(gateway) as client:
        emulator.faults.add(Fault(host="us", method="POST", path="/v2/upload", cut=True))
        answer = await client.post("/assemblyai/v2/upload", content=b"x")
    assert (502, {"error": "AssemblyAI could not be reached."}) == (answer.status_code, answer.json())


@pytest.fixture
async def upstream(emulator: Emulator) -> AsyncIterator[Upstream]:
    settings = Settings(
        assemblyai_api_key=emulator.config.account_key,
        us_url=emulator.urls.us,
        eu_url=f"http://127.0.0.1:{free_port()}",
    )
    upstream = Upstream(settings)
    yield upstream
    await upstream.close()


async def test_an_upstream_that_is_not_there_is_a_502(upstream: Upstream):
    with pytest.raises(UpstreamFailed) as caught:
        async with upstream.request(Region.EU, "GET", "/v2/transcript", headers={}):
            pass
    assert 502 == caught.value.status


async def test_a_client_that_leaves_during_its_upload_is_no_fault_of_assemblyai(upstream: Upstream):
    async def leaving() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        await asyncio.sleep(0)
        raise ClientGone

    headers = {"authorization": upstream.account_key(Region.US)}
    with pytest.raises(ClientGone):
        async with upstream.request(Region.US, "POST", "/v2/upload", headers=headers, body=leaving()):
            pass


async def test_how_questions_end_is_counted_by_host(emulator: Emulator):
    tally = Tally()
    settings = Settings(
        assemblyai_api_key=emulator.config.account_key,
        us_url=emulator.urls.us,
        eu_url=f"http://127.0.0.1:{free_port()}",
        read_timeout=0.2,
    )
    emulator.faults.add(Fault(host="us", path="/v2/transcript/slow", delay_seconds=0.7))
    emulator.faults.add(Fault(host="us", path="/v2/transcript/cut", cut=True))
    emulator.faults.add(Fault(host="us", path="/v2/transcript/busy", status=429))
    upstream = Upstream(settings, tally)
    try:
        for region, method, path in (
            (Region.US, "GET", "/v2/transcript"),
            (Region.US, "GET", "/v2/transcript/slow"),
            (Region.US, "POST", "/v2/transcript/cut"),
            (Region.US, "GET", "/v2/transcript/busy"),
            (Region.EU, "GET", "/v2/transcript"),
        ):
            with suppress(UpstreamFailed):
                async with upstream.request(
                    region, method, path, headers=upstream.headers(region)
                ) as response:
                    await response.read()

        async def leaving() -> AsyncIterator[bytes]:
            yield b"x"
            raise ClientGone

        with pytest.raises(ClientGone):
            async with upstream.request(
                Region.US, "POST", "/v2/upload", headers=upstream.headers(Region.US), body=leaving()
            ):
                pass
    finally:
        await upstream.close()
    us, eu = emulator.urls.us.removeprefix("http://"), f"127.0.0.1:{settings.eu_url.port}"
    assert {
        (us, "ok"): 1,
        (us, "timeout"): 1,
        (us, "broken"): 1,
        (us, "429"): 1,
        (eu, "unreachable"): 1,
    } == {asked: number for (_, asked), number in tally.take().asked.items()}

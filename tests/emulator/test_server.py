from __future__ import annotations

import asyncio
import json
import socket

import httpx
import pytest

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator, sample_names, sample_path


async def test_async_use_and_four_ports():
    async with Emulator() as emulator:
        urls = emulator.urls
        assert 4 == len({urls.us, urls.eu, urls.llm_us, urls.llm_eu})
        async with httpx.AsyncClient() as client:
            for url in (urls.us, urls.eu, urls.llm_us, urls.llm_eu):
                assert {"status": "ok"} == (await client.get(f"{url}/_emulator/health")).json()
    with pytest.raises(RuntimeError):
        _ = emulator.urls


def test_stop_closes_the_ports():
    with running_emulator() as emulator:
        host, port = emulator.urls.us.removeprefix("http://").split(":")
        socket.create_connection((host, int(port))).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


async def test_a_taken_port_is_an_error_and_leaves_nothing_open():
    async with Emulator() as first:
        taken = int(first.urls.eu.rsplit(":", 1)[1])
        second = Emulator(EmulatorConfig(eu_port=taken))
        with pytest.raises(OSError, match=str(taken)):
            await second.start()
        with pytest.raises(RuntimeError):
            _ = second.urls


def test_the_log_says_which_host_got_what(emulator: Emulator, us: httpx.Client):
    us.get("/v2/transcript?limit=1&limit=2")
    httpx.get(f"{emulator.urls.llm_eu}/v1/models")
    httpx.get(f"{emulator.urls.eu}/v2/transcript")
    log = httpx.get(f"{emulator.urls.us}/_emulator/requests").json()
    assert [
        ("us", "GET", "/v2/transcript", "limit=1&limit=2", 200, True),
        ("llm-eu", "GET", "/v1/models", "", 200, False),
        ("eu", "GET", "/v2/transcript", "", 401, False),
    ] == [(r["host"], r["method"], r["path"], r["query"], r["status"], r["authorized"]) for r in log]
    assert emulator.config.account_key not in str(log)
    httpx.delete(f"{emulator.urls.us}/_emulator/requests")
    assert [] == emulator.requests


def test_invoice_over_http(emulator: Emulator, us: httpx.Client):
    us.post("/v2/transcript", json={"audio_url": "https://example.org/audio.wav"})
    invoice = httpx.get(f"{emulator.urls.llm_eu}/_emulator/invoice").json()
    assert json.loads(json.dumps(emulator.invoice.to_json())) == invoice
    assert [("speech", "us")] == [(row["service"], row["region"]) for row in invoice["rows"]]


def test_samples_are_served(emulator: Emulator):
    base = f"{emulator.urls.us}/_emulator/samples"
    assert sample_names() == list(httpx.get(base).json())
    for name in sample_names():
        assert sample_path(name).read_bytes() == httpx.get(f"{base}/{sample_path(name).name}").content
    assert (
        404
        == httpx.get(f"{base}/none.mp3", headers={"Authorization": emulator.config.account_key}).status_code
    )


async def test_jobs_move_from_queued_to_processing_to_completed():
    async with Emulator(EmulatorConfig(job_seconds=0.6)) as emulator:
        headers = {"Authorization": emulator.config.account_key}
        async with httpx.AsyncClient(base_url=emulator.urls.us, headers=headers) as client:
            answer = await client.post("/v2/transcript", json={"audio_url": "https://example.org/audio.wav"})
            seen = [answer.json()["status"]]
            while seen[-1] != "completed":
                await asyncio.sleep(0.01)
                status = (await client.get(f"/v2/transcript/{answer.json()['id']}")).json()["status"]
                seen += [status] if status != seen[-1] else []
    assert ["queued", "processing", "completed"] == seen


def test_stop_ends_running_jobs():
    with running_emulator(EmulatorConfig(job_seconds=3600)) as emulator:
        headers = {"Authorization": emulator.config.account_key}
        body = {"audio_url": "https://example.org/audio.wav"}
        assert 200 == httpx.post(f"{emulator.urls.us}/v2/transcript", headers=headers, json=body).status_code
    assert [] == emulator.invoice.to_json()["rows"]

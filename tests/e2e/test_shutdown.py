"""SIGTERM while requests are under way: each gets its answer and its place in the books, then it is over."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from account_books import read, unfinished
from gateway_process import GatewayProcess, running_gateway
from waiting import until

from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, chat_api, running_emulator, sample_path

SLOW = 2.0
"""Seconds that AssemblyAI takes for what is under way."""
SOON = {"AAI_GATEWAY_SETTLE_AFTER": "0.3", "AAI_GATEWAY_SETTLE_INTERVAL": "0.2"}
# uvicorn ends a worker that does not answer it within 5 s, as one that still starts on a busy machine.
WORKERS = ("--timeout_worker_healthcheck", "60", "--num_workers")
HELLO = {"audio_url": "https://example.org/audio.wav"}
WORDS = "fox " * 50
"""Said again in ten pieces."""


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    monkeypatch.setattr(chat_api, "_CHUNK_SECONDS", SLOW / 10)
    with running_emulator(EmulatorConfig(job_seconds=0.2)) as emulator:
        yield emulator


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def gateway(request: pytest.FixtureRequest, emulator: Emulator, tmp_path: Path) -> Iterator[GatewayProcess]:
    arguments = () if request.param == 1 else (*WORKERS, str(request.param))
    with running_gateway(emulator, tmp_path, *arguments, forked=request.param == 1, **SOON) as gateway:
        yield gateway


def test_what_is_under_way_is_finished_and_booked(gateway: GatewayProcess, emulator: Emulator):
    team = gateway.team(max_budget=10)
    speech = f"{gateway.url}/assemblyai/v2"
    first = httpx.post(f"{speech}/transcript", json=HELLO, headers=team.bearer).raise_for_status().json()
    until(lambda: not unfinished(gateway.store_path))
    reading, asked = threading.Event(), threading.Event()
    with ThreadPoolExecutor(4) as clients:
        slow = (
            Fault("us", "POST", "/v2/transcript", delay_seconds=SLOW),
            Fault("us", "GET", f"/v2/transcript/{first['id']}", delay_seconds=SLOW),
        )
        for fault in slow:
            emulator.faults.add(fault)
        submitted = clients.submit(
            httpx.post, f"{speech}/transcript", json=HELLO, headers=team.bearer, timeout=120
        )
        polled = clients.submit(
            httpx.get, f"{speech}/transcript/{first['id']}", headers=team.bearer, timeout=120
        )
        uploaded: Future[httpx.Response] = clients.submit(
            httpx.post, f"{speech}/upload", content=in_two_parts(asked), headers=team.bearer, timeout=120
        )
        streamed = clients.submit(stream, gateway, team.bearer, reading)
        assert reading.wait(120)
        until(lambda: not emulator.faults)
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: "Shutting down" in gateway.log.read_text())
        asked.set()
        answers = [future.result(120) for future in (submitted, polled, uploaded)]
        events = streamed.result(120)
    assert [200, 200, 200] == [answer.status_code for answer in answers]
    assert "[DONE]" == events[-1]
    said = "".join(json.loads(e)["choices"][0]["delta"].get("content") or "" for e in events[:-1])
    assert WORDS.split() == said.rstrip(".").split()
    gateway.process.wait(120)
    # The last connection to the store was closed, and took its log with it.
    assert ["gateway.db"] == sorted(path.name for path in gateway.data_dir.glob("gateway.db*"))

    store = gateway.store_path
    transcripts = {row["id"] for row in read(store, "SELECT id FROM transcripts")}
    assert {first["id"], answers[0].json()["id"]} == transcripts
    assert 1 == len(read(store, "SELECT * FROM uploads"))
    [chat] = read(store, "SELECT * FROM usage WHERE service = 'chat'")
    [charged] = [row for row in emulator.invoice.rows if row.service == "chat"]
    assert ("completed", charged.micros) == (chat["status"], chat["micros"])
    assert [] == read(store, "SELECT * FROM holds WHERE service = 'chat'")
    assert "Traceback" not in gateway.log.read_text()


def in_two_parts(go_on: threading.Event) -> Iterator[bytes]:
    """A recording, the second half of which waits."""
    audio = sample_path("hello").read_bytes()
    yield audio[: len(audio) // 2]
    assert go_on.wait(120)
    yield audio[len(audio) // 2 :]


def stream(gateway: GatewayProcess, headers: dict[str, str], reading: threading.Event) -> list[str]:
    """The events of a long streamed answer; `reading` is set at the first."""
    body = {
        "model": "assemblyai/claude-sonnet-4-6",
        "messages": [{"role": "user", "content": f"Repeat: {WORDS}."}],
        "max_tokens": 10_000,
        "stream": True,
    }
    events = []
    url = f"{gateway.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=120) as response:
        for line in response.iter_lines():
            if line:
                events.append(line.removeprefix("data: "))
                reading.set()
    return events

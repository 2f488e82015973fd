"""Jobs whose clients never come back, and gateways that die: every job is booked, and once."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from gateway_process import GatewayProcess, TeamAccess, running_gateway
from invoiced import agree, charged
from recording_upstream import RecordingUpstream, forwarding, recording_upstream
from stored import usage_rows
from waiting import until

from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, running_emulator
from aai_gateway.gateway import rounds as module

# uvicorn ends a worker that does not answer it within 5 s, as one that still starts on a busy machine.
WORKERS = ("--timeout_worker_healthcheck", "60", "--num_workers")
INTERVIEW = {"audio_url": "https://assembly.ai/wildfires.mp3", "speaker_labels": True}
SOON = {"AAI_GATEWAY_SETTLE_AFTER": "0.5", "AAI_GATEWAY_SETTLE_INTERVAL": "0.3"}
SUBMIT = {"us": "/assemblyai/v2/transcript", "eu": "/eu.assemblyai/v2/transcript"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An account that only the gateways here use: a lost job is looked for among all of an account's."""
    with running_emulator(EmulatorConfig(job_seconds=0.2)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def upstream(emulator: Emulator) -> Iterator[RecordingUpstream]:
    """The emulator's US, behind something that can lose answers."""
    with recording_upstream() as upstream:
        upstream.answer = forwarding(emulator.urls.us)
        yield upstream


@pytest.fixture(scope="module")
def settling(
    emulator: Emulator, upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    directory = tmp_path_factory.mktemp("settling")
    with running_gateway(emulator, directory, AAI_GATEWAY_US_URL=upstream.url, **SOON) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def answers(emulator: Emulator, upstream: RecordingUpstream) -> None:
    upstream.answer = forwarding(emulator.urls.us)


def submitted(gateway: GatewayProcess, team: TeamAccess, region: str) -> str:
    answer = httpx.post(gateway.url + SUBMIT[region], headers=team.bearer, json=INTERVIEW)
    return str(answer.raise_for_status().json()["id"])


def booked(gateway: GatewayProcess, ids: list[str]) -> bool:
    return {row.source_id for row in usage_rows(gateway.store_path)} >= set(ids)


def listed(gateway: GatewayProcess, team: TeamAccess) -> list[str]:
    page = httpx.get(gateway.url + SUBMIT["us"], headers=team.bearer).raise_for_status().json()
    return [item["id"] for item in page["transcripts"]]


def test_jobs_are_settled_without_their_clients(settling: GatewayProcess, emulator: Emulator):
    team = settling.team()
    made = [submitted(settling, team, region) for region in ("us", "eu") for _ in range(3)]
    until(lambda: booked(settling, made))
    agree(usage_rows(settling.store_path, team.id), charged(emulator, made))
    page = httpx.get(f"{settling.url}{SUBMIT['us']}?status=completed", headers=team.bearer).json()
    assert made[:3][::-1] == [item["id"] for item in page["transcripts"]]


def test_a_gateway_that_is_killed_settles_after_its_restart(settling: GatewayProcess, emulator: Emulator):
    team = settling.team()
    made = [submitted(settling, team, region) for region in ("us", "eu") for _ in range(5)]
    settling.kill()
    settling.start()
    until(lambda: booked(settling, made))
    agree(usage_rows(settling.store_path, team.id), charged(emulator, made))
    assert made[:5][::-1] == listed(settling, team)


def test_a_job_whose_answer_was_lost_is_found_again(
    settling: GatewayProcess, emulator: Emulator, upstream: RecordingUpstream
):
    taken: list[str] = []
    forward = forwarding(emulator.urls.us)

    async def lose(request: web.Request) -> web.StreamResponse:
        response = await forward(request)
        if request.method == "POST":
            assert isinstance(response, web.Response) and isinstance(response.body, bytes)
            taken.append(json.loads(response.body)["id"])
            assert request.transport is not None
            request.transport.abort()
        return response

    upstream.answer = lose
    team, other = settling.team(), settling.team()
    lost = httpx.post(settling.url + SUBMIT["us"], headers=team.bearer, json=INTERVIEW)
    assert (502, {"error": "AssemblyAI could not be reached."}) == (lost.status_code, lost.json())
    upstream.answer = forward
    kept = submitted(settling, other, "us")
    settling.kill()
    make_older(settling.store_path)
    settling.start()
    until(lambda: booked(settling, [*taken, kept]))
    assert [taken, [kept]] == [listed(settling, team), listed(settling, other)]
    agree(usage_rows(settling.store_path, team.id), charged(emulator, taken))
    agree(usage_rows(settling.store_path, other.id), charged(emulator, [kept]))


def make_older(store: Path) -> None:
    """Set the open intent back by three minutes: no submission lasts as long, so its answer was lost."""
    earlier = "strftime('%Y-%m-%d %H:%M:%f000', created_at, '-3 minutes')"
    with closing(sqlite3.connect(store)) as connection, connection:
        moved = connection.execute(f"UPDATE intents SET created_at = {earlier} WHERE outcome = 'open'")
        assert 1 == moved.rowcount


def test_sigterm_ends_it_with_its_submissions_recorded(
    settling: GatewayProcess, emulator: Emulator, upstream: RecordingUpstream
):
    arrived, go_on = threading.Event(), threading.Event()
    forward = forwarding(emulator.urls.us)

    async def hold(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            arrived.set()
            await asyncio.to_thread(go_on.wait)
        return await forward(request)

    upstream.answer = hold
    team = settling.team()
    answers: list[httpx.Response] = []

    def post() -> None:
        answers.append(
            httpx.post(settling.url + SUBMIT["us"], headers=team.bearer, json=INTERVIEW, timeout=60)
        )

    client = threading.Thread(target=post)
    client.start()
    assert arrived.wait(120)
    stopping = threading.Thread(target=settling.stop)
    stopping.start()
    until(lambda: "Shutting down" in settling.log.read_text())
    go_on.set()
    client.join(120)
    stopping.join(120)
    assert not stopping.is_alive()
    [answer] = answers
    assert 200 == answer.status_code
    assert "Traceback" not in settling.log.read_text()
    settling.start()
    assert [answer.json()["id"]] == listed(settling, team)
    # The server raises the signal again once it has shut down.
    assert -signal.SIGTERM == settling.stop()
    assert "Traceback" not in settling.log.read_text()
    settling.start()


def test_trouble_of_every_kind_delays_the_booking_and_loses_nothing(
    settling: GatewayProcess, emulator: Emulator
):
    looks = {"host": "us", "method": "GET", "path": "/v2/transcript/*"}
    for trouble in (
        Fault(status=500, count=2, **looks),
        Fault(cut=True, count=2, **looks),
        Fault(status=429, retry_after=1, count=1, **looks),
    ):
        emulator.faults.add(trouble)
    team = settling.team()
    made = [submitted(settling, team, region) for region in ("us", "eu") for _ in range(20)]
    before = len(emulator.requests)
    until(lambda: booked(settling, made))
    agree(usage_rows(settling.store_path, team.id), charged(emulator, made))
    asked = [r for r in emulator.requests[before:] if r.host == "us" and r.method == "GET"]
    # Each job once or twice, as it may run yet, and once more for each trouble.
    assert len(asked) <= 2 * 20 + 5
    assert not emulator.faults


def test_sigterm_ends_it_in_the_middle_of_settling(
    settling: GatewayProcess, emulator: Emulator, upstream: RecordingUpstream
):
    asked = threading.Event()
    forward = forwarding(emulator.urls.us)

    async def hang(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            asked.set()
            await asyncio.sleep(30)
        return await forward(request)

    upstream.answer = hang
    team = settling.team()
    made = [submitted(settling, team, "us") for _ in range(10)]
    assert asked.wait(120)
    assert -signal.SIGTERM == settling.stop()
    for trace in ("Traceback", "never retrieved", "was destroyed"):
        assert trace not in settling.log.read_text()
    upstream.answer = forward
    settling.start()
    # Nobody has to wait for the leases of the one that stopped.
    until(lambda: booked(settling, made), module.LEASE.total_seconds() / 2)
    agree(usage_rows(settling.store_path, team.id), charged(emulator, made))


def test_two_workers_share_one_store_and_book_each_job_once(emulator: Emulator, tmp_path: Path):
    with running_gateway(emulator, tmp_path, *WORKERS, "2", **SOON) as gateway:
        team = gateway.team()
        made = [submitted(gateway, team, region) for region in ("us", "eu") for _ in range(20)]
        url = f"{gateway.url}{SUBMIT['us']}"
        # Every request takes a new connection, and so either worker.
        for transcript_id in made[:10]:
            assert 200 == httpx.get(f"{url}/{transcript_id}", headers=team.bearer).status_code
        until(lambda: booked(gateway, made))
        agree(usage_rows(gateway.store_path, team.id), charged(emulator, made))
        with gateway.admin() as admin:
            admin.post("/key/block", json={"key": team.key}).raise_for_status()
        assert {401} == {httpx.get(url, headers=team.bearer).status_code for _ in range(20)}
        gateway.stop()
        assert "Traceback" not in gateway.log.read_text()

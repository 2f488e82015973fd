"""A gateway in front of an upstream that records what reaches it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from gateway_process import GatewayProcess, TeamAccess, free_port, running_gateway
from recording_upstream import JOB, RecordingUpstream, answering, recording_upstream

from aai_gateway.emulator import Emulator


@pytest.fixture(scope="package")
def upstream() -> Iterator[RecordingUpstream]:
    with recording_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="package")
def wired(
    emulator: Emulator, upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway whose US is the recording upstream and whose EU nobody answers for."""
    with running_gateway(
        emulator,
        tmp_path_factory.mktemp("wired"),
        AAI_GATEWAY_US_URL=upstream.url,
        AAI_GATEWAY_EU_URL=f"http://127.0.0.1:{free_port()}",
        AAI_GATEWAY_SETTLE_INTERVAL="3600",
        AAI_GATEWAY_HEAD_TIMEOUT="600",  # idle connections are to stay however slow the machine is
    ) as gateway:
        yield gateway
        assert "Traceback" not in gateway.log.read_text()


@pytest.fixture(scope="package")
def team(wired: GatewayProcess, upstream: RecordingUpstream) -> TeamAccess:
    """A team with one job, JOB."""
    team = wired.team()
    upstream.answer = answering({"id": JOB, "status": "queued"})
    job = {"audio_url": "https://example.org/a.wav"}
    httpx.post(f"{wired.url}/assemblyai/v2/transcript", headers=team.bearer, json=job).raise_for_status()
    return team


@pytest.fixture
def client(wired: GatewayProcess, team: TeamAccess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=wired.url, headers=team.bearer, timeout=120) as client:
        yield client


@pytest.fixture(autouse=True)
def plain(upstream: RecordingUpstream, team: TeamAccess) -> None:
    """Nothing recorded, and every answer the same, at the beginning of each test."""
    upstream.answer = None
    upstream.requests.clear()
    upstream.ended.clear()

"""Ten thousand connections that say nothing: the gateway serves on, and each costs it little."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator

import psutil
import pytest
from gateway_process import GatewayProcess, TeamAccess
from raw_http import ask, connected
from recording_upstream import JOB, RecordingUpstream, answering

IDLE = 10_000
SPARE = 500
"""Files that both processes open besides."""


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process open as many files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE + SPARE:
        pytest.skip(f"a process may open {hard} files here, and {IDLE + SPARE} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_ten_thousand_idle_connections(wired: GatewayProcess, team: TeamAccess, upstream: RecordingUpstream):
    upstream.answer = answering({"id": JOB, "status": "processing"})
    process = psutil.Process(wired.pid)
    before, idle = process.memory_info().rss, list[socket.socket]()
    try:
        for number in range(IDLE):
            idle.append(connected(wired.url))
            if number % 1000 == 0:
                assert 200 == poll(wired, team)
        assert [200] * 20 == [poll(wired, team) for _ in range(20)]
        assert IDLE <= process.num_fds()
        each = (process.memory_info().rss - before) / IDLE
        print(f"{each:.0f} bytes of memory for an idle connection")
        assert each < 32 * 1024
    finally:
        for connection in idle:
            connection.close()
    assert 200 == poll(wired, team)


def poll(wired: GatewayProcess, team: TeamAccess) -> int:
    return ask(wired.url, f"/assemblyai/v2/transcript/{JOB}", headers=team.bearer).status

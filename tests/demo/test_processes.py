from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aai_gateway.demo.processes import Services, own_environment
from aai_gateway.errors import GatewayError

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def is_up(log: Path) -> bool | None:
    return True if "up" in log.read_text() else None


def test_leaving_the_block_stops_everything(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), Services(tmp_path) as services:
        started = [services.start(name, SLEEP, os.environ) for name in ("one", "two")]
        1 / 0  # noqa: B018 - it raises

    assert [-signal.SIGTERM, -signal.SIGTERM] == [service.process.returncode for service in started]
    assert [] == services.running


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aai_gateway.demo.processes.STOP_SECONDS", 0.2)
    with Services(tmp_path) as services:
        stubborn = services.start("stubborn", STUBBORN, os.environ)
        stubborn.wait_for(lambda: is_up(stubborn.log))

    assert -signal.SIGKILL == stubborn.process.returncode


def test_waiting_ends_when_the_process_does(tmp_path: Path) -> None:
    with Services(tmp_path) as services:
        service = services.start("doomed", [sys.executable, "-c", "print('no port'); exit(3)"], os.environ)

        with pytest.raises(GatewayError, match="The doomed ended with status 3 instead of starting"):
            service.wait_for(lambda: None)

        assert "no port" == service.tail()


def test_waiting_has_an_end(tmp_path: Path) -> None:
    with Services(tmp_path) as services:
        service = services.start("slow", SLEEP, os.environ)

        with pytest.raises(GatewayError, match="The slow did not start within 0 seconds"):
            service.wait_for(lambda: None, seconds=0.1)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_stop_what_was_started(tmp_path: Path, number: signal.Signals, status: int) -> None:
    script = textwrap.dedent(f"""
        import os, sys, time
        from pathlib import Path
        from aai_gateway.demo.processes import Services, ended_by_signals
        with ended_by_signals(), Services(Path({str(tmp_path)!r})) as services:
            child = services.start("child", {SLEEP!r}, os.environ)
            child.wait_for(lambda: "up" in child.log.read_text() or None)
            print(child.process.pid, flush=True)
            time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(number)
        assert status == parent.wait(30)

    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_child_sees_no_other_gateways_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AAI_GATEWAY_STORE_URL", "ASSEMBLYAI_API_KEY", "DATABASE_URL", "LITELLM_MASTER_KEY"):
        monkeypatch.setenv(name, "someone's")

    environment = own_environment(ASSEMBLYAI_API_KEY="ours")

    assert "ours" == environment["ASSEMBLYAI_API_KEY"]
    assert "someone's" not in environment.values()

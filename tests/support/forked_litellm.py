"""The `litellm` command without its imports: a process has LiteLLM's proxy imported, and forks for each.

A command of its own takes 10 s of CPU until it serves, seven of them for imports. What a fork does from there
on is what the command does: it reads its arguments, its environment and its config, and serves, in a process
group of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# LiteLLM would otherwise ask the internet for its prices, at its first import.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "litellm.proxy.proxy_server",
        "litellm.proxy.proxy_cli",
        "uvicorn.lifespan.on",
        "uvicorn.loops.uvloop",
        "uvicorn.protocols.http.httptools_impl",
        # All that `aai_gateway.plugin` needs; the plugin itself installs the gateway as it is imported.
        "aai_gateway.gateway.chat",
        "aai_gateway.gateway.data_plane",
        "aai_gateway.gateway.litellm_budget",
        "aai_gateway.gateway.llm_routes",
        "aai_gateway.gateway.management",
        "aai_gateway.gateway.webhook_callbacks",
    ]
)


class ForkedLiteLLM:
    """A running `litellm` command, with what is needed of Popen's methods."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path
    ) -> None:
        self._process = _FORKS.Process(
            target=_run, args=(list(arguments), dict(environment), str(directory), str(log))
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status at its end. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("litellm", timeout or 0)
        return status


def _run(arguments: list[str], environment: dict[str, str], directory: str, log: str) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(written, 1)
    os.dup2(written, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["litellm", *arguments]

    import litellm
    import uvicorn._subprocess

    # Workers are forks too.
    uvicorn._subprocess.spawn = multiprocessing.get_context("fork")  # type: ignore[assignment]  # to fork
    litellm.run_server(arguments, standalone_mode=False)

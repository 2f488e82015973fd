"""Processes that are started for a while: waited for, and always stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from aai_gateway.emulator.config import EmulatorUrls
from aai_gateway.errors import GatewayError, UpstreamFailed

T = TypeVar("T")

START_SECONDS = 120.0
STOP_SECONDS = 10.0
_CLI = "from aai_gateway.cli.main import main; main()"
# What would point a child at someone's real account, store or database, or change how LiteLLM serves.
_FOREIGN = ("AAI_GATEWAY_", "ASSEMBLYAI_", "LITELLM_", "DATABASE_URL", "SERVER_ROOT_PATH", "NUM_WORKERS")


@dataclass(frozen=True, slots=True)
class Service:
    """A running process; what it writes goes to `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def wait_for(self, look: Callable[[], T | None], seconds: float = START_SECONDS) -> T:
        """The first thing that `look` gives. Raises GatewayError when the process ends or takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (found := look()) is not None:
                return found
            if (status := self.process.poll()) is not None:
                raise GatewayError(f"The {self.name} ended with status {status} instead of starting.")
            time.sleep(0.05)
        raise GatewayError(f"The {self.name} did not start within {seconds:.0f} seconds.")


class Services:
    """Starts processes with logs in `folder`, and has stopped them all when its `with` block is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[Service] = []

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Service:
        """Start a process in a session of its own: Ctrl-C reaches it through us, once."""
        log = self.folder / f"{name}.log"
        started = time.monotonic()
        with log.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                command,
                env=dict(environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        service = Service(name, process, log, started)
        self.running.append(service)
        return service

    def stop(self, *services: Service) -> None:
        """End these (all by default), last first: SIGTERM, and SIGKILL for what is left after 10 s."""
        ending = services or tuple(self.running)
        with _undisturbed():
            for service in reversed(ending):
                if service.process.poll() is None:
                    service.process.terminate()
            deadline = time.monotonic() + STOP_SECONDS
            for service in ending:
                try:
                    service.process.wait(max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    service.process.kill()
                    service.process.wait()
                self.running.remove(service)


@contextmanager
def explained(services: Services) -> Iterator[None]:
    """When the block fails, show on stderr how the logs of the processes end.

    Raises UpstreamFailed for a process that did not answer.
    """
    try:
        yield
    except Exception as error:
        for service in services.running:
            print(f"\nThe end of the {service.name}'s log:\n{service.tail()}\n", file=sys.stderr)
        if isinstance(error, httpx.HTTPError):
            raise UpstreamFailed(f"No answer from a process of ours: {error!r}") from error
        raise


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP leave the block as Ctrl-C does, so that what it started is stopped."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold off further signals to end: stopping is short, and half done would leave processes behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start_emulator(services: Services, *, account_key: str, job_seconds: float) -> Service:
    """Start `aai-gateway emulator` on ports that the system chooses."""
    ports = [argument for name in ("us", "eu", "llm-us", "llm-eu") for argument in (f"--{name}-port", "0")]
    options = ["--account-key", account_key, "--job-seconds", str(job_seconds), "--json"]
    return services.start(
        "emulator", [sys.executable, "-c", _CLI, "emulator", *ports, *options], own_environment()
    )


def emulator_urls(emulator: Service) -> EmulatorUrls:
    """Where the emulator listens, once it says so. Raises GatewayError."""

    def look() -> EmulatorUrls | None:
        lines = emulator.log.read_text(encoding="utf-8").splitlines(keepends=True)
        said = next((line for line in lines if line.startswith("{") and line.endswith("\n")), None)
        return EmulatorUrls(**json.loads(said)) if said is not None else None

    return emulator.wait_for(look)


def start_proxy(
    services: Services, name: str, command: Sequence[str], port: int, environment: Mapping[str, str]
) -> Service:
    """Start a LiteLLM proxy on a loopback port: `command` followed by where to listen."""
    listen = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return services.start(name, [*command, *listen], environment)


def wait_until_alive(proxy: Service, url: str) -> float:
    """Wait until a LiteLLM proxy answers; the seconds since its start. Raises GatewayError."""

    def look() -> float | None:
        try:
            status = httpx.get(f"{url}/health/liveliness", timeout=5, trust_env=False).status_code
        except httpx.TransportError:
            return None
        return time.monotonic() - proxy.started if status == 200 else None

    return proxy.wait_for(look)


def litellm_program() -> str:
    """The `litellm` program of this environment. Raises GatewayError."""
    program = Path(sys.executable).with_name("litellm")
    if not program.exists():
        raise GatewayError("LiteLLM's proxy is not installed here: pip install 'aai-gateway[proxy]'")
    return str(program)


def own_environment(**more: str) -> dict[str, str]:
    """This process's environment for a child, without other gateways' settings, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", **more}


def free_port() -> int:
    """A port that is free now, of those that the system gives to nobody who does not ask for it."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port

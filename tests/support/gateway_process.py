"""The real gateway as tests drive it: a `litellm --config config.yaml` process in front of the emulator.

Most are forks of a process that has LiteLLM imported (see forked_litellm); `forked=False` is the command.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from forked_litellm import ForkedLiteLLM

from aai_gateway.demo.processes import free_port
from aai_gateway.emulator import Emulator

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "config.yaml"
START_SECONDS = 300


@dataclass(frozen=True)
class TeamAccess:
    """A team of the running gateway and one virtual key of its."""

    id: str
    alias: str
    key: str

    @property
    def bearer(self) -> dict[str, str]:
        """Headers that present the key."""
        return {"Authorization": f"Bearer {self.key}"}


@dataclass
class GatewayProcess:
    """One gateway process. `data_dir` holds its store and outlives a restart; output goes to `log`."""

    environment: dict[str, str]
    data_dir: Path
    log: Path
    master_key: str
    port: int = field(default_factory=free_port)
    arguments: tuple[str, ...] = ()
    forked: bool = True
    process: subprocess.Popen[bytes] | ForkedLiteLLM | None = None

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store_path(self) -> Path:
        """The SQLite file of its store."""
        return self.data_dir / "gateway.db"

    @property
    def pid(self) -> int:
        """The process id of the running gateway."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start the process and wait until it serves."""
        options = ("--config", str(CONFIG), "--host", "127.0.0.1", "--port", str(self.port), *self.arguments)
        self.process = (self._fork if self.forked else self._command)(options)
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(base_url=self.url, timeout=5) as client:
            while time.monotonic() < deadline and self.process.poll() is None:
                with contextlib.suppress(httpx.TransportError):
                    if client.get("/health/liveliness").status_code == 200:
                        return
                time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"The gateway did not start:\n{self.log.read_text()[-4000:]}")

    def _fork(self, options: Sequence[str]) -> ForkedLiteLLM:
        return ForkedLiteLLM(options, self.environment, self.data_dir, self.log)

    def _command(self, options: Sequence[str]) -> subprocess.Popen[bytes]:
        litellm = Path(sys.executable).with_name("litellm")
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(litellm), *options],
                env=self.environment,
                stdout=log,
                stderr=log,
                cwd=self.data_dir,
                start_new_session=True,
            )

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)

    def kill(self) -> None:
        """SIGKILL, its workers too; then its port is free again."""
        if self.process is not None and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:  # a fork of a moment ago: it has no group of its own yet
                os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            with contextlib.suppress(OSError):
                while True:
                    socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                    time.sleep(0.01)

    def admin(self) -> httpx.Client:
        """A client that presents the master key."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.master_key}"}, timeout=60
        )

    def team(self, alias: str | None = None, **settings: Any) -> TeamAccess:
        """A new team with one key. `settings` go to `/team/new`."""
        alias = alias or f"team-{secrets.token_hex(4)}"
        with self.admin() as admin:
            team = admin.post("/team/new", json={"team_alias": alias, **settings}).raise_for_status().json()
            key = admin.post("/key/generate", json={"team_id": team["team_id"]}).raise_for_status().json()
        return TeamAccess(id=team["team_id"], alias=alias, key=key["key"])

    def another_key(self, team: TeamAccess, **settings: Any) -> TeamAccess:
        """The team with another key of its. `settings` go to `/key/generate`."""
        with self.admin() as admin:
            made = admin.post("/key/generate", json={"team_id": team.id, **settings}).raise_for_status()
        return replace(team, key=made.json()["key"])


def gateway_process(
    emulator: Emulator, directory: Path, *arguments: str, forked: bool = True, **overrides: str
) -> GatewayProcess:
    """A gateway (not started) for `emulator` whose files are in `directory`; `overrides` are environment."""
    data_dir = directory / "data"
    data_dir.mkdir(parents=True, exist_ok=True)
    master_key = f"sk-{secrets.token_urlsafe(32)}"
    environment = {
        **_clean_environment(os.environ),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": master_key,
        "ASSEMBLYAI_API_KEY": emulator.config.account_key,
        "AAI_GATEWAY_US_URL": emulator.urls.us,
        "AAI_GATEWAY_EU_URL": emulator.urls.eu,
        "AAI_GATEWAY_LLM_US_URL": emulator.urls.llm_us,
        "AAI_GATEWAY_LLM_EU_URL": emulator.urls.llm_eu,
        "AAI_GATEWAY_DATA_DIR": str(data_dir),
        "AAI_GATEWAY_METRICS_TOKEN": secrets.token_urlsafe(32),
        # The emulator's account has no limit: no test waits for its turn unless it says so.
        "AAI_GATEWAY_ACCOUNT_REQUESTS_PER_5_MINUTES": "1000000000",
        # All tests come from one address; one that guesses keys must not make the others wait.
        "AAI_GATEWAY_UNKNOWN_KEYS_PER_MINUTE": "200",
        **overrides,
    }
    log = directory / "gateway.log"
    return GatewayProcess(environment, data_dir, log, master_key, arguments=arguments, forked=forked)


@contextlib.contextmanager
def running_gateway(
    emulator: Emulator, directory: Path, *arguments: str, forked: bool = True, **overrides: str
) -> Iterator[GatewayProcess]:
    """`gateway_process`, started, and stopped at the end."""
    gateway = gateway_process(emulator, directory, *arguments, forked=forked, **overrides)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.kill()


def _clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what would make the gateway reach for a real account or store."""
    prefixes = ("AAI_GATEWAY_", "ASSEMBLYAI_", "LITELLM_", "DATABASE_URL")
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}

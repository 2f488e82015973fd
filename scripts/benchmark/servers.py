"""The servers that are compared, as processes: the emulator, this gateway, stock LiteLLM."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from aai_gateway.cli.serve import emulator_urls as as_settings
from aai_gateway.demo.processes import (
    Service,
    Services,
    free_port,
    litellm_program,
    own_environment,
    start_proxy,
    wait_until_alive,
)
from aai_gateway.emulator import sample_path
from aai_gateway.emulator.config import EmulatorUrls

REPOSITORY = Path(__file__).resolve().parents[2]
ACCOUNT_KEY = "bench-account-key"
JOB_SECONDS = 3600.0
"""Longer than a run: what is polled stays unfinished, as almost every poll of a real job finds it."""
STOCK_CONFIG = (
    "general_settings:\n  master_key: os.environ/LITELLM_MASTER_KEY\nlitellm_settings:\n  telemetry: false\n"
)


@dataclass
class LiteLLM:
    """A LiteLLM proxy: `command` with `environment`, on a port of its own."""

    name: str
    services: Services
    command: list[str]
    environment: dict[str, str]
    master_key: str
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> tuple[Service, float]:
        """Start it; the process and the seconds until it answered."""
        service = start_proxy(self.services, self.name, self.command, self.port, self.environment)
        return service, wait_until_alive(service, self.url)


def this_gateway(services: Services, urls: EmulatorUrls) -> LiteLLM:
    """`litellm --config config.yaml`."""
    master_key = f"sk-{secrets.token_urlsafe(32)}"
    environment = own_environment(
        **as_settings(urls),
        ASSEMBLYAI_API_KEY=ACCOUNT_KEY,
        AAI_GATEWAY_DATA_DIR=str(services.folder),
        LITELLM_MASTER_KEY=master_key,
    )
    command = [litellm_program(), "--config", str(REPOSITORY / "config.yaml")]
    return LiteLLM("gateway", services, command, environment, master_key)


def stock_litellm(services: Services, urls: EmulatorUrls) -> LiteLLM:
    """The same LiteLLM without this project's plugin, its AssemblyAI host replaced by the emulator."""
    config = services.folder / "stock.yaml"
    config.write_text(STOCK_CONFIG, encoding="utf-8")
    master_key = f"sk-{secrets.token_urlsafe(32)}"
    environment = own_environment(
        STOCK_ASSEMBLYAI_URL=urls.us, ASSEMBLYAI_API_KEY=ACCOUNT_KEY, LITELLM_MASTER_KEY=master_key
    )
    launcher = str(Path(__file__).with_name("stock_litellm.py"))
    command = [sys.executable, launcher, "--config", str(config)]
    return LiteLLM("stock", services, command, environment, master_key)


def virtual_key(gateway: LiteLLM) -> str:
    """A virtual key of a new team."""
    with httpx.Client(
        base_url=gateway.url, headers={"Authorization": f"Bearer {gateway.master_key}"}, trust_env=False
    ) as admin:
        team = admin.post("/team/new", json={"team_alias": "bench"}).raise_for_status().json()
        key = admin.post("/key/generate", json={"team_id": team["team_id"]}).raise_for_status().json()
    return str(key["key"])


def unfinished_transcript(gateway: LiteLLM, key: str) -> str:
    """The id of a job that is still under way."""
    with httpx.Client(
        base_url=f"{gateway.url}/assemblyai", headers={"Authorization": key}, trust_env=False
    ) as client:
        audio = sample_path("hello").read_bytes()
        url = client.post("/v2/upload", content=audio).raise_for_status().json()["upload_url"]
        job = client.post("/v2/transcript", json={"audio_url": url}).raise_for_status().json()
    return str(job["id"])


def rss(service: Service) -> int:
    """Resident memory of a process in bytes."""
    return _rss_of(service.process.pid)


@asynccontextmanager
async def peak_rss(service: Service) -> AsyncIterator[list[int]]:
    """Inside the block, the largest resident memory seen so far is the only item of the list."""
    peak = [rss(service)]

    async def watch() -> None:
        while True:
            peak[0] = max(peak[0], rss(service))
            await asyncio.sleep(0.02)

    watching = asyncio.ensure_future(watch())
    try:
        yield peak
    finally:
        watching.cancel()


def _rss_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)  # noqa: S603, S607 - ps
    return int(shown.stdout) * 1024

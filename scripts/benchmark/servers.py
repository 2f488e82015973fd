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
from aai_gateway.emulator.config import EmulatorUrls
from benchmark.load import Target, do

REPOSITORY = Path(__file__).resolve().parents[2]
ACCOUNT_KEY = "bench-account-key"
JOB_SECONDS = 3600.0
"""Longer than a run: what is polled stays unfinished, as almost every poll of a real job finds it."""
AUDIO_URL = "https://example.org/audio.wav"
"""A public URL that the emulator knows: five seconds of speech."""
CHAT_MODELS = {
    "gateway": "claude-haiku-4-5-20251001",
    "unmetered": "claude-sonnet-4-6",
    "stock": "claude-opus-4-6",
}
"""One for each server: the emulator limits each model to AssemblyAI's requests per minute."""
STOCK_CONFIG = """\
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
litellm_settings:
  telemetry: false
model_list:
  - model_name: assemblyai/*
    litellm_params:
      model: assemblyai/*
      api_base: {llm_url}/v1
"""


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


def this_gateway(services: Services, urls: EmulatorUrls, name: str = "gateway", **settings: str) -> LiteLLM:
    """`litellm --config config.yaml` with a store of its own."""
    return _gateway(services, urls, name, [litellm_program()], settings)


def unmetered_gateway(services: Services, urls: EmulatorUrls) -> LiteLLM:
    """The same without ledger writes."""
    launcher = [sys.executable, str(Path(__file__).with_name("unmetered_gateway.py"))]
    return _gateway(services, urls, "unmetered", launcher, {})


def _gateway(
    services: Services, urls: EmulatorUrls, name: str, program: list[str], settings: dict[str, str]
) -> LiteLLM:
    master_key = f"sk-{secrets.token_urlsafe(32)}"
    environment = own_environment(
        **as_settings(urls),
        ASSEMBLYAI_API_KEY=ACCOUNT_KEY,
        AAI_GATEWAY_DATA_DIR=str(services.folder / name),
        # What the gateway could let through, not what an account may.
        AAI_GATEWAY_ACCOUNT_REQUESTS_PER_5_MINUTES="1000000000",
        LITELLM_MASTER_KEY=master_key,
        **settings,
    )
    command = [*program, "--config", str(REPOSITORY / "config.yaml")]
    return LiteLLM(name, services, command, environment, master_key)


def stock_litellm(services: Services, urls: EmulatorUrls) -> LiteLLM:
    """The same LiteLLM without this project's plugin, its AssemblyAI host replaced by the emulator."""
    config = services.folder / "stock.yaml"
    config.write_text(STOCK_CONFIG.format(llm_url=urls.llm_us), encoding="utf-8")
    master_key = f"sk-{secrets.token_urlsafe(32)}"
    environment = own_environment(
        STOCK_ASSEMBLYAI_URL=urls.us, ASSEMBLYAI_API_KEY=ACCOUNT_KEY, LITELLM_MASTER_KEY=master_key
    )
    launcher = str(Path(__file__).with_name("stock_litellm.py"))
    command = [sys.executable, launcher, "--config", str(config)]
    return LiteLLM("stock", services, command, environment, master_key)


def gateway_target(gateway: LiteLLM) -> Target:
    """A gateway as a new virtual key sees it: budgets on key and team, with room for every job."""
    with httpx.Client(
        base_url=gateway.url, headers={"Authorization": f"Bearer {gateway.master_key}"}, trust_env=False
    ) as admin:
        limits = {"max_budget": 1_000_000, "budget_duration": "30d"}
        team = admin.post("/team/new", json={"team_alias": "bench", **limits}).raise_for_status().json()
        body = {"team_id": team["team_id"], **limits}
        key = str(admin.post("/key/generate", json=body).raise_for_status().json()["key"])
    base, chat_base = f"{gateway.url}/assemblyai", f"{gateway.url}/v1"
    return Target(base, chat_base, key, f"Bearer {key}", _chat_model(gateway))


def stock_target(stock: LiteLLM) -> Target:
    """Stock LiteLLM with its master key: without a database it knows no other."""
    key = f"Bearer {stock.master_key}"
    return Target(f"{stock.url}/assemblyai", f"{stock.url}/v1", key, key, _chat_model(stock))


def direct_target(urls: EmulatorUrls) -> Target:
    """The emulator with the account's key."""
    return Target(urls.us, f"{urls.llm_us}/v1", ACCOUNT_KEY, ACCOUNT_KEY, CHAT_MODELS["gateway"])


def _chat_model(proxy: LiteLLM) -> str:
    return f"assemblyai/{CHAT_MODELS.get(proxy.name, CHAT_MODELS['gateway'])}"


async def unfinished_job(target: Target) -> str:
    """The id of a job that has just been submitted."""
    ids: list[str] = []
    await do(target.base, [target.submission(AUDIO_URL, ids.append)], connections=1, seconds=10)
    return ids[0]


def set_job_seconds(urls: EmulatorUrls, seconds: float) -> None:
    """How long the emulator's jobs take that are submitted from now on."""
    body = {"job_seconds": seconds}
    httpx.post(f"{urls.us}/_emulator/jobs", json=body, trust_env=False).raise_for_status()


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

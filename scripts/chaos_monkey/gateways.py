"""The gateways that are killed: most of them light, some the whole proxy, one process or several."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway_process import GatewayProcess
from light_gateway import Nursery, wait_until_serving

from aai_gateway.cli.serve import emulator_urls
from aai_gateway.demo.processes import free_port, own_environment
from aai_gateway.emulator import EmulatorUrls

SETTINGS = {
    # Shorter than AssemblyAI's longest delay, and long enough for a machine that is busy otherwise.
    "AAI_GATEWAY_READ_TIMEOUT": "4.0",
    "AAI_GATEWAY_RECOVER_AFTER": "5.0",
    "AAI_GATEWAY_SETTLE_AFTER": "0.4",
    "AAI_GATEWAY_SETTLE_INTERVAL": "0.3",
    "AAI_GATEWAY_SETTLE_RATE": "60",
    "AAI_GATEWAY_ACCOUNT_REQUESTS_PER_5_MINUTES": "1000000000",
    "AAI_GATEWAY_CHAT_HOLD_EXPIRY": "20",
    # Longer than the shortest sample, which those with a tight budget submit.
    "AAI_GATEWAY_ASSUMED_AUDIO_SECONDS": "6",
}


@dataclass
class Gateways:
    """Starts and kills the gateways of one store, one kind at a time, all on one address."""

    folder: Path
    urls: EmulatorUrls
    account_key: str
    nursery: Nursery
    port: int = field(default_factory=free_port)
    _light: list[int] = field(default_factory=list)
    _proxy: GatewayProcess | None = None
    _starting: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where they listen."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """Their store."""
        return self.folder / "gateway.db"

    @property
    def environment(self) -> dict[str, str]:
        """What their settings are read from."""
        return {
            **SETTINGS,
            **emulator_urls(self.urls),
            "ASSEMBLYAI_API_KEY": self.account_key,
            "AAI_GATEWAY_DATA_DIR": str(self.folder),
        }

    def start(self, workers: int, *, proxy: bool) -> None:
        """Begin to start as many processes."""
        if proxy:
            key = f"sk-{secrets.token_urlsafe(32)}"
            environment = own_environment(**self.environment, LITELLM_MASTER_KEY=key)
            # uvicorn ends a worker that does not answer it within 5 s, as one that starts on a busy machine.
            arguments = ("--num_workers", str(workers), "--timeout_worker_healthcheck", "60")
            log = self.folder / "proxy.log"
            self._proxy = GatewayProcess(environment, self.folder, log, key, self.port, arguments)
            self._starting = asyncio.ensure_future(asyncio.to_thread(self._proxy.start))
        else:
            self._light = [self.nursery.start(self.environment, self.port) for _ in range(workers)]

    async def serving(self) -> None:
        """Wait until they serve. Raises RuntimeError when one does not come to."""
        if self._starting is not None:
            await self._starting
        for pid in self._light:
            if not await asyncio.to_thread(wait_until_serving, pid, self.port):
                raise RuntimeError("A gateway died by itself.")

    async def kill(self) -> None:
        """SIGKILL, at once."""
        for pid in self._light:
            self.nursery.kill(pid)
        self._light = []
        if self._proxy is not None:
            while self._proxy.process is None:  # noqa: ASYNC110 - its thread has not come so far
                await asyncio.sleep(0.001)
            self._proxy.kill()
            if self._starting is not None:
                # Its start ends with the news that it did not start.
                with suppress(RuntimeError):
                    await self._starting
            self._proxy = self._starting = None
            await self._until_free()

    async def stop(self) -> None:
        """SIGTERM for light ones, and wait for their end."""
        for pid in self._light:
            await asyncio.to_thread(self.nursery.terminate, pid)
        self._light = []

    async def _until_free(self) -> None:
        """Wait until nobody listens: a killed parent's workers take a moment to be gone."""
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.01)

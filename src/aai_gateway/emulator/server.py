"""The emulator: four listeners on one event loop, two speech regions and two LLM Gateway regions."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from aai_gateway.emulator.chat_api import ARRIVAL, Arrival, chat_app
from aai_gateway.emulator.config import EmulatorConfig, EmulatorUrls, Pace
from aai_gateway.emulator.control import PREFIX, Control, RedactedAudioLinks
from aai_gateway.emulator.faults import Fault, Faults
from aai_gateway.emulator.invoice import Invoice
from aai_gateway.emulator.job_report import JobReport, report
from aai_gateway.emulator.jobs import Jobs
from aai_gateway.emulator.price_changes import Prices
from aai_gateway.emulator.request_log import LoggedRequest
from aai_gateway.emulator.speech_api import SpeechApi, encoded
from aai_gateway.emulator.understanding_api import add_understanding
from aai_gateway.emulator.world import Job, World

_REGIONS = ("us", "eu")
_MOST_LOGGED = 200_000


class Emulator:
    """An AssemblyAI look-alike on this machine. Use as `async with Emulator() as emulator:`."""

    def __init__(self, config: EmulatorConfig = EmulatorConfig()) -> None:  # noqa: B008 - frozen
        self.config = config
        self.requests: list[LoggedRequest] = []
        self.invoice = Invoice()
        self.prices = Prices()
        """What holds and what is to come; change it at any time."""
        self.pace = Pace(config.job_seconds, config.realtime_factor)
        """How long jobs take that are submitted from now on; change it at any time."""
        self.faults = Faults()
        self._worlds: list[World] = []
        self._urls: EmulatorUrls | None = None
        self._runners: list[web.AppRunner] = []
        self._jobs: list[Jobs] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def urls(self) -> EmulatorUrls:
        """Where the emulator listens. Raises RuntimeError before `start`."""
        if self._urls is None:
            raise RuntimeError("the emulator is not running")
        return self._urls

    async def start(self) -> None:
        """Listen on all four ports. Raises OSError when one is taken."""
        self._folder = tempfile.TemporaryDirectory(prefix="aai-emulator-")
        links = RedactedAudioLinks()
        self._worlds = []
        control = Control(self.requests, self.invoice, self.prices, self.pace, self.faults, links, self.jobs)
        apps: dict[str, web.Application] = {}
        for region in _REGIONS:
            key = self.config.key_of(region)
            world = World(region, key, Path(self._folder.name))
            self._worlds.append(world)
            apps[region] = self._speech(world, key, links, [self._watch(region, key, control)])
            apps[f"llm-{region}"] = chat_app(
                region, key, world.transcript_text, self.invoice, self.prices,
                middlewares=[self._watch(f"llm-{region}", key, control)],
            )  # fmt: skip
            llm = apps[f"llm-{region}"]
            add_understanding(llm, region, key, world.transcript, self.invoice, self.prices)
        ports = (self.config.us_port, self.config.eu_port, self.config.llm_us_port, self.config.llm_eu_port)
        try:
            urls = [
                await self._listen(apps[name], port)
                for name, port in zip(("us", "eu", "llm-us", "llm-eu"), ports, strict=True)
            ]
        except BaseException:
            await self.stop()
            raise
        self._urls = EmulatorUrls(*urls)

    def _speech(
        self, world: World, key: str, links: RedactedAudioLinks, middlewares: Sequence[Middleware]
    ) -> web.Application:
        def base_url() -> str:
            return self.urls.us if world.region == "us" else self.urls.eu

        def redacted_url(job: Job) -> str:
            return base_url() + links.mint(job)

        jobs = Jobs(world, self.config, self.pace, self.invoice, redacted_url)
        self._jobs.append(jobs)
        return SpeechApi(world, jobs, self.prices, key, base_url, redacted_url).app(middlewares)

    async def _listen(self, app: web.Application, port: int) -> str:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, self.config.host, port).start()
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the ports, end the jobs and remove the uploads."""
        for jobs in self._jobs:
            await jobs.stop()
        for runner in self._runners:
            await runner.cleanup()
        self._jobs.clear()
        self._runners.clear()
        self._urls = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def jobs(self, region: str | None = None) -> Iterator[JobReport]:
        """The jobs of a region or of both, each region's oldest first, with what they were charged."""
        for world in self._worlds:
            if region in (None, world.region):
                yield from (report(world.region, job, self.invoice) for job in list(world.order))

    async def __aenter__(self) -> Emulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _watch(self, host: str, key: str, control: Control) -> Middleware:
        """A middleware that logs each request of a host and lets its faults happen."""
        accepted = {key, f"Bearer {key}"} if host.startswith("llm") else {key}

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(PREFIX):
                answer = await control.handle(request)
                return await handler(request) if answer is None else answer
            received = time.time()
            fault = self.faults.take(host, request.method, request.path) if self.faults else None
            ARRIVAL.set(Arrival(datetime.fromtimestamp(received, timezone.utc), bool(fault and fault.mutes)))
            response: web.StreamResponse | None = None
            try:
                if fault is None:
                    response = await handler(request)
                else:
                    response = await self._with_fault(host, fault, request, handler)
                return response
            except web.HTTPException as error:
                response = error
                raise
            finally:
                authorized = request.headers.get("Authorization") in accepted
                status = 0 if response is None or (fault and fault.cut) else response.status
                size = request.content.total_bytes if request.body_exists else 0
                if len(self.requests) >= _MOST_LOGGED:
                    del self.requests[: _MOST_LOGGED // 2]
                self.requests.append(
                    LoggedRequest(
                        host,
                        request.method,
                        request.rel_url.raw_path,
                        request.rel_url.raw_query_string,
                        status,
                        received,
                        size,
                        authorized,
                        request.headers.get("X-Request-Id"),
                    )
                )

        return watch

    async def _with_fault(
        self, host: str, fault: Fault, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        answer = None
        if fault.after:
            answer = await handler(request)
        if fault.delay_seconds > 0:
            await asyncio.sleep(fault.delay_seconds)
        if fault.cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if fault.status is None:
            return await handler(request) if answer is None else answer
        response = encoded(orjson.dumps(fault.body(host)), fault.status)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        if fault.location is not None:
            response.headers["Location"] = fault.location
        return response


@contextmanager
def running_emulator(config: EmulatorConfig = EmulatorConfig()) -> Iterator[Emulator]:  # noqa: B008 - frozen
    """Run an emulator in a thread with an event loop of its own, for tests and scripts that are not async."""
    emulator = Emulator(config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="aai-emulator", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(emulator.start(), loop).result()
        try:
            yield emulator
        finally:
            asyncio.run_coroutine_threadsafe(emulator.stop(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

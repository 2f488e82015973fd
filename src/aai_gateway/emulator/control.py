"""The emulator's own paths, under `/_emulator`: what happened, what things cost, what goes wrong, how long
jobs take, samples and redacted audio. No key needed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from aai_gateway.emulator.amounts import PricesError, fields_of
from aai_gateway.emulator.catalogue import Model
from aai_gateway.emulator.config import Pace
from aai_gateway.emulator.faults import Fault, FaultError, Faults
from aai_gateway.emulator.invoice import Invoice
from aai_gateway.emulator.job_report import JobReport
from aai_gateway.emulator.price_changes import PriceChange, Prices
from aai_gateway.emulator.request_log import LoggedRequest
from aai_gateway.emulator.sample_audio import sample_names, sample_path
from aai_gateway.emulator.speech_api import answer, refused
from aai_gateway.emulator.world import Job

PREFIX = "/_emulator/"
_REDACTED_SECONDS = 30 * 60
_LONGEST_JOB = 30 * 24 * 3600


class RedactedAudioLinks:
    """Links to redacted audio that need no key and live for 30 minutes, like the service's."""

    def __init__(self) -> None:
        self._links: dict[str, tuple[Job, float]] = {}

    def mint(self, job: Job) -> str:
        """A new path (without host) for the redacted audio of a job."""
        token = secrets.token_urlsafe(18)
        self._links[token] = (job, time.time() + _REDACTED_SECONDS)
        suffix = job.redacted_audio.suffix if job.redacted_audio else ""
        return f"{PREFIX}redacted-audio/{job.id}{suffix}?token={token}"

    def open(self, token: str) -> Path | None:
        """The file that a link leads to, None when it is unknown, too old or deleted."""
        job, until = self._links.get(token, (None, 0.0))
        return job.redacted_audio if job is not None and time.time() < until else None


@dataclass(frozen=True, slots=True)
class Control:
    """Answers the emulator's own paths on every listener; such calls are not logged."""

    requests: list[LoggedRequest]
    invoice: Invoice
    prices: Prices
    pace: Pace
    faults: Faults
    links: RedactedAudioLinks
    jobs: Callable[[str | None], Iterator[JobReport]]

    async def handle(self, request: web.Request) -> web.StreamResponse | None:
        """Answer one call; None when it is no path of these (the LLM Gateway listeners have more)."""
        name, _, rest = request.path.removeprefix(PREFIX).partition("/")
        try:
            match name:
                case "health" | "requests" | "invoice" | "faults":
                    return await self._told(request, name)
                case "prices" | "models":
                    return await self._priced(request, name)
                case "jobs":
                    return await self._paced(request)
                case "samples":
                    return _sample(rest) if rest else answer(_samples())
                case "redacted-audio":
                    return self._redacted(request)
        except (orjson.JSONDecodeError, FaultError, PricesError) as error:
            return refused(str(error))
        return None

    async def _told(self, request: web.Request, name: str) -> web.Response | None:
        """What happened, and what shall go wrong."""
        match request.method, name:
            case "GET", "health":
                return answer({"status": "ok"})
            case "GET", "requests":
                return answer(list(self.requests))
            case "DELETE", "requests":
                self.requests.clear()
                return answer([])
            case "GET", "invoice":
                return answer(self.invoice.to_json())
            case "GET", "faults":
                return answer(self.faults.to_json())
            case "POST", "faults":
                body = orjson.loads(await request.read())
                for fault in [Fault.from_json(item) for item in (body if isinstance(body, list) else [body])]:
                    self.faults.add(fault)
                return answer(self.faults.to_json())
            case "DELETE", "faults":
                self.faults.clear()
                return answer([])
        return None

    async def _priced(self, request: web.Request, name: str) -> web.Response | None:
        """What things cost, from when on, and which chat models there are beside the catalogue's."""
        match request.method, name:
            case "GET", "prices":
                pass
            case "POST", "prices":
                self.prices.change(PriceChange.from_json(orjson.loads(await request.read())))
            case "DELETE", "prices":
                self.prices.reset()
            case "POST", "models":
                self.prices.add_model(Model.from_json(orjson.loads(await request.read())))
            case "DELETE", "models":
                self.prices.remove_models()
            case _:
                return None
        return answer(self.prices.to_json())

    async def _paced(self, request: web.Request) -> web.StreamResponse | None:
        """All jobs, or how long the next ones take."""
        if request.method == "GET":
            return await _lines(request, self.jobs(request.query.get("region")))
        if request.method != "POST":
            return None
        self.pace.job_seconds = _seconds(orjson.loads(await request.read()))
        return answer({"job_seconds": self.pace.job_seconds})

    def _redacted(self, request: web.Request) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return refused("Method Not Allowed", 405)
        path = self.links.open(request.query.get("token", ""))
        if path is None or request.method == "HEAD":  # as the storage behind the service does
            return web.Response(status=403)
        return web.FileResponse(path, headers={"Content-Type": "binary/octet-stream"})


def _seconds(body: Any) -> float:
    """The `job_seconds` of a body. Raises PricesError, as every wrong value here does."""
    seconds = fields_of(body, "jobs", ("job_seconds",)).get("job_seconds")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= _LONGEST_JOB:
        raise PricesError(f"job_seconds is a number from 0 to {_LONGEST_JOB}")
    return seconds


async def _lines(request: web.Request, reports: Iterator[JobReport]) -> web.StreamResponse:
    """One JSON object to a line, a thousand lines at a time."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    while lines := list(islice(reports, 1000)):
        await response.write(b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))
    return response


def _samples() -> dict[str, str]:
    return {name: sample_path(name).name for name in sample_names()}


def _sample(file_name: str) -> web.StreamResponse:
    """A sample by its name or its file name."""
    for name in sample_names():
        if file_name in (name, sample_path(name).name):
            return web.FileResponse(sample_path(name))
    return refused("Not found", 404)

"""The emulator's own paths, under `/_emulator`: its log, invoice, faults, samples and redacted audio. No
key needed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from aai_gateway.emulator.faults import Fault, FaultError, Faults
from aai_gateway.emulator.request_log import LoggedRequest
from aai_gateway.emulator.sample_audio import sample_names, sample_path
from aai_gateway.emulator.speech_api import answer, refused
from aai_gateway.emulator.world import Job

PREFIX = "/_emulator/"
_REDACTED_SECONDS = 30 * 60


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


class Control:
    """Answers the emulator's own paths on every listener; such calls are not logged."""

    def __init__(
        self,
        requests: list[LoggedRequest],
        invoice: Callable[[], dict[str, Any]],
        faults: Faults,
        links: RedactedAudioLinks,
    ) -> None:
        self._requests = requests
        self._invoice = invoice
        self._faults = faults
        self._links = links

    async def handle(self, request: web.Request) -> web.StreamResponse | None:
        """Answer one call; None when it is no path of these (the LLM Gateway listeners have more)."""
        name, _, rest = request.path.removeprefix(PREFIX).partition("/")
        match request.method, name:
            case "GET", "health":
                return answer({"status": "ok"})
            case "GET", "requests":
                return answer([logged.to_json() for logged in self._requests])
            case "DELETE", "requests":
                self._requests.clear()
                return answer([])
            case "GET", "invoice":
                return answer(self._invoice())
            case "GET", "faults":
                return answer(self._faults.to_json())
            case "POST", "faults":
                return await self._add_faults(request)
            case "DELETE", "faults":
                self._faults.clear()
                return answer([])
            case "GET", "samples" if rest:
                return _sample(rest)
            case "GET", "samples":
                return answer({name: sample_path(name).name for name in sample_names()})
            case "GET" | "HEAD", "redacted-audio":
                return self._redacted(request)
        return None

    async def _add_faults(self, request: web.Request) -> web.Response:
        """One fault, or a list of them."""
        try:
            body = orjson.loads(await request.read())
            faults = [Fault.from_json(item) for item in (body if isinstance(body, list) else [body])]
        except (orjson.JSONDecodeError, FaultError) as error:
            return refused(str(error))
        for fault in faults:
            self._faults.add(fault)
        return answer(self._faults.to_json())

    def _redacted(self, request: web.Request) -> web.StreamResponse:
        path = self._links.open(request.query.get("token", ""))
        if path is None or request.method == "HEAD":  # as the storage behind the service does
            return web.Response(status=403)
        return web.FileResponse(path, headers={"Content-Type": "binary/octet-stream"})


def _sample(file_name: str) -> web.StreamResponse:
    """A sample by its name or its file name."""
    for name in sample_names():
        if file_name in (name, sample_path(name).name):
            return web.FileResponse(sample_path(name))
    return refused("Not found", 404)

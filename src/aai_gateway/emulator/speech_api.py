"""AssemblyAI's REST API v2 for one region, as an aiohttp application."""

from __future__ import annotations

import hashlib
import hmac
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from aai_gateway.emulator import exports
from aai_gateway.emulator.hearing import Recording
from aai_gateway.emulator.jobs import Jobs
from aai_gateway.emulator.listing import ListQuery, QueryError, page
from aai_gateway.emulator.price_changes import Prices
from aai_gateway.emulator.refusals import NOT_FOUND, SCHEMA, UNAUTHENTICATED, refusal
from aai_gateway.emulator.world import Job, World

_MOST_UPLOADED = 2_200_000_000
_MOST_JSON = 16 << 20
_CHUNK = 1 << 18


def answer(body: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return encoded(orjson.dumps(body), status)


def encoded(body: bytes, status: int = 200) -> web.Response:
    """A JSON answer that is encoded already."""
    return web.Response(body=body, status=status, content_type="application/json")


def refused(text: str, status: int = 400) -> web.Response:
    """AssemblyAI's error shape."""
    return answer({"error": text}, status)


class SpeechApi:
    """The operations of one region. Every one needs the raw account key; Bearer is refused."""

    def __init__(
        self,
        world: World,
        jobs: Jobs,
        prices: Prices,
        account_key: str,
        base_url: Callable[[], str],
        redacted_url: Callable[[Job], str],
    ) -> None:
        self._world = world
        self._jobs = jobs
        self._prices = prices
        self._key = account_key.encode()
        self._base_url = base_url
        self._redacted_url = redacted_url

    def app(self, middlewares: Sequence[Middleware] = ()) -> web.Application:
        """The application, to be served."""
        app = web.Application(client_max_size=_MOST_JSON, middlewares=[*middlewares, self._guard])
        one = "/v2/transcript/{id}"
        app.add_routes(
            [
                web.post("/v2/upload", self._upload),
                web.post("/v2/transcript", self._submit),
                web.get("/v2/transcript", self._list),
                web.get(one, self._get, allow_head=False),
                web.delete(one, self._delete),
                web.get(one + "/sentences", self._sentences),
                web.get(one + "/paragraphs", self._paragraphs),
                web.get(one + "/{format:srt|vtt}", self._captions),
                web.get(one + "/word-search", self._word_search),
                web.get(one + "/redacted-audio", self._redacted_audio),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The account key first, then the operation; errors of the framework in AssemblyAI's shape."""
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._key):
            return refused(UNAUTHENTICATED, 401)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return refused("Not found", 404)
        except web.HTTPMethodNotAllowed as error:
            response = refused("Method Not Allowed", 405)
            response.headers["Allow"] = error.headers["Allow"]
            return response
        except web.HTTPRequestEntityTooLarge:
            return refused("Request body is too large", 413)

    async def _upload(self, request: web.Request) -> web.Response:
        """Stream the body to a file, whatever its Content-Type says."""
        if (request.content_length or 0) > _MOST_UPLOADED:
            return refused("Upload failed, the file is larger than 2.2 GB", 413)
        digest, size = hashlib.sha256(), 0
        file = tempfile.NamedTemporaryFile(dir=self._world.folder, delete=False)  # noqa: SIM115 - outlives the request
        path = Path(file.name)
        kept = False
        try:
            with file:
                async for chunk in request.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > _MOST_UPLOADED:
                        return refused("Upload failed, the file is larger than 2.2 GB", 413)
                    digest.update(chunk)
                    file.write(chunk)
            if size == 0:
                return refused("Upload failed, the request body is empty")
            kept = True
        finally:
            if not kept:
                path.unlink(missing_ok=True)  # noqa: ASYNC240 - a moment
        return answer({"upload_url": self._world.add_upload(Recording(path, digest.hexdigest()))})

    async def _submit(self, request: web.Request) -> web.Response:
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            return refused(SCHEMA)
        created = datetime.now(timezone.utc)
        prices = self._prices.at(created)
        if reason := refusal(body, prices.speech_models, prices.options):
            return refused(reason)
        return encoded(await self._jobs.submit(body, created, prices))

    async def _list(self, request: web.Request) -> web.Response:
        try:
            return answer(page(self._world, ListQuery.parse(request.query), self._base_url()))
        except QueryError as error:
            return refused(str(error))

    def _job(self, request: web.Request) -> Job | None:
        return self._world.jobs.get(request.match_info["id"])

    async def _get(self, request: web.Request) -> web.Response:
        job = self._job(request)
        return encoded(self._world.encoded(job)) if job else refused(NOT_FOUND)

    async def _delete(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if job is None:
            return refused(NOT_FOUND)
        if not job.deleted:
            self._jobs.delete(job)
        return encoded(self._world.encoded(job))

    def _finished(self, request: web.Request, wanted: str) -> Job | web.Response:
        """The named job, or why it has no `wanted` to give."""
        job = self._job(request)
        if job is None:
            return refused(NOT_FOUND)
        if job.deleted:
            return refused(f"This transcript was deleted by its user. There are no {wanted}.")
        if job.status != "completed":
            return refused(
                f"This transcript has a status of '{job.status}'. "
                f"Transcripts must have a status of 'completed' before requesting {wanted}."
            )
        return job

    async def _sentences(self, request: web.Request) -> web.Response:
        job = self._finished(request, "sentences")
        return answer(exports.sentences_of(self._world.body(job))) if isinstance(job, Job) else job

    async def _paragraphs(self, request: web.Request) -> web.Response:
        job = self._finished(request, "paragraphs")
        return answer(exports.paragraphs_of(self._world.body(job))) if isinstance(job, Job) else job

    async def _captions(self, request: web.Request) -> web.Response:
        job = self._finished(request, "captions")
        if not isinstance(job, Job):
            return job
        asked = request.query.get("chars_per_caption")
        if asked is not None and not (asked.isascii() and asked.isdigit() and 0 < int(asked) < 10_000):
            return refused("chars_per_caption must be a positive integer")
        text = exports.CAPTIONS[request.match_info["format"]](
            self._world.body(job), int(asked) if asked else None
        )
        return web.Response(text=text, content_type="text/plain")

    async def _word_search(self, request: web.Request) -> web.Response:
        job = self._finished(request, "words")
        if not isinstance(job, Job):
            return job
        terms = [term for term in request.query.get("words", "").split(",") if term.strip()]
        if not terms:
            return refused("Please provide at least one word in the `words` query parameter.")
        return answer(exports.word_search(self._world.body(job), terms))

    async def _redacted_audio(self, request: web.Request) -> web.Response:
        job = self._job(request)
        if job is None:
            return refused(NOT_FOUND)
        if not job.ended and job.request.get("redact_pii_audio"):
            return refused(
                "Transcription is still in progress. Redacted audio will be available after it has completed."
            )
        if job.redacted_audio is None:
            return refused(
                "A redacted audio file for this transcript ID doesn't exist. "
                "Try submitting the transcript again with `redact_pii_audio` set to `true`."
            )
        return answer({"status": "redacted_audio_ready", "redacted_audio_url": self._redacted_url(job)})

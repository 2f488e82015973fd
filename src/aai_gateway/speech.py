"""The official `assemblyai` SDK, pointed through the gateway; and what the commands need around it.

    client = connect("https://gateway.example.com", "sk-…", region="eu")
    transcript = assemblyai.Transcriber(client=client).transcribe("interview.mp3")

A client belongs to one region and touches none of the SDK's global settings, so two regions, or two keys, can
be used side by side.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import assemblyai as aai
import httpx
from assemblyai.prerecorded.v2 import api

from aai_gateway.core.regions import Region, route_of_segment
from aai_gateway.errors import ConfigurationError, NotFound, Refused, TranscriptionFailed
from aai_gateway.retries import delay_before_retry
from aai_gateway.wire_errors import bare_key, broken_off, too_slow, unreachable, usable_url

Stage = Literal["uploading", "queued", "processing", "completed"]
Progress = Callable[[Stage, "str | None"], None]
T = TypeVar("T")

FIRST_PAUSE = 0.3

_TRANSCRIPT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
# What the SDK puts before AssemblyAI's own text.
_SDK_PREFIX = re.compile(r"^failed to .+?: ", re.IGNORECASE)


def connect(
    url: str,
    key: str,
    region: Region | Literal["us", "eu"] = Region.US,
    *,
    http_timeout: float = 60.0,
    polling_interval: float = 3.0,
) -> aai.Client:
    """An SDK client for one region of the gateway at `url`, with a virtual key (`sk-…` or `Bearer sk-…`).

    `http_timeout` (seconds) bounds each read and write, not a whole upload; `polling_interval` is the seconds
    between two looks at a job, at most. Raises ConfigurationError for an address or a key that cannot be
    used.
    """
    base_url = f"{url.rstrip('/')}/{Region(region).speech_prefix}"
    return client_at(base_url, key, http_timeout=http_timeout, polling_interval=polling_interval)


def client_at(
    base_url: str, key: str, *, http_timeout: float = 60.0, polling_interval: float = 3.0
) -> aai.Client:
    """An SDK client for the speech-to-text API that begins at `base_url`: a gateway's region, or an emulator.

    Options and errors as `connect`.
    """
    usable_url(base_url)
    bare_key(key)
    settings = aai.Settings(
        api_key=key, base_url=base_url, http_timeout=http_timeout, polling_interval=polling_interval
    )
    return aai.Client(settings=settings)


def transcribe(
    client: aai.Client,
    source: str | Path | bytes,
    config: aai.TranscriptionConfig | None = None,
    *,
    on_progress: Progress | None = None,
) -> aai.Transcript:
    """Transcribe a file, an http(s) URL or bytes, and wait for the end.

    `on_progress` is called with each new stage, and the transcript's id from `queued` on. A gateway that is
    away for a moment while the job runs is asked again; a submission is repeated only when it was turned away
    with 429 or a timed 503. Raises TranscriptionFailed with AssemblyAI's text, ConfigurationError for a file
    that is not there, Refused and UpstreamFailed.
    """
    report = on_progress or (lambda stage, transcript_id: None)
    transcriber = aai.Transcriber(client=client)
    url = source if isinstance(source, str) and _is_url(source) else None
    if url is None:
        audio = source if isinstance(source, bytes) else _existing_file(Path(source))
        report("uploading", None)
        url = call(client, lambda: transcriber.upload_file(audio))
    job = call(client, lambda: transcriber.submit(url, config))
    return _finished(client, str(job.id), report, patient=True)


def fetch(client: aai.Client, transcript_id: str) -> aai.Transcript:
    """The transcript with this id, once it is completed.

    Raises NotFound for an id that is not there, with AssemblyAI's text and the client's region;
    TranscriptionFailed, Refused, UpstreamFailed.
    """
    if not _TRANSCRIPT_ID.fullmatch(transcript_id):
        raise ConfigurationError(f"{transcript_id!r} is neither a file, an http(s) URL nor a transcript id.")
    try:
        return _finished(client, transcript_id, lambda stage, id_: None, patient=False)
    except Refused as refused:
        if refused.text != NotFound().text:
            raise
        route = route_of_segment(client.settings.base_url.rpartition("/")[2])
        where = f" in the {route.region.value.upper()}" if route is not None else ""
        raise NotFound(f"{refused.text}{where}") from refused


def sentences(client: aai.Client, transcript: aai.Transcript) -> list[aai.Sentence]:
    """The transcript's sentences, with speakers where it has them. Raises Refused, UpstreamFailed."""
    return call(client, transcript.get_sentences)


def is_audio(source: str) -> bool:
    """Whether `source` names audio (an http(s) URL or an existing file) rather than a transcript."""
    return _is_url(source) or _exists(Path(source))


@contextmanager
def gateway_errors(client: aai.Client) -> Iterator[None]:
    """Turn what the SDK raises inside into this package's errors, with AssemblyAI's text."""
    try:
        yield
    except aai.AssemblyAIError as error:
        raise Refused(_own_text(error), status=error.status_code) from error
    except httpx.ConnectError as error:
        raise unreachable(client.settings.base_url) from error
    except httpx.TimeoutException as error:
        raise too_slow(client.settings.base_url) from error
    except httpx.TransportError as error:
        raise broken_off(client.settings.base_url, error) from error


def _finished(client: aai.Client, transcript_id: str, report: Progress, *, patient: bool) -> aai.Transcript:
    reported: str | None = None
    # Short recordings are done within seconds: look often at first, then as often as the client says.
    pause = FIRST_PAUSE
    while True:
        answer = call(client, lambda: api.get_transcript(client.http_client, transcript_id), patient=patient)
        if answer.status is aai.TranscriptStatus.error:
            raise TranscriptionFailed(f"Transcript {transcript_id} failed: {answer.error}")
        if answer.status != reported:
            reported = answer.status
            report(answer.status.value, transcript_id)
        if answer.status is aai.TranscriptStatus.completed:
            return aai.Transcript.from_response(client=client, response=answer)
        time.sleep(min(pause, client.settings.polling_interval))
        pause *= 1.5


def call(client: aai.Client, action: Callable[[], T], *, patient: bool = False) -> T:
    """What `action` gives, asked again where that may help, with errors as of this package.

    `patient`: a job is under way, so bear with failures too. Raises Refused and UpstreamFailed.
    """
    attempt = 1
    while True:
        try:
            with gateway_errors(client):
                return action()
        except Refused as refused:
            response = client.last_response
            retry_after = response.headers.get("retry-after") if response is not None else None
            delay = delay_before_retry(refused.status, retry_after, attempt)
            if delay is None and patient and refused.status in (500, 502, 504):
                delay = delay_before_retry(429, None, attempt)
            if delay is None:
                raise
        time.sleep(delay)
        attempt += 1


def _own_text(error: aai.AssemblyAIError) -> str:
    """AssemblyAI's text without what the SDK says around it."""
    return _SDK_PREFIX.sub("", str(error)).partition("\nRequest:")[0].strip().removeprefix("Reason: ")


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _exists(path: Path) -> bool:
    try:
        return path.expanduser().exists()
    except (OSError, RuntimeError):
        # Too long for a name, or in the home of somebody whom there is not.
        return False


def _existing_file(path: Path) -> Path:
    if not _exists(path):
        raise ConfigurationError(f"There is no file {path}.")
    path = path.expanduser()
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder, not an audio file.")
    return path

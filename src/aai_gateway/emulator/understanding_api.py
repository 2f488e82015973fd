"""`POST /v1/understanding` and `/v1/understanding/validate` of the emulated LLM Gateway.

Sources: AssemblyAI's LLM Gateway specification (UnderstandingRequest) and refusals recorded from the service.
Where only the kind of a refusal is known, its text is the emulator's. What `validate` answers for a good
request is nowhere documented (the SDK reads its status alone): here it is the request's id and no more.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from aiohttp import web

from aai_gateway.emulator.chat_api import ARRIVAL
from aai_gateway.emulator.chat_request import ChatError, Json
from aai_gateway.emulator.invoice import Invoice
from aai_gateway.emulator.llm_envelopes import json_object, refused, unauthenticated
from aai_gateway.emulator.price_changes import Prices
from aai_gateway.emulator.rate_limit import DEFAULT_REQUESTS_PER_MINUTE, RateLimit
from aai_gateway.emulator.understanding import understood_later
from aai_gateway.emulator.wording import words_of

_TASKS = ("speaker_identification", "translation", "custom_formatting", "summarization")
_FORMATS = ("date", "phone_number", "email")
_LONGEST_NAME = 35


def add_understanding(
    app: web.Application,
    region: str,
    account_key: str,
    transcript: Callable[[str], Json | None],
    invoice: Invoice,
    prices: Prices,
    *,
    requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
) -> None:
    """Serve speech understanding of `region` in the LLM Gateway's `app`.

    `transcript` gives the body of a transcript of this region, or None for an unknown id. Beyond
    `requests_per_minute` 429 is answered.
    """
    limit = RateLimit(requests_per_minute, "speech-understanding", "speech-understanding")
    service = _Understanding(region, account_key, transcript, invoice, prices, limit)
    app.router.add_post("/v1/understanding", service.create)
    app.router.add_post("/v1/understanding/validate", service.validate)


@dataclass(frozen=True, slots=True)
class _Understanding:
    region: str
    account_key: str
    transcript: Callable[[str], Json | None]
    invoice: Invoice
    prices: Prices
    limit: RateLimit

    async def create(self, request: web.Request) -> web.Response:
        request_id, arrival = str(uuid.uuid4()), ARRIVAL.get()
        at = arrival.at if arrival is not None else datetime.now(timezone.utc)
        if (refusal := unauthenticated(request, self.account_key, request_id)) is not None:
            return refusal
        try:
            body = await json_object(request)
            tasks = checked(body)
            transcript_id = body.get("transcript_id")
            if not isinstance(transcript_id, str):
                raise ChatError("transcript_id is required")
            headers = self.limit.count("speech-understanding")
            transcript = self._ready(transcript_id, tasks)
        except ChatError as error:
            return refused(error, request_id)
        told_apart = transcript["utterances"] is not None
        answer = understood_later(tasks, words_of(transcript), told_apart=told_apart)
        self.invoice.charge_understanding(self.region, request_id, transcript, tasks, self.prices.at(at))
        return web.json_response({"request_id": request_id, **answer}, headers=headers)

    async def validate(self, request: web.Request) -> web.Response:
        request_id = str(uuid.uuid4())
        if (refusal := unauthenticated(request, self.account_key, request_id)) is not None:
            return refusal
        try:
            body = await json_object(request)
            tasks = checked(body)
            if body.get("transcript_id") is not None:
                self._ready(str(body["transcript_id"]), tasks)
        except ChatError as error:
            return refused(error, request_id)
        return web.json_response({"request_id": request_id})

    def _ready(self, transcript_id: str, tasks: Mapping[str, Any]) -> Json:
        """The transcript, when these tasks can be done on it. Raises ChatError (400, 404)."""
        found = self.transcript(transcript_id)
        if found is None:
            raise ChatError("transcript not found", status=404)
        if found["status"] != "completed":
            raise ChatError("transcript is not completed")
        if tasks.get("speaker_identification") and found["utterances"] is None:
            raise ChatError("speaker_labels or multichannel required")
        return found


def checked(body: Json) -> dict[str, Any]:
    """The tasks of a body, which are at least one. Raises ChatError (400) with a text for each fault."""
    understanding = body.get("speech_understanding")
    tasks = understanding.get("request") if isinstance(understanding, dict) else None
    if not isinstance(tasks, dict):
        raise ChatError("speech_understanding.request is required")
    faults = list(_faults(tasks))
    if faults:
        raise ChatError("invalid speech understanding request", errors=faults)
    return {name: task for name, task in tasks.items() if task is not None}


def _faults(tasks: Mapping[str, Any]) -> Iterator[str]:
    wanted = {name: task for name, task in tasks.items() if task is not None}
    if not wanted:
        yield f"request must have one of {', '.join(_TASKS)}"
    for name, task in wanted.items():
        if name not in _TASKS:
            yield f"{name} is no speech understanding task"
        elif not isinstance(task, dict):
            yield f"{name} must be an object"
        else:
            yield from _TASK_FAULTS[name](task)


def _speaker_faults(task: Mapping[str, Any]) -> Iterator[str]:
    kind = task.get("speaker_type")
    if kind not in ("role", "name"):
        yield "speaker_identification.speaker_type must be role or name"
        return
    values, speakers = task.get("known_values") or [], task.get("speakers") or []
    if not isinstance(values, list) or not all(
        isinstance(v, str) and len(v) <= _LONGEST_NAME for v in values
    ):
        yield f"speaker_identification.known_values must be texts of {_LONGEST_NAME} characters or less"
    if not isinstance(speakers, list) or not all(isinstance(s, dict) and s.get(kind) for s in speakers):
        yield f"each of speaker_identification.speakers must have a {kind}"
    if kind == "role" and not values and not speakers:
        yield "speaker_identification.known_values is required for the speaker_type role"


def _translation_faults(task: Mapping[str, Any]) -> Iterator[str]:
    languages = task.get("target_languages")
    if not isinstance(languages, list) or not languages or not all(isinstance(one, str) for one in languages):
        yield "translation.target_languages must be a list of language codes"
    for name in ("formal", "match_original_utterance"):
        if not isinstance(task.get(name, False), bool):
            yield f"translation.{name} must be a boolean"


def _format_faults(task: Mapping[str, Any]) -> Iterator[str]:
    formats = {name: task[name] for name in _FORMATS if task.get(name) is not None}
    if not formats or not all(isinstance(pattern, str) for pattern in formats.values()):
        yield f"custom_formatting must have a text for one of {', '.join(_FORMATS)}"


def _summary_faults(task: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(task.get("summary_type", ""), str):
        yield "summarization.summary_type must be a text"


_TASK_FAULTS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "speaker_identification": _speaker_faults,
    "translation": _translation_faults,
    "custom_formatting": _format_faults,
    "summarization": _summary_faults,
}

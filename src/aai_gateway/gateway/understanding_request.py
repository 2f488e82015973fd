"""What a speech understanding request says: which transcript, and which add-ons. Pure functions.

AssemblyAI documentation, "LLM Gateway: Speech Understanding": `transcript_id`, and the tasks in
`speech_understanding.request`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aai_gateway.core.operations import is_transcript_id
from aai_gateway.core.prices import require_few_names, understanding_addons
from aai_gateway.errors import InvalidRequest, NotFound


@dataclass(frozen=True, slots=True)
class Asked:
    """The transcript that a request names, if it names one, and the add-ons that it asks for."""

    transcript_id: str | None
    addons: tuple[str, ...]


def asked_of(body: Mapping[str, Any]) -> Asked:
    """What a body asks for.

    Raises InvalidRequest for one that AssemblyAI could read differently than the gateway does (a reader that
    ignores case takes `Transcript_ID` for `transcript_id`) or for too many tasks, and NotFound for
    an id that no transcript has.
    """
    _require_plain(body, ("transcript_id", "speech_understanding"))
    understanding = body.get("speech_understanding")
    if not isinstance(understanding, Mapping):
        raise InvalidRequest("speech_understanding is required and must be an object.")
    _require_plain(understanding, ("request",))
    request = understanding.get("request")
    if not isinstance(request, Mapping):
        raise InvalidRequest("speech_understanding.request is required and must be an object.")
    if "transcript_id" in (name.casefold() for name in _names(understanding)):
        raise InvalidRequest("transcript_id belongs beside speech_understanding, not into it.")
    transcript_id = body.get("transcript_id")
    if transcript_id is not None and not isinstance(transcript_id, str):
        raise InvalidRequest("transcript_id must be a string.")
    if transcript_id is not None and not is_transcript_id(transcript_id):
        raise NotFound
    require_few_names({"speech_understanding": understanding})
    return Asked(transcript_id, understanding_addons(request))


def _require_plain(members: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in members:
        if (plain := name.casefold()) != name and plain in known:
            raise InvalidRequest(f"{name} is no parameter; did you mean {plain}?")


def _names(value: Any) -> Iterator[str]:
    """Every member's name at any depth."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield name
            yield from _names(member)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)

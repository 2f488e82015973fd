"""Which AssemblyAI operation a method and path are: what is not listed here is refused, never forwarded.

AssemblyAI API reference, base URL `https://api.assemblyai.com` (and `.eu.`), sections "Files" and
"Transcripts". The upstream path is rebuilt from the operation and the transcript id; no client spelling
reaches AssemblyAI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from aai_gateway.core.regions import ALL_REGIONS, Region, region_of_segment
from aai_gateway.core.spellings import decodings
from aai_gateway.errors import MethodNotAllowed, UnknownOperation

_TRANSCRIPT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEGMENT_END = re.compile(r"[;?#]")
_SHOWN = 100


class Operation(str, Enum):
    """What can be asked of AssemblyAI's pre-recorded API, with the section of its API reference."""

    UPLOAD = "upload"
    """Files: "Upload a media file"."""
    SUBMIT = "submit"
    """Transcripts: "Transcribe audio"."""
    LIST = "list"
    """Transcripts: "List transcripts"."""
    GET = "get"
    """Transcripts: "Get transcript"."""
    DELETE = "delete"
    """Transcripts: "Delete transcript"."""
    SENTENCES = "sentences"
    """Transcripts: "Get sentences in transcript"."""
    PARAGRAPHS = "paragraphs"
    """Transcripts: "Get paragraphs in transcript"."""
    SRT = "srt"
    """Transcripts: "Get subtitles for transcript", format `srt`."""
    VTT = "vtt"
    """Transcripts: "Get subtitles for transcript", format `vtt`."""
    WORD_SEARCH = "word-search"
    """Transcripts: "Search words in transcript"."""
    REDACTED_AUDIO = "redacted-audio"
    """Transcripts: "Get redacted audio"."""


# Path below /v2, with {id} for a transcript id, then the operation of each method.
_OPERATIONS: dict[str, dict[str, Operation]] = {
    "upload": {"POST": Operation.UPLOAD},
    "transcript": {"GET": Operation.LIST, "POST": Operation.SUBMIT},
    "transcript/{id}": {"GET": Operation.GET, "DELETE": Operation.DELETE},
    "transcript/{id}/sentences": {"GET": Operation.SENTENCES},
    "transcript/{id}/paragraphs": {"GET": Operation.PARAGRAPHS},
    "transcript/{id}/srt": {"GET": Operation.SRT},
    "transcript/{id}/vtt": {"GET": Operation.VTT},
    "transcript/{id}/word-search": {"GET": Operation.WORD_SEARCH},
    "transcript/{id}/redacted-audio": {"GET": Operation.REDACTED_AUDIO},
}


@dataclass(frozen=True, slots=True)
class Target:
    """One operation in one region. `upstream_path` is the path on that region's speech host."""

    region: Region
    operation: Operation
    transcript_id: str | None
    upstream_path: str


def is_transcript_id(text: str) -> bool:
    """Whether this can be a transcript's id at all. Nothing else is looked for: Postgres takes no NUL."""
    return _TRANSCRIPT_ID.fullmatch(text) is not None


def resolve(method: str, path: str) -> Target:
    """The operation that a method and a path (percent-decoded once, without query) ask for.

    Only the documented spelling counts, below `/assemblyai` or `/eu.assemblyai`; one trailing slash is
    tolerated. Raises UnknownOperation, or MethodNotAllowed with an `Allow` header.
    """
    region, rest = _split(path)
    shape, transcript_id = _shape(rest)
    methods = _OPERATIONS.get(shape) if region is not None else None
    if region is None or methods is None:
        routes = " and ".join(f"/{r.speech_prefix}/v2/…" for r in ALL_REGIONS)
        raise UnknownOperation(
            f"{_shown(path)} is no operation of AssemblyAI's API. "
            f"The gateway serves {routes} as the API reference spells them."
        )
    operation = methods.get(method)
    if operation is None:
        allowed = ", ".join(sorted(methods))
        raise MethodNotAllowed(
            f"AssemblyAI does not take {_shown(method)} on {_shown(path)}, only {allowed}.",
            headers={"Allow": allowed},
        )
    upstream = f"/v2/{shape.replace('{id}', transcript_id or '')}"
    return Target(region, operation, transcript_id, upstream)


def speech_region(path: str) -> Region | None:
    """The region whose speech route `path` addresses in any spelling, or None.

    It only decides that the data plane answers, and LiteLLM's routes of the same names never do; `resolve`
    then refuses all but the plain spelling. So it says yes too often rather than too seldom: percent-encoding
    at any depth, case, `//`, `\\`, `.` and `..`, `;parameters`, trailing dots and white space all count, and
    so does a path that is under the route only before or only after its `..` are resolved.
    """
    for spelling in decodings(path):
        for segment in _first_segments(spelling):
            if (region := region_of_segment(segment)) is not None:
                return region
    return None


def _first_segments(path: str) -> Iterator[str]:
    """Each segment that is first in the path at some moment while `.` and `..` are resolved."""
    depth = 0
    for raw in path.split("/"):
        segment = _SEGMENT_END.split(raw, maxsplit=1)[0]
        if segment == "..":
            depth = max(0, depth - 1)
        elif segment not in ("", "."):
            depth += 1
            if depth == 1:
                yield segment.rstrip(".")


def _split(path: str) -> tuple[Region | None, str]:
    """The region of the plain spelling `/assemblyai/v2/…` and what follows `/v2/`."""
    for region in ALL_REGIONS:
        prefix = f"/{region.speech_prefix}/v2/"
        if path.startswith(prefix):
            return region, path[len(prefix) :]
    return None, ""


def _shape(rest: str) -> tuple[str, str | None]:
    """A key of `_OPERATIONS` and the transcript id; there is no shape for what cannot be an id."""
    parts = rest.removesuffix("/").split("/")
    if len(parts) < 2 or parts[0] != "transcript":
        return "/".join(parts), None
    if not is_transcript_id(parts[1]):
        return "", None
    return "/".join([parts[0], "{id}", *parts[2:]]), parts[1]


def _shown(text: str) -> str:
    """What a client sent, short enough and plain enough to show in an error."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"

"""Which AssemblyAI operation a method and path are: what is not listed here is refused, never forwarded.

AssemblyAI API reference, base URL `https://api.assemblyai.com` (and `.eu.`), sections "Files" and
"Transcripts", and base URL `https://llm-gateway.assemblyai.com` (and `.eu.`), section "LLM Gateway". The
upstream path is rebuilt from the operation and the transcript id; no client spelling reaches AssemblyAI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from aai_gateway.core.regions import ALL_ROUTES, Host, Region, Route, route_of_segment
from aai_gateway.core.spellings import decodings
from aai_gateway.errors import MethodNotAllowed, NotFound, UnknownOperation

_TRANSCRIPT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEGMENT_END = re.compile(r"[;?#]")
_SHOWN = 100


class Operation(str, Enum):
    """What can be asked of AssemblyAI, with the section of its API reference."""

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
    MODELS = "models"
    """LLM Gateway: the list of models; not in the reference, the SDK calls it (`LLMGateway.models.list`)."""
    CHAT = "chat"
    """LLM Gateway: "Create a chat completion"."""
    UNDERSTANDING = "understanding"
    """LLM Gateway: "Process speech understanding"."""
    VALIDATE_UNDERSTANDING = "validate-understanding"
    """LLM Gateway: not in the reference, the SDK calls it (`LLMGateway.understanding.validate`)."""


class Who(str, Enum):
    """Who may do an operation, beside the master key, in a region that its key may use."""

    ANY_KEY = "any key"
    OWNER = "owner"
    """The owner of the transcript that the request names."""
    OWNER_IF_NAMED = "owner, where a transcript or upload is named"
    """Any key as long as it names no transcript and no upload of another's."""
    OWN_ONLY = "any key, of its own"
    """The answer is made from the store, of what the caller owns."""


@dataclass(frozen=True, slots=True)
class Known:
    """One operation: where it is, by what it names a transcript (or upload), and who may.

    `path` is the path on the host, with {id} for a transcript id.
    """

    operation: Operation
    host: Host
    method: str
    path: str
    names: Literal["path", "body"] | None
    who: Who


def _speech(operation: Operation, method: str, path: str) -> Known:
    """An operation on the transcript that its path names."""
    return Known(operation, Host.SPEECH, method, path, "path", Who.OWNER)


def _llm(operation: Operation, path: str, who: Who) -> Known:
    """An operation of the LLM Gateway on the transcript that its body names."""
    return Known(operation, Host.LLM_GATEWAY, "POST", path, "body", who)


_TRANSCRIPT = "/v2/transcript/{id}"
KNOWN: tuple[Known, ...] = (
    Known(Operation.UPLOAD, Host.SPEECH, "POST", "/v2/upload", None, Who.ANY_KEY),
    Known(Operation.SUBMIT, Host.SPEECH, "POST", "/v2/transcript", "body", Who.OWNER_IF_NAMED),
    Known(Operation.LIST, Host.SPEECH, "GET", "/v2/transcript", None, Who.OWN_ONLY),
    _speech(Operation.GET, "GET", _TRANSCRIPT),
    _speech(Operation.DELETE, "DELETE", _TRANSCRIPT),
    _speech(Operation.SENTENCES, "GET", f"{_TRANSCRIPT}/sentences"),
    _speech(Operation.PARAGRAPHS, "GET", f"{_TRANSCRIPT}/paragraphs"),
    _speech(Operation.SRT, "GET", f"{_TRANSCRIPT}/srt"),
    _speech(Operation.VTT, "GET", f"{_TRANSCRIPT}/vtt"),
    _speech(Operation.WORD_SEARCH, "GET", f"{_TRANSCRIPT}/word-search"),
    _speech(Operation.REDACTED_AUDIO, "GET", f"{_TRANSCRIPT}/redacted-audio"),
    Known(Operation.MODELS, Host.LLM_GATEWAY, "GET", "/v1/models", None, Who.ANY_KEY),
    _llm(Operation.CHAT, "/v1/chat/completions", Who.OWNER_IF_NAMED),
    _llm(Operation.UNDERSTANDING, "/v1/understanding", Who.OWNER),
    _llm(Operation.VALIDATE_UNDERSTANDING, "/v1/understanding/validate", Who.OWNER_IF_NAMED),
)
"""Every operation that the gateway serves: what is not here is refused."""

READING = frozenset(known.operation for known in KNOWN if known.method == "GET") | {
    Operation.VALIDATE_UNDERSTANDING
}
"""The operations that change and cost nothing; any other is refused to a read-only key."""

_METHODS: dict[tuple[Host, str], dict[str, Operation]] = {}
for _known in KNOWN:
    _METHODS.setdefault((_known.host, _known.path), {})[_known.method] = _known.operation


@dataclass(frozen=True, slots=True)
class Target:
    """One operation in one region. `upstream_path` is the path on that region's host for it."""

    region: Region
    operation: Operation
    transcript_id: str | None
    upstream_path: str
    host: Host = Host.SPEECH


def is_transcript_id(text: str) -> bool:
    """Whether this can be a transcript's id at all. Nothing else is looked for: Postgres takes no NUL."""
    return _TRANSCRIPT_ID.fullmatch(text) is not None


def resolve(method: str, path: str) -> Target:
    """The operation that a method and a path (percent-decoded once, without query) ask for.

    Only the documented spelling counts, below the prefix of a route; one trailing slash is tolerated. Raises
    UnknownOperation, MethodNotAllowed with an `Allow` header, or NotFound for what stands in the place of a
    transcript id and can be none.
    """
    route, rest = _split(path)
    shape, transcript_id = _shape(rest)
    methods = _METHODS.get((route.host, shape)) if route is not None else None
    if route is None or methods is None:
        routes = ", ".join(f"/{one.prefix}" for one in ALL_ROUTES)
        raise UnknownOperation(
            f"{_shown(path)} is no operation of AssemblyAI's API. "
            f"The gateway serves what the API reference has, as it spells it, below {routes}."
        )
    operation = methods.get(method)
    if operation is None:
        allowed = ", ".join(sorted(methods))
        raise MethodNotAllowed(
            f"AssemblyAI does not take {_shown(method)} on {_shown(path)}, only {allowed}.",
            headers={"Allow": allowed},
        )
    if transcript_id is not None and not is_transcript_id(transcript_id):
        raise NotFound
    upstream = shape.replace("{id}", transcript_id or "")
    return Target(route.region, operation, transcript_id, upstream, route.host)


def route_of(path: str) -> Route | None:
    """The route of AssemblyAI's that `path` addresses in any spelling, or None.

    It only decides that the data plane answers, and LiteLLM's routes of the same names never do; `resolve`
    then refuses all but the plain spelling. So it says yes too often rather than too seldom: percent-encoding
    at any depth, case, `//`, `\\`, `.` and `..`, `;parameters`, trailing dots and white space all count, and
    so does a path that is under the route only before or only after its `..` are resolved.
    """
    for spelling in decodings(path):
        for segment in _first_segments(spelling):
            if (route := route_of_segment(segment)) is not None:
                return route
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


def _split(path: str) -> tuple[Route | None, str]:
    """The route of the plain spelling `/assemblyai/…` and the path after its prefix."""
    for route in ALL_ROUTES:
        prefix = f"/{route.prefix}"
        if path.startswith(f"{prefix}/"):
            return route, path[len(prefix) :]
    return None, ""


def _shape(rest: str) -> tuple[str, str | None]:
    """What may be a path of `KNOWN`, and what stands in the place of a transcript id."""
    parts = rest.removesuffix("/").split("/")
    if len(parts) < 4 or parts[:3] != ["", "v2", "transcript"] or parts[3] in ("", ".", ".."):
        return "/".join(parts), None
    return "/".join([*parts[:3], "{id}", *parts[4:]]), parts[3]


def _shown(text: str) -> str:
    """What a client sent, short enough and plain enough to show in an error."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"

"""Trouble on request: refused, slow, failed and cut answers for the next requests that match."""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

_TEXTS = {
    429: "Too Many Requests",
    500: "Server error, developers have been alerted.",
    503: "Service Unavailable",
}


class FaultError(ValueError):
    """A fault that cannot be: an unknown field, a wrong type, or nothing to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and for which requests.

    `host` ("us", "eu", "llm-us", "llm-eu"), `method` and `path` (a glob such as `/v2/transcript/*`) say
    which; None matches all. `count` is how many times (None: until cleared), `probability` how often. With
    a `status` the request is refused with it (and `retry_after` seconds, the text `error`, and for a redirect
    its `location`);
    `delay_seconds` makes it slow; `cut` closes the connection without an answer. With `after` all that
    happens once the request was carried out, charges included: only its answer is late, wrong or lost.
    """

    host: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    error: str | None = None
    retry_after: int | None = None
    location: str | None = None
    delay_seconds: float = 0.0
    cut: bool = False
    after: bool = False
    count: int | None = 1
    probability: float = 1.0

    def __post_init__(self) -> None:
        if self.status is None and not self.cut and self.delay_seconds <= 0:
            raise FaultError("a fault needs a status, a delay_seconds or cut")
        if self.status is not None and not 300 <= self.status <= 599:
            raise FaultError("status must be 300 to 599")
        if self.count is not None and self.count < 1:
            raise FaultError("count must be 1 or more, or null for ever")
        if not 0 < self.probability <= 1:
            raise FaultError("probability must be above 0 and at most 1")

    @classmethod
    def from_json(cls, value: Any) -> Fault:
        """Read a fault from a JSON object; raises FaultError with the reason."""
        if not isinstance(value, dict):
            raise FaultError("a fault is a JSON object")
        unknown = sorted(set(value) - {field.name for field in fields(cls)})
        if unknown:
            raise FaultError(f"unknown field {', '.join(unknown)}")
        for name, wanted in _TYPES.items():
            if name in value and not _is(value[name], wanted):
                raise FaultError(f"{name} has the wrong type")
        return cls(**value)

    def matches(self, host: str, method: str, path: str) -> bool:
        """Whether this fault is meant for such a request."""
        return (
            self.host in (None, host)
            and self.method in (None, method)
            and (self.path is None or fnmatchcase(path, self.path))
        )

    @property
    def mutes(self) -> bool:
        """Whether the request is carried out and its answer is lost."""
        return self.after and (self.cut or self.status is not None)

    def body(self, host: str) -> dict[str, Any]:
        """The error body, in the shape of the host: speech has `error`, the LLM Gateway `message` and
        `code`.
        """
        text = self.error or _TEXTS.get(self.status or 0, "Server error, developers have been alerted.")
        if not host.startswith("llm"):
            return {"error": text}
        if self.status == 429 and self.error is None:
            text = "too many requests for this action"
        return {"request_id": "00000000-0000-4000-8000-000000000000", "message": text, "code": self.status}


_STRING, _NUMBER = (str, type(None)), (int, float)
_INTEGER = (int, type(None))
_TYPES: dict[str, tuple[type, ...]] = {
    "host": _STRING,
    "method": _STRING,
    "path": _STRING,
    "error": _STRING,
    "location": _STRING,
    "status": _INTEGER,
    "retry_after": _INTEGER,
    "count": _INTEGER,
    "delay_seconds": _NUMBER,
    "probability": _NUMBER,
    "cut": (bool,),
    "after": (bool,),
}


def _is(value: Any, wanted: tuple[type, ...]) -> bool:
    return isinstance(value, wanted) and (bool in wanted or not isinstance(value, bool))


class Faults:
    """The faults that wait for their requests, oldest first; may be told from any thread.

    Chance is seeded, so a run can be repeated.
    """

    def __init__(self, seed: int = 0) -> None:
        self._waiting: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311 - which request fails is no secret
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Let `fault` happen to the next requests that match it."""
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._waiting.clear()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, host: str, method: str, path: str) -> Fault | None:
        """The fault that this request gets, if any; one of its count is used up."""
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if not fault.matches(host, method, path) or self._random.random() >= fault.probability:
                    continue
                if fault.count == 1:
                    del self._waiting[index]
                elif fault.count is not None:
                    self._waiting[index] = replace(fault, count=fault.count - 1)
                return fault
        return None

    def to_json(self) -> list[dict[str, Any]]:
        """The waiting faults as JSON objects."""
        return [asdict(fault) for fault in list(self._waiting)]

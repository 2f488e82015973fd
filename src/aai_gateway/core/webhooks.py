"""Webhooks: what a submission may ask for, what AssemblyAI tells, and what follows from a receiver's answer.

AssemblyAI documentation, "Webhooks for pre-recorded audio": a POST of `{"transcript_id", "status"}`, and for
redacted audio a second one; a receiver has 10 s for a 2xx; up to 10 attempts, and none after a 4xx.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from aai_gateway.core.destinations import Network, destination
from aai_gateway.errors import InvalidRequest

ATTEMPTS = 10
TIMEOUT_SECONDS = 10.0
"""How often a receiver is tried, and how long it may take."""

FIRST_WAIT = timedelta(seconds=3)
LONGEST_WAIT = timedelta(hours=1)
"""Waits between attempts, three times longer each: the last is made about three hours after the first."""

TRIED_AGAIN = frozenset({408, 425, 429})
"""Of the 4xx, those that speak of the moment and not of the request."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,4094}[\x21-\x7e])?")
_NOT_THEIRS = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade", "expect", "host", "accept-encoding"}
    | {"content-encoding", "content-length", "content-type", "user-agent", "x-aai-gateway-delivery"}
)
"""Headers that a delivery has of its own."""


class Kind(str, Enum):
    """The events of a webhook, in the order in which they are delivered."""

    TRANSCRIPT = "transcript"
    REDACTED_AUDIO = "redacted_audio"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a submission asks to be told, with the header that is to go with it."""

    url: str
    header_name: str | None = None
    header_value: str | None = None


def wanted_webhook(request: Mapping[str, Any], allowed: Collection[Network] = ()) -> Wanted | None:
    """The webhook of a submit body, or None. Raises InvalidRequest for one that cannot be served."""
    url = request.get("webhook_url")
    if url is None or url == "":
        return None
    if not isinstance(url, str):
        raise InvalidRequest("webhook_url must be a string.")
    destination(url, allowed)
    name, value = (request.get(f"webhook_auth_header_{part}") for part in ("name", "value"))
    if name is None and value is None:
        return Wanted(url)
    if name is None or value is None:
        raise InvalidRequest("webhook_auth_header_name and webhook_auth_header_value go together.")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.lower() in _NOT_THEIRS:
        raise InvalidRequest("webhook_auth_header_name is not a header that can be sent.")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise InvalidRequest("webhook_auth_header_value is not a value that a header can have.")
    return Wanted(url, name, value)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that AssemblyAI tells: `body` is passed on, `transcript_id` stands in a transcript's only."""

    kind: Kind
    body: Mapping[str, Any]
    transcript_id: str | None = None


def event_of(body: Mapping[str, Any]) -> Event:
    """What the body of a callback tells. Raises InvalidRequest for what is neither of the two."""
    status, transcript_id = body.get("status"), body.get("transcript_id")
    if status == "redacted_audio_ready" and isinstance(body.get("redacted_audio_url"), str):
        named = transcript_id if isinstance(transcript_id, str) else None
        return Event(Kind.REDACTED_AUDIO, body, named)
    if status in ("completed", "error") and isinstance(transcript_id, str):
        return Event(Kind.TRANSCRIPT, body, transcript_id)
    raise InvalidRequest("This is no notification of AssemblyAI's.")


def transcript_event(transcript_id: str, status: str) -> Event:
    """What AssemblyAI would tell of a job that has ended."""
    return Event(Kind.TRANSCRIPT, {"transcript_id": transcript_id, "status": status}, transcript_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an attempt: delivered, or again after a wait, or neither: it is given up."""

    delivered: bool = False
    again_after: timedelta | None = None


def verdict(attempts: int, status: int | None, retry_after: float | None = None) -> Verdict:
    """What follows from the last of so many attempts; `status` is None when nobody answered."""
    if status is not None and 200 <= status < 300:
        return Verdict(delivered=True)
    for_good = status is not None and 400 <= status < 500 and status not in TRIED_AGAIN
    if for_good or attempts >= ATTEMPTS:
        return Verdict()
    # Beyond the longest wait nobody is waited for; as a float it may even be infinite.
    asked = timedelta(seconds=min(retry_after or 0.0, LONGEST_WAIT.total_seconds()))
    return Verdict(again_after=max(min(FIRST_WAIT * 3 ** (attempts - 1), LONGEST_WAIT), asked))


def fair_shares(owners: Sequence[str], busy: Mapping[str, int], free: int, most: int) -> dict[str, int]:
    """How many deliveries of each waiting owner are begun now: in turn, the least busy first.

    `busy` is what each has under way, `free` how many can be begun, `most` how many one may have at once.
    """
    shares: dict[str, int] = {}
    for level in range(most):
        for owner in owners:
            if free and busy.get(owner, 0) + shares.get(owner, 0) == level:
                shares[owner] = shares.get(owner, 0) + 1
                free -= 1
    return shares

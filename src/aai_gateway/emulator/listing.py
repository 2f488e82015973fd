"""`GET /v2/transcript`: pages of transcripts, the newest first.

Source: AssemblyAI documentation, "List transcripts". `prev_url` leads to older transcripts, `next_url` to
newer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from aai_gateway.emulator.refusals import NOT_FOUND
from aai_gateway.emulator.world import Job, World

_STATUSES = ("queued", "processing", "completed", "error")


class QueryError(ValueError):
    """A query that the list does not take; its text is the answer's."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list; `created_on` is a UTC date."""

    limit: int = 10
    status: str | None = None
    created_on: date | None = None
    before_id: str | None = None
    after_id: str | None = None
    throttled_only: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> ListQuery:
        """Read the query parameters; raises QueryError."""
        limit = query.get("limit", "10")
        if not re.fullmatch(r"\d{1,3}", limit) or not 1 <= int(limit) <= 200:
            raise QueryError("limit must be an integer between 1 and 200")
        status = query.get("status") or None
        if status is not None and status not in _STATUSES:
            raise QueryError(f"status must be one of {', '.join(_STATUSES)}")
        try:
            created_on = date.fromisoformat(query["created_on"]) if query.get("created_on") else None
        except ValueError:
            raise QueryError("created_on must be a date, YYYY-MM-DD") from None
        throttled = query.get("throttled_only", "false").lower() == "true"
        before, after = query.get("before_id") or None, query.get("after_id") or None
        return cls(int(limit), None if throttled else status, created_on, before, after, throttled)

    def takes(self, job: Job) -> bool:
        """Whether a transcript is of the kind that is listed. None is ever throttled here."""
        if self.throttled_only:
            return bool(job.body["throttled"])
        return (self.status is None or job.body["status"] == self.status) and (
            self.created_on is None or job.created.date() == self.created_on
        )

    def url(self, base: str, **place: str) -> str:
        """The absolute URL of a page of this list."""
        named = {"limit": self.limit, "status": self.status, "created_on": self.created_on}
        query = {name: value for name, value in named.items() if value is not None}
        return f"{base}/v2/transcript?{urlencode(query | place)}"


def page(world: World, query: ListQuery, base: str) -> dict[str, Any]:
    """One page; raises QueryError for a before_id or after_id that this region does not know."""
    before = _number(world, query.before_id, float("inf"))
    after = _number(world, query.after_id, -1)
    kind = [job for job in world.newest_first() if query.takes(job)]
    inside = [job for job in kind if after < job.number < before]
    shown = inside[-query.limit :] if query.after_id and not query.before_id else inside[: query.limit]
    older = shown and kind[-1].number < shown[-1].number
    newer = shown and kind[0].number > shown[0].number
    place = {name: value for name in ("before_id", "after_id") if (value := getattr(query, name))}
    return {
        "page_details": {
            "limit": query.limit,
            "result_count": len(shown),
            "current_url": query.url(base, **place),
            "prev_url": query.url(base, before_id=shown[-1].id) if older else None,
            "next_url": query.url(base, after_id=shown[0].id) if newer else None,
        },
        "transcripts": [_item(job, base) for job in shown],
    }


def _number(world: World, transcript_id: str | None, default: float) -> float:
    if transcript_id is None:
        return default
    if transcript_id not in world.jobs:
        raise QueryError(NOT_FOUND)
    return world.jobs[transcript_id].number


def _item(job: Job, base: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "resource_url": f"{base}/v2/transcript/{job.id}",
        "status": job.body["status"],
        "created": _stamp(job.created),
        "completed": _stamp(job.completed) if job.completed else None,
        "audio_url": job.body["audio_url"],
        "error": job.body["error"] or "",
    }


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

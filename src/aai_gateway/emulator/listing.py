"""`GET /v2/transcript`: pages of transcripts, the newest first.

Source: AssemblyAI documentation, "List transcripts". `prev_url` leads to older transcripts, `next_url` to
newer.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from aai_gateway.emulator.refusals import NOT_FOUND
from aai_gateway.emulator.transcripts import DELETED_URL
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
        return not self.throttled_only and self.status in (None, job.status)

    def url(self, base: str, **place: str) -> str:
        """The absolute URL of a page of this list."""
        named = {"limit": self.limit, "status": self.status, "created_on": self.created_on}
        query = {name: value for name, value in named.items() if value is not None}
        return f"{base}/v2/transcript?{urlencode(query | place)}"


def page(world: World, query: ListQuery, base: str) -> dict[str, Any]:
    """One page; raises QueryError for a before_id or after_id that this region does not know.

    Numbers of transcripts bound what is looked at, so a page costs the same at the end of a long list.
    """
    first, last = _days_numbers(world.order, query)
    low = max(first, _number(world, query.after_id, -1) + 1)
    high = min(last, _number(world, query.before_id, last))
    shown = _shown(world.order, query, low, high)
    older = shown and any(_matching(world.order, query, range(shown[-1].number - 1, first - 1, -1)))
    newer = shown and any(_matching(world.order, query, range(shown[0].number + 1, last)))
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


def _days_numbers(order: Sequence[Job], query: ListQuery) -> tuple[int, int]:
    """The numbers of the transcripts of `created_on`, or all: the first, and the one past the last."""
    if query.created_on is None:
        return 0, len(order)
    return (
        bisect_left(order, query.created_on, key=_day),
        bisect_right(order, query.created_on, key=_day),
    )


def _day(job: Job) -> date:
    return job.created.date()


def _shown(order: Sequence[Job], query: ListQuery, low: int, high: int) -> list[Job]:
    """The newest first; the oldest of the range where only `after_id` bounds it, so that pages meet."""
    if query.after_id and not query.before_id:
        return list(islice(_matching(order, query, range(low, high)), query.limit))[::-1]
    return list(islice(_matching(order, query, range(high - 1, low - 1, -1)), query.limit))


def _matching(order: Sequence[Job], query: ListQuery, numbers: range) -> Iterator[Job]:
    return (job for number in numbers if query.takes(job := order[number]))


def _number(world: World, transcript_id: str | None, default: int) -> int:
    if transcript_id is None:
        return default
    if transcript_id not in world.jobs:
        raise QueryError(NOT_FOUND)
    return world.jobs[transcript_id].number


def _item(job: Job, base: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "resource_url": f"{base}/v2/transcript/{job.id}",
        "status": job.status,
        "created": _stamp(job.created),
        "completed": _stamp(job.completed) if job.completed else None,
        "audio_url": DELETED_URL if job.deleted else job.request["audio_url"],
        "error": job.error or "",
    }


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

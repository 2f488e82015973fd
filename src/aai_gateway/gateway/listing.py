"""`GET /v2/transcript` from our store: a team's own transcripts in AssemblyAI's shape.

AssemblyAI API reference, "List transcripts": newest first, `prev_url` leads to older ones. AssemblyAI's own
list would show every team's, so it is never asked.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlencode

from aai_gateway.core.operations import is_transcript_id
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import InvalidRequest, NotFound
from aai_gateway.store import Store, transcripts

STATUSES = ("queued", "processing", "completed", "error")
MAX_LIMIT = 200
DEFAULT_LIMIT = 10


async def list_page(store: Store, caller: Caller, region: Region, query: str, prefix: str) -> dict[str, Any]:
    """One page for `caller`. `prefix` is the URL of the region's route, for links that can be followed.

    Raises InvalidRequest for a parameter AssemblyAI would not take, NotFound for a strange before_id.
    """
    asked = {name: values[-1] for name, values in parse_qs(query, keep_blank_values=False).items()}
    filters = _filters(asked)
    async with store.read() as connection:
        owner = None if caller.is_admin else caller.owner
        page = await transcripts.page(connection, owner, region, key_hash=caller.narrowed_to, **filters)
    base = f"{prefix}/v2/transcript"
    kept = {k: v for k, v in asked.items() if k not in ("before_id", "after_id")}
    kept["limit"] = str(filters["limit"])

    def link(edge: str, position: int) -> str:
        return f"{base}?{urlencode({**kept, edge: page.transcripts[position].id})}"

    return {
        "page_details": {
            "limit": filters["limit"],
            "result_count": len(page.transcripts),
            "current_url": f"{base}?{urlencode(kept | {k: v for k, v in asked.items() if k not in kept})}",
            "prev_url": link("before_id", -1) if page.older else None,
            "next_url": link("after_id", 0) if page.newer else None,
        },
        "transcripts": [_item(transcript, base) for transcript in page.transcripts],
    }


def _filters(asked: dict[str, str]) -> dict[str, Any]:
    status = asked.get("status")
    if status is not None and status not in STATUSES:
        raise InvalidRequest(f"status must be one of {', '.join(STATUSES)}.")
    return {
        "limit": _limit(asked.get("limit")),
        "status": status,
        "created_on": _day(asked.get("created_on")),
        "before_id": _id(asked.get("before_id")),
        "after_id": _id(asked.get("after_id")),
        "throttled_only": asked.get("throttled_only", "").lower() == "true",
    }


def _id(text: str | None) -> str | None:
    if text is not None and not is_transcript_id(text):
        raise NotFound
    return text


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MAX_LIMIT):
        raise InvalidRequest(f"limit must be a number from 1 to {MAX_LIMIT}.")
    return int(text)


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
        day + timedelta(days=1)  # where the day ends
    except (ValueError, OverflowError):
        raise InvalidRequest("created_on must be a date like 2026-11-21.") from None
    return day


def _item(transcript: transcripts.Transcript, base: str) -> dict[str, Any]:
    return {
        "id": transcript.id,
        "resource_url": f"{base}/{transcript.id}",
        "status": transcript.status,
        "created": _moment(transcript.created_at),
        "completed": _moment(transcript.completed_at),
        "audio_url": transcript.audio_url,
        "error": transcript.error or "",
    }


def _moment(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

"""Search that shows only what may still be read: what is gone from the gateway goes from the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from aai_gateway.quotes.index import QuoteIndex
from aai_gateway.quotes.passages import Quote

AT_ONCE = 8
"""Transcripts that are asked for at a time."""

IsReadable = Callable[[str, str], bool]
"""Whether the transcript of a region and an id may be read"""


@dataclass(frozen=True, slots=True)
class Visible:
    """What was found, and the ids of the transcripts that were removed as they may no longer be read."""

    quotes: list[Quote]
    removed: list[str]


def search_visible(
    index: QuoteIndex,
    text: str,
    n: int,
    is_readable: IsReadable,
    *,
    transcript_ids: Sequence[str] | None = None,
    speaker: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Visible:
    """`QuoteIndex.search`, and each transcript that it finds in is asked for.

    One that may not be read is removed from the index, and the search made again without it. Raises
    IndexUnavailable, and what `is_readable` does.
    """
    known: dict[tuple[str, str], bool] = {}
    removed: list[str] = []
    while True:
        found = index.search(
            text, n, transcript_ids=transcript_ids, speaker=speaker, since=since, until=until
        )
        unknown = [
            one for one in dict.fromkeys((q.region, q.transcript_id) for q in found) if one not in known
        ]
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            known.update(zip(unknown, pool.map(lambda place: is_readable(*place), unknown), strict=True))
        finally:
            # Interrupted: nobody waits for what is under way.
            pool.shutdown(wait=False, cancel_futures=True)
        gone = [transcript_id for region, transcript_id in unknown if not known[region, transcript_id]]
        if not gone:
            return Visible(found, removed)
        index.remove(gone)
        removed += gone

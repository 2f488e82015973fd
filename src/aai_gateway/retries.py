"""When the client side asks again, and after how long. Pure.

Only what was turned away before any work was done is repeated: 429, and 503 that says when to come back. A
503 without `Retry-After` is a region that has no key, which waiting does not mend.
"""

from __future__ import annotations

MAX_ATTEMPTS = 5
MAX_WAIT = 60.0


def delay_before_retry(status: int, retry_after: str | None, attempt: int) -> float | None:
    """Seconds to wait after the `attempt`-th try (from 1) was answered with `status`; None: do not ask again.

    `retry_after` is the header in seconds (AssemblyAI documentation, "Rate limits"); without it 429 waits
    1, 2, 4 and 8 seconds. A wait of more than a minute is the caller's to decide on.
    """
    if status not in (429, 503) or attempt >= MAX_ATTEMPTS:
        return None
    seconds = _seconds(retry_after)
    if seconds is None:
        return float(2 ** (attempt - 1)) if status == 429 else None
    return seconds if seconds <= MAX_WAIT else None


def _seconds(retry_after: str | None) -> float | None:
    try:
        seconds = float(retry_after) if retry_after is not None else None
    except ValueError:
        return None
    return seconds if seconds is not None and seconds >= 0 else None

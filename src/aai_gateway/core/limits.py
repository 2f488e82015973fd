"""Limits of a key or a team besides its budget: how fast, how much at once, how many bytes a day.

AssemblyAI limits the account alone (AssemblyAI documentation, "Account management: Rate limits"), so one
team's flood would be everybody's 429. These limits are each team's and each key's own.
"""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_LIMIT = 10**15
"""Limits are from 1 to this; who should do nothing at all is blocked instead."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key or a team may do at most; None is no limit. Requests count on every route, polls too."""

    requests_per_minute: int | None = None
    concurrent_jobs: int | None = None
    concurrent_uploads: int | None = None
    upload_bytes_per_day: int | None = None


NO_LIMITS = Limits()

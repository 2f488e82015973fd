"""Requests per minute: of a key and of its team, at most so many in any sixty seconds.

The moments of the last minute's requests are kept, so the limit holds in every window and not just in those
that begin on the minute; only what was let in takes memory. Refused requests do not count: who goes on asking
too fast is still served at the limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import TooManyRequests

MINUTE = 60.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The tighter of a caller's limits of requests per minute, and what is left of it."""

    limit: int
    remaining: int

    def headers(self) -> dict[str, str]:
        """Response headers by the names that LiteLLM and OpenAI use."""
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
        }


class Rates:
    """Counts requests in this process. Moments are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._asked: dict[str, deque[float]] = {}
        self._tidy_at = 0.0

    def count(self, caller: Caller, now: float) -> Standing | None:
        """Count one request of the caller's key and of its team; None when neither has a limit.

        Raises TooManyRequests when one of them has none left; then it counts for neither.
        """
        key, team = caller.key, caller.team
        if (key is None or key.limits.requests_per_minute is None) and (
            team is None or team.limits.requests_per_minute is None
        ):
            return None
        if now >= self._tidy_at:
            self._tidy(now)
        counted: list[deque[float]] = []
        tightest: Standing | None = None
        for scope, name, most in _limits(caller):
            asked = self._asked.setdefault(scope, deque())
            while asked and asked[0] <= now - MINUTE:
                asked.popleft()
            if len(asked) >= most:
                raise TooManyRequests(
                    f"{name} may make {most} requests a minute.",
                    retry_after=asked[len(asked) - most] + MINUTE - now,
                    headers=Standing(most, 0).headers(),
                )
            counted.append(asked)
            standing = Standing(most, most - len(asked) - 1)
            if tightest is None or standing.remaining < tightest.remaining:
                tightest = standing
        for asked in counted:
            asked.append(now)
        return tightest

    def _tidy(self, now: float) -> None:
        """Forget, once a minute, those who have not asked for one."""
        kept = ((scope, asked) for scope, asked in self._asked.items() if asked and asked[-1] > now - MINUTE)
        self._asked = dict(kept)
        self._tidy_at = now + MINUTE


def _limits(caller: Caller) -> Iterator[tuple[str, str, int]]:
    """Scope, name and limit of those that have one; the key first."""
    key, team = caller.key, caller.team
    if key is not None and (most := key.limits.requests_per_minute) is not None:
        yield f"key:{key.hash}", f"Key {key.alias or key.masked}", most
    if team is not None and (most := team.limits.requests_per_minute) is not None:
        yield f"team:{team.id}", f"Team {team.alias}", most

"""When to ask a service again that is in trouble: pauses that grow, with a single question after each.

AssemblyAI documentation, "Rate limits": 429 comes with `Retry-After`, the seconds to wait.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
LONGEST_RETRY_AFTER = 600.0
"""Seconds: pauses double from the first to the longest; a `Retry-After` is believed up to the last."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """How one service stands: troubles in a row, and until when (seconds of one clock) it is left alone."""

    failures: int = 0
    until: float = 0.0

    @property
    def probing(self) -> bool:
        """Whether the next question is a probe, to be asked alone."""
        return self.failures > 0

    def pause(self, now: float) -> float:
        """Seconds that the service is still to be left alone; 0 when it may be asked."""
        return max(0.0, self.until - now)

    def troubled(self, now: float, chance: float, retry_after: float | None = None) -> Breaker:
        """After trouble. `chance`, from 0 to 1, spreads the pauses of many workers over half their length.

        Questions that were under way when a pause began count once, however many they were.
        """
        asked_to_wait = now + min(retry_after or 0.0, LONGEST_RETRY_AFTER)
        if self.pause(now):
            return Breaker(self.failures, max(self.until, asked_to_wait))
        pause = min(FIRST_PAUSE * 2 ** min(self.failures, 30), LONGEST_PAUSE)
        return Breaker(self.failures + 1, max(now + pause * (0.5 + chance / 2), asked_to_wait))

    def answered(self, now: float) -> Breaker:
        """After an answer. One to a question from before the pause does not end it."""
        return self if self.pause(now) else Breaker()

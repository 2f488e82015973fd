"""The LLM Gateway's rate limits: so many requests to one model, or to speech understanding, in a minute."""

from __future__ import annotations

import time

from aai_gateway.emulator.chat_request import ChatError

# Above a paid account's 30 a minute, so that only a test that wants it meets the limit.
DEFAULT_REQUESTS_PER_MINUTE = 6000


class RateLimit:
    """Requests for each model in the running minute; `service` and `feature` are named in the headers."""

    def __init__(self, per_minute: int, service: str, feature: str) -> None:
        self._per_minute = per_minute
        self._named = {"x-ratelimit-service": service, "x-ratelimit-feature": feature}
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, model: str) -> dict[str, str]:
        """Count one request and give AssemblyAI's rate limit headers. Raises ChatError (429)."""
        now = time.monotonic()
        start, used = self._windows.get(model, (now, 0))
        if now - start >= 60:
            start, used = now, 0
        self._windows[model] = (start, min(used + 1, self._per_minute))
        reset = str(60 - int(now - start))
        headers = {
            "x-ratelimit-limit": str(self._per_minute),
            "x-ratelimit-remaining": str(max(0, self._per_minute - used - 1)),
            "x-ratelimit-reset": reset,
            "x-ratelimit-model": model,
            **self._named,
        }
        if used >= self._per_minute:
            headers["retry-after"] = reset
            raise ChatError("too many requests for this action", status=429, headers=headers)
        return headers

"""Which request reached which host: what a test reads to prove that nothing went to the wrong place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One answered request. The key itself is never kept, only whether it was the right one."""

    host: str
    """"us", "eu", "llm-us" or "llm-eu"."""
    method: str
    path: str
    query: str
    status: int
    """HTTP status; 0 when the connection was cut on request."""
    received_at: float
    """Unix seconds."""
    bytes_in: int
    authorized: bool
    request_id: str | None = None
    """`X-Request-Id` as it came; like AssemblyAI, the emulator does nothing else with it."""

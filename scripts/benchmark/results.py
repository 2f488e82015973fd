"""What is measured, how long, and what was found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmark.load import Rate, Upload
from benchmark.pending import Pending

MB = 1_000_000
MIB = 1024 * 1024
CONCURRENCIES = (1, 16)
SPEED_UPLOAD, MEMORY_UPLOAD = 100 * MIB, 500 * MIB

DIRECT, OURS, UNMETERED, STOCK = "direct", "gateway", "unmetered", "stock"
POLLS, SUBMITS, LIVES, CHATS = "polls", "submits", "whole jobs", "chats"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure: starts of each proxy, rounds, seconds of each, seconds of watching memory."""

    starts: int
    rounds: int
    seconds: float
    watch_seconds: float


QUICK = Plan(starts=1, rounds=2, seconds=0.5, watch_seconds=3.0)
FULL = Plan(starts=3, rounds=5, seconds=1.5, watch_seconds=15.0)


@dataclass
class Results:
    """Everything that was measured, by server."""

    start_up: dict[str, list[float]] = field(default_factory=lambda: {OURS: [], STOCK: []})
    idle_rss: dict[str, int] = field(default_factory=dict)
    rates: dict[tuple[str, str, int], list[Rate]] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Units of work that were answered, warm-ups included."""
    uploads: dict[str, list[Upload]] = field(default_factory=dict)
    upload_growth: dict[str, int] = field(default_factory=dict)
    pending: Pending | None = None
    ledger: tuple[int, int] = (0, 0)
    """Transcript rows and usage rows of this gateway's store."""

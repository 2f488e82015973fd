"""Response headers that say what a request cost, and what its caller still has; amounts in USD."""

from __future__ import annotations

from aai_gateway.core.budgets import usd
from aai_gateway.gateway.wire import Headers
from aai_gateway.store.holds import Room

COST = "x-aai-gateway-cost"
"""What an ended job cost."""
HELD = "x-aai-gateway-held-cost"
"""What is set aside for a job that has been accepted: what it is likely to cost."""
REMAINING = "x-aai-gateway-budget-remaining"
"""What is left of the tightest budget of the caller, after everything that is held."""
WARNING = "x-aai-gateway-budget-warning"
"""A soft budget is spent."""


def cost_headers(
    *, cost_micros: int | None = None, held_micros: int | None = None, room: Room | None = None
) -> Headers:
    """The headers for what is known; none for what is not."""
    amounts = {COST: cost_micros, HELD: held_micros, REMAINING: room.left_micros if room else None}
    named = {name: usd(micros) for name, micros in amounts.items() if micros is not None}
    if room is not None and room.warnings:
        named[WARNING] = " ".join(room.warnings)
    return [(name.encode(), _header_text(value)) for name, value in named.items()]


def _header_text(value: str) -> bytes:
    """Text as a header may carry it: a team's name may hold anything."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in value).encode()

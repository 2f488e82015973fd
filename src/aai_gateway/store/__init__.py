"""The store: teams, keys, ownership and the ledger. `Store` opens it; each module holds one aggregate."""

from __future__ import annotations

from aai_gateway.store import (
    gateway_budget,
    holds,
    intents,
    keys,
    notices,
    ownership,
    teams,
    transcripts,
    uploads,
    usage,
)
from aai_gateway.store.store import Store

__all__ = [
    "Store",
    "gateway_budget",
    "holds",
    "intents",
    "keys",
    "notices",
    "ownership",
    "teams",
    "transcripts",
    "uploads",
    "usage",
]

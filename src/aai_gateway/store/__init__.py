"""The store: teams, keys, ownership and the ledger. `Store` opens it; each module holds one aggregate."""

from __future__ import annotations

from aai_gateway.store import (
    audit_log,
    gateway_budget,
    holds,
    intents,
    keys,
    notices,
    ownership,
    teams,
    transcripts,
    upload_leases,
    uploads,
    usage,
)
from aai_gateway.store.store import Store

__all__ = [
    "Store",
    "audit_log",
    "gateway_budget",
    "holds",
    "intents",
    "keys",
    "notices",
    "ownership",
    "teams",
    "transcripts",
    "upload_leases",
    "uploads",
    "usage",
]

"""The store: teams, keys, ownership and the ledger. `Store` opens it; each module holds one aggregate."""

from __future__ import annotations

from aai_gateway.store import intents, keys, teams, transcripts, uploads, usage
from aai_gateway.store.store import Store

__all__ = ["Store", "intents", "keys", "teams", "transcripts", "uploads", "usage"]

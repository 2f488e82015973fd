"""The life of a job, as a table: which state may follow which. `docs/billing.md` draws it; a test compares.

A speech job is *held* once its intent and its hold are on disk, before AssemblyAI hears of it. It is
*running* once its transcript row is there, *refused* when AssemblyAI turned it away, *unknown* while no
answer came and no job of its like was found. *Settled* means one usage row, the charge, and no hold.

A completion is *held* in the same way. It is *settled* with the answer's tokens, *refused* when the LLM
Gateway turned it away, and *unknown* when the gateway died before the answer: AssemblyAI keeps no list of
completions, so that it is put on record at nothing and never charged on a guess. The speech understanding of
a transcript that is there already lives as a completion does.
"""

from __future__ import annotations

from typing import Literal

from aai_gateway.core.usage_rows import Service

State = Literal["held", "refused", "unknown", "running", "settled"]

START = "start"
"""Before anything is on disk."""

_ANSWERED_AT_ONCE: dict[str, frozenset[State]] = {
    START: frozenset({"held"}),
    "held": frozenset({"settled", "refused", "unknown"}),
    # The answer came after its hold had expired.
    "unknown": frozenset({"settled"}),
}

TRANSITIONS: dict[Service, dict[str, frozenset[State]]] = {
    "speech": {
        # A job that only AssemblyAI knows begins as running: `reconcile` found it.
        START: frozenset({"held", "running"}),
        "held": frozenset({"running", "refused", "unknown"}),
        # A late answer, or a later search, finds the job after all.
        "unknown": frozenset({"running"}),
        "running": frozenset({"settled"}),
    },
    "chat": _ANSWERED_AT_ONCE,
    "understanding": _ANSWERED_AT_ONCE,
}


def sources(service: Service, state: State) -> tuple[str, ...]:
    """The states that `state` may follow, without the start; sorted."""
    return tuple(sorted(s for s, targets in TRANSITIONS[service].items() if state in targets and s != START))

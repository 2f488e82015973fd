"""This gateway without its ledger, to measure what the ledger costs: never for real use.

The same `litellm` command with the same plugin. Left out is everything that is written to the store for a
job or a completion: the transactions with the intent, the hold and its end, the transcript row, the usage
row with its charges. Whose a job is is kept in memory, for its polls; a look at the price book's newest
change, which costs a query, falls away with its transaction. Identity, prices, forwarding stay as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litellm import run_server

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Caller
from aai_gateway.gateway import context
from aai_gateway.gateway.identity import Identity
from aai_gateway.gateway.ledger import Ledger
from aai_gateway.gateway.submission import Submissions
from aai_gateway.store import Store, holds, intents, price_books, transcripts, usage
from aai_gateway.store.holds import Hold, Room
from aai_gateway.store.transcripts import Transcript

_jobs: dict[tuple[Region, str], Transcript] = {}


class _Unwritten:
    """A store that can be read; writing to it is a block in which nothing happens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> AbstractAsyncContextManager[Any]:
        return self._store.read()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[None]:
        yield


class _UnwrittenLedger(Ledger):
    def __init__(self, settings: Any, store: Any, *others: Any) -> None:
        super().__init__(settings, _Unwritten(store), *others)  # type: ignore[arg-type]  # of a Store only what it uses


class _UnwrittenSubmissions(Submissions):
    def __init__(self, settings: Any, store: Any, *others: Any) -> None:
        super().__init__(settings, _Unwritten(store), *others)  # type: ignore[arg-type]  # of a Store only what it uses


async def _place(connection: None, hold: Hold, *, account_jobs: int | None = None) -> Room:
    return Room(left_micros=None)


async def _record_job(connection: None, row: Transcript) -> bool:
    _jobs[row.region, row.id] = row
    return True


async def _job(self: Identity, caller: Caller, region: Region, transcript_id: str) -> Transcript | None:
    return _jobs.get((region, transcript_id))


async def _nothing(*arguments: Any, **named: Any) -> None:
    pass


async def _done(*arguments: Any, **named: Any) -> bool:
    return True


def _leave_out(owner: Any, **replacements: Any) -> None:
    for name, replacement in replacements.items():
        # What has been renamed would go on being written.
        assert hasattr(owner, name), f"{owner.__name__} has no {name}"
        setattr(owner, name, replacement)


_leave_out(context, Ledger=_UnwrittenLedger, Submissions=_UnwrittenSubmissions)
_leave_out(holds, place=_place, take=_nothing, release=_nothing)
_leave_out(intents, open=_nothing, accept=_done, close=_done, get=_nothing)
_leave_out(transcripts, record=_record_job, mark_status=_done, mark_settled=_done)
_leave_out(price_books, newest_id=_nothing)
_leave_out(usage, record=_done)
_leave_out(Identity, transcript=_job)
run_server()

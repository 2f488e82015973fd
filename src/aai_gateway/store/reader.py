"""Reading much at once from SQLite: a page's twenty statements in one thread, not each by the event loop.

Each statement of an `AsyncConnection` goes to a thread and back several times, which for a small one costs
more than the statement itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.store.engine import SNAPSHOT, make_blocking_engine

T = TypeVar("T")

THREADS = 2
"""Pages that are read at once; further ones wait. These threads are their own, and hold nothing else up."""


class Reader:
    """Threads that read a SQLite store, each from one moment's state."""

    def __init__(self, url: URL) -> None:
        self._engine = make_blocking_engine(url, THREADS).execution_options(**{SNAPSHOT: True})
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="aai-gateway-reader")

    async def run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What `work` returns or raises. It may wait for the connection's answers, and for nothing else."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    def _run(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        with self._engine.connect() as connection:
            return _at_once(work(cast("AsyncConnection", _Immediate(connection))))

    def close(self) -> None:
        """Close every connection, once what is being read has been. Blocks."""
        self._threads.shutdown(cancel_futures=True)
        self._engine.dispose()


class _Immediate:
    """As much of an `AsyncConnection` as reading takes, over a connection that blocks."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.dialect = connection.dialect

    async def execute(self, *statement: Any) -> sa.CursorResult[Any]:
        return self._connection.execute(*statement)

    async def scalar(self, *statement: Any) -> Any:
        return self._connection.scalar(*statement)

    async def scalars(self, *statement: Any) -> sa.ScalarResult[Any]:
        return self._connection.scalars(*statement)


def _at_once(work: Awaitable[T]) -> T:
    """The result of what never has to wait. Raises RuntimeError for what does."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as end:
        return cast("T", end.value)
    raise RuntimeError("Work over the store waited for something that is not the store.")

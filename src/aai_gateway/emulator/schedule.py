"""Things that fall due: one timer for any number of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

_AT_ONCE = 200

T = TypeVar("T")


class Schedule(Generic[T]):
    """Calls `due` with each item when its moment has come, in order; moments are the event loop's seconds."""

    def __init__(self, due: Callable[[T], None]) -> None:
        self._due = due
        self._waiting: list[tuple[float, int, T]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, moment: float, item: T) -> None:
        """Let `item` fall due at `moment`; call it on the event loop."""
        heappush(self._waiting, (moment, next(self._numbers), item))
        self._set()

    def clear(self) -> None:
        """Nothing falls due any more."""
        self._waiting.clear()
        self._set()

    def _set(self) -> None:
        first = self._waiting[0][0] if self._waiting else None
        if self._timer is not None:
            if self._timer.when() == first:
                return
            self._timer.cancel()
        self._timer = None if first is None else asyncio.get_running_loop().call_at(first, self._ring)

    def _ring(self) -> None:
        """What is due, in portions, so that requests are answered in between."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        try:
            for _ in range(_AT_ONCE):
                if not self._waiting or self._waiting[0][0] > now:
                    break
                self._due(heappop(self._waiting)[2])
        finally:
            self._set()

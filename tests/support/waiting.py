"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


PATIENCE = 120.0
"""Seconds: far more than anything takes on a busy machine."""


def until(look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The first true thing that `look` gives. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    pauses = _pauses()
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came of it in {seconds} s")
        time.sleep(next(pauses))
    return found


async def comes(look: Callable[[], Awaitable[T]], seconds: float = PATIENCE) -> T:
    """The first true thing that `look` gives, in this event loop. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    pauses = _pauses()
    while not (found := await look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came of it in {seconds} s")
        await asyncio.sleep(next(pauses))
    return found


def _pauses() -> Iterator[float]:
    """Seconds between two looks: soon at first, and seldom when it takes long, as looking costs something."""
    pause = 0.005
    while True:
        yield pause
        pause = min(pause * 1.3, 0.2)

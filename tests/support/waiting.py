"""Waiting for what happens in another thread or process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], seconds: float = 30) -> T:
    """The first true thing that `look` gives. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came of it in {seconds} s")
        time.sleep(0.02)
    return found


async def comes(look: Callable[[], Awaitable[T]], seconds: float = 30) -> T:
    """The first true thing that `look` gives, in this event loop. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came of it in {seconds} s")
        await asyncio.sleep(0.01)
    return found

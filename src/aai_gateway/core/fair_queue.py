"""In front of the account's own limits: whose turn it is, when more is asked than the account may.

AssemblyAI limits the account, not a team (AssemblyAI documentation, "Rate limits": 20,000 requests in five
minutes; "Account management: Concurrency": excess jobs are queued first in, first out). So that a team which
floods delays nobody but itself, those who wait go round by owner: one of each, then the next of each.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")

WINDOW = 300.0
"""Seconds in which AssemblyAI counts an account's requests."""
_ALMOST = 1e-9


class RoundRobin(Generic[T]):
    """Tickets that wait, each for its owner; owners take turns, an owner's tickets keep their order."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        """How many tickets wait."""
        return self._count

    def add(self, owner: str, ticket: T, *, first: bool = False) -> None:
        """Let a ticket wait; `first` is for one whose turn came to nothing: it is the next again."""
        tickets = self._waiting.setdefault(owner, OrderedDict())
        tickets[ticket] = None
        self._count += 1
        if first:
            tickets.move_to_end(ticket, last=False)
            self._waiting.move_to_end(owner, last=False)

    def leave(self, owner: str, ticket: T) -> bool:
        """Take a ticket out before its turn; False when it does not wait (any more)."""
        tickets = self._waiting.get(owner)
        if tickets is None or ticket not in tickets:
            return False
        del tickets[ticket]
        self._count -= 1
        if not tickets:
            del self._waiting[owner]
        return True

    def pop(self) -> T:
        """The ticket whose turn it is. Raises KeyError when none waits."""
        owner, tickets = self._waiting.popitem(last=False)
        ticket, _ = tickets.popitem(last=False)
        self._count -= 1
        if tickets:
            self._waiting[owner] = tickets
        return ticket


class FairQueue(Generic[T]):
    """Lets so many requests through in any five minutes; who must wait is served in turns.

    A tenth may go at once, the rest evenly: a flood that used up five minutes' requests in one would leave
    nobody a turn for the other four. Moments are seconds of one clock that never goes back.
    """

    def __init__(self, requests_per_5_minutes: int) -> None:
        self._burst = max(1, requests_per_5_minutes // 10)
        self._rate = (requests_per_5_minutes - self._burst) / WINDOW
        self._free = float(self._burst)
        self._at = 0.0
        self._waiting: RoundRobin[T] = RoundRobin()

    def passes(self, now: float) -> bool:
        """Whether a request may go at once: there is room, and nobody waits for it."""
        if self._waiting:
            return False
        self._refill(now)
        if self._free < 1 - _ALMOST:
            return False
        self._free -= 1
        return True

    def enter(self, owner: str, ticket: T) -> None:
        """Let a request wait that may not pass."""
        self._waiting.add(owner, ticket)

    def leave(self, owner: str, ticket: T) -> bool:
        """Take a request out before its turn; False when it has had it."""
        return self._waiting.leave(owner, ticket)

    def give_back(self) -> None:
        """A request that had its turn was not sent."""
        self._free = min(self._free + 1, float(self._burst))

    def due(self, now: float) -> list[T]:
        """Those whose turn has come, in order."""
        self._refill(now)
        found = []
        while self._waiting and self._free >= 1 - _ALMOST:
            self._free -= 1
            found.append(self._waiting.pop())
        return found

    def next_in(self, now: float) -> float | None:
        """Seconds until the next turn; None when nobody waits."""
        if not self._waiting:
            return None
        self._refill(now)
        return max(0.0, (1 - self._free) / self._rate)

    def backlog(self) -> float:
        """Seconds until all that wait now will have had their turn."""
        return len(self._waiting) / self._rate

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._free = min(self._free + (now - self._at) * self._rate, float(self._burst))
            self._at = now

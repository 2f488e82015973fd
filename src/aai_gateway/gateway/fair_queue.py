"""Turns at AssemblyAI: the account's requests and jobs, shared between teams when they are scarce."""

from __future__ import annotations

import asyncio
import logging

from aai_gateway.core.fair_queue import FairQueue, RoundRobin
from aai_gateway.errors import AccountBusy, StoreError, TooManyRequests
from aai_gateway.gateway.observing import current
from aai_gateway.store import Store, holds

log = logging.getLogger("aai_gateway")

GATEWAY = "gateway"
"""The owner of the gateway's own questions: one more beside the teams."""
LOOK_EVERY = 0.5
"""Seconds between two looks at how many jobs run, while a submission waits for one to end."""

_Ticket = asyncio.Future[None]


class RequestTurns:
    """Turns of requests, as many in five minutes as this process may send."""

    def __init__(self, requests_per_5_minutes: int, timeout: float) -> None:
        self._queue: FairQueue[_Ticket] = FairQueue(requests_per_5_minutes)
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, owner: str) -> None:
        """Wait until `owner` may send a request. Raises TooManyRequests after the time-out."""
        loop = asyncio.get_running_loop()
        if self._queue.passes(loop.time()):
            return
        ticket: _Ticket = loop.create_future()
        self._queue.enter(owner, ticket)
        self._wake(loop)
        try:
            with current().waiting():
                await asyncio.wait([ticket], timeout=self._timeout)
        except asyncio.CancelledError:
            if not self._queue.leave(owner, ticket):
                self._queue.give_back()
            raise
        if self._queue.leave(owner, ticket):
            text = (
                f"the account's requests are used up; this one has waited {self._timeout:g} s for its turn."
            )
            raise TooManyRequests(text, retry_after=self._queue.backlog())

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and (wait := self._queue.next_in(loop.time())) is not None:
            self._timer = loop.call_later(wait, self._serve, loop)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for ticket in self._queue.due(loop.time()):
            ticket.set_result(None)
        self._wake(loop)


class JobTurns:
    """Turns of submissions while as many jobs run as may (`most`; None: AssemblyAI queues what is too much).

    The store decides, exactly and for all processes, whether a job may begin; here waits, in this process and
    fairly, who was told no.
    """

    def __init__(self, store: Store, most: int | None, timeout: float) -> None:
        self._store = store
        self._most = most
        self._timeout = timeout
        self._waiting: RoundRobin[_Ticket] = RoundRobin()
        self._looking: asyncio.Task[None] | None = None

    def deadline(self) -> float:
        """The loop's time at which a submission that begins to wait now gives up."""
        return asyncio.get_running_loop().time() + self._timeout

    async def turn(self, owner: str, deadline: float, busy: AccountBusy | None = None) -> None:
        """Wait until `owner` may try to submit: at once, unless others wait or it was told `busy`.

        Raises AccountBusy at the deadline.
        """
        if self._most is None or (busy is None and not self._waiting):
            return
        loop = asyncio.get_running_loop()
        ticket: _Ticket = loop.create_future()
        self._waiting.add(owner, ticket, first=busy is not None)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look(self._most))
        try:
            await asyncio.wait([ticket], timeout=max(0.0, deadline - loop.time()))
        finally:
            left = self._waiting.leave(owner, ticket)
        if left:
            text = f"the account runs as many jobs at once as it may, {self._most}."
            raise busy or AccountBusy(text, retry_after=holds.JOB_SECONDS)

    async def _look(self, most: int) -> None:
        """Give out the places that are free, again and again, until nobody waits."""
        while self._waiting:
            try:
                async with self._store.read() as connection:
                    free = most - await holds.running_jobs(connection)
            except StoreError as error:
                log.warning("how many jobs run cannot be read: %s", error)
                free = 0
            for _ in range(min(free, len(self._waiting))):
                self._waiting.pop().set_result(None)
            await asyncio.sleep(LOOK_EVERY)

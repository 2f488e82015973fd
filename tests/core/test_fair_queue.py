"""Turns by owner, at the account's rate: who floods delays itself."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.fair_queue import WINDOW, FairQueue, RoundRobin

OWNERS = "abc"


def test_owners_take_turns_and_keep_their_own_order() -> None:
    waiting: RoundRobin[str] = RoundRobin()
    for ticket in ("a1", "a2", "a3", "b1", "c1", "c2"):
        waiting.add(ticket[0], ticket)
    assert ["a1", "b1", "c1", "a2", "c2", "a3"] == [waiting.pop() for _ in range(len(waiting))]
    with pytest.raises(KeyError):
        waiting.pop()


def test_who_leaves_has_no_turn_and_who_lost_its_turn_is_next() -> None:
    waiting: RoundRobin[str] = RoundRobin()
    for ticket in ("a1", "a2", "b1"):
        waiting.add(ticket[0], ticket)
    assert (True, False) == (waiting.leave("a", "a1"), waiting.leave("a", "a1"))
    assert "a2" == waiting.pop()
    waiting.add("a", "a2", first=True)
    assert ["a2", "b1"] == [waiting.pop(), waiting.pop()]


def test_a_tenth_goes_at_once_and_the_rest_evenly() -> None:
    queue: FairQueue[int] = FairQueue(3000)
    assert 300 == sum(queue.passes(0.0) for _ in range(1000))
    queue.enter("a", 1)
    assert pytest.approx(1 / 9) == queue.next_in(0.0)
    assert ([], [1]) == (queue.due(0.1), queue.due(0.112))
    assert queue.next_in(0.2) is None
    queue.give_back()
    assert queue.passes(0.12) and not queue.passes(0.12)


def test_a_flood_delays_another_team_by_one_turn() -> None:
    queue: FairQueue[str] = FairQueue(1000)
    while queue.passes(0.0):
        pass
    for number in range(10_000):
        queue.enter("flood", f"flood-{number}")
    queue.enter("quiet", "quiet")
    served = queue.due(2 / 3 + 0.01)
    assert ["flood-0", "quiet"] == served
    assert 9_999 / 3 == pytest.approx(queue.backlog())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "leave"]),
        st.sampled_from(OWNERS),
        st.floats(0, 4, allow_nan=False),
    ),
    min_size=1,
    max_size=120,
)


class World:
    """A queue, and what was seen of it: who waits (in order), who went when."""

    def __init__(self, requests: int) -> None:
        self.queue: FairQueue[tuple[str, int]] = FairQueue(requests)
        self.now = 0.0
        self.waiting: list[tuple[str, int]] = []
        self.went: list[float] = []
        # What went since a ticket came, by owner, and how many of its owner's waited before it.
        self.since: dict[tuple[str, int], tuple[Counter[str], int]] = {}

    def ask(self, owner: str, number: int) -> None:
        before = sum(who == owner for who, _ in self.waiting)
        if self.queue.passes(self.now):
            assert not self.waiting
            self.note((owner, number))
            return
        ticket = (owner, number)
        self.queue.enter(owner, ticket)
        self.waiting.append(ticket)
        self.since[ticket] = (Counter(), before)

    def leave(self, owner: str) -> None:
        mine = [ticket for ticket in self.waiting if ticket[0] == owner]
        if mine:
            assert self.queue.leave(owner, mine[-1])
            self.waiting.remove(mine[-1])
            del self.since[mine[-1]]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for ticket in self.queue.due(self.now):
            assert ticket == next(one for one in self.waiting if one[0] == ticket[0])
            seen, before = self.since.pop(ticket)
            # Its fair share: one turn of each other owner for each of its own, and one before the first.
            assert all(count <= before + 1 for who, count in seen.items() if who != ticket[0])
            self.waiting.remove(ticket)
            self.note(ticket)
        wait = self.queue.next_in(self.now)
        assert (wait is None) == (not self.waiting)
        assert wait is None or wait > 0, "somebody waits though there is room"

    def note(self, ticket: tuple[str, int]) -> None:
        self.went.append(self.now)
        for seen, _ in self.since.values():
            seen[ticket[0]] += 1


@given(requests=st.integers(10, 300), steps=STEPS)
def test_turns_are_fair_the_account_is_never_exceeded_and_nobody_starves(
    requests: int, steps: list[tuple[str, str, float]]
) -> None:
    world = World(requests)
    for number, (what, owner, seconds) in enumerate(steps):
        if what == "ask":
            world.ask(owner, number)
        else:
            world.leave(owner)
        world.pass_time(seconds)
    for _ in range(len(world.waiting)):
        wait = world.queue.next_in(world.now)
        assert wait is not None
        world.pass_time(wait + 1e-6)
    assert [] == world.waiting
    for at in world.went:
        assert sum(at <= other < at + WINDOW for other in world.went) <= requests + 1e-6

from __future__ import annotations

import asyncio

from aai_gateway.emulator.schedule import Schedule


async def test_things_fall_due_in_the_order_of_their_moments():
    rung: list[int] = []
    done = asyncio.Event()

    def due(number: int) -> None:
        rung.append(number)
        if number == 1000:
            done.set()

    schedule = Schedule(due)
    now = asyncio.get_running_loop().time()
    for number in range(1000, 0, -1):
        schedule.add(now + number / 100_000, number)
    assert [] == rung
    await asyncio.wait_for(done.wait(), 10)
    assert list(range(1, 1001)) == rung
    assert 0 == len(schedule)


async def test_what_falls_due_may_be_put_back():
    rung = asyncio.Queue[str]()
    schedule: Schedule[str] = Schedule(lambda item: again(item))

    def again(item: str) -> None:
        rung.put_nowait(item)
        if len(item) < 3:
            schedule.add(0, item + "x")

    schedule.add(0, "x")
    assert ["x", "xx", "xxx"] == [await asyncio.wait_for(rung.get(), 10) for _ in range(3)]


async def test_nothing_falls_due_once_cleared():
    rung: list[str] = []
    schedule = Schedule(rung.append)
    schedule.add(asyncio.get_running_loop().time() + 0.01, "a")
    schedule.clear()
    await asyncio.sleep(0.05)
    assert ([], 0) == (rung, len(schedule))

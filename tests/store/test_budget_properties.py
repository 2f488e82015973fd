"""Several tasks at once over several teams and keys: the counters are the sums of the rows behind them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta, timezone

import sqlalchemy as sa

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.errors import BudgetExceeded
from aai_gateway.store import Store, gateway_budget, holds, keys, teams, usage
from aai_gateway.store.holds import Hold
from aai_gateway.store.schema import usage as usage_table
from aai_gateway.store.usage import UsageRow

BEGIN = datetime(2027, 12, 30, 22, tzinfo=timezone.utc)
TASKS, ROUNDS, STEPS = 8, 20, 10
# A key may belong to a team or to none; the master key's jobs are charged to the gateway alone.
CALLERS = (("k1", "t1"), ("k2", "t1"), ("k3", "t2"), ("k4", None), (None, None))


class World:
    """The store, and what the tasks know of the jobs under way."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.now = BEGIN
        self.number = 0
        self.jobs: dict[str, Hold] = {}
        self.began: dict[str, datetime] = {}
        self.outcomes: Counter[str] = Counter()

    async def make(self) -> None:
        async with self.store.write() as connection:
            for team_id, duration in (("t1", "1d"), ("t2", "1mo")):
                budget = Budget(20_000, duration, soft_micros=10_000)
                await teams.create(connection, Team(team_id, team_id, budget=budget, created_at=self.now))
            for (key, team), limit in zip(CALLERS[:4], (9_000, None, 9_000, 9_000), strict=True):
                blank = VirtualKey(str(key), f"sk-...{key}", team_id=team, created_at=self.now)
                await keys.create(connection, blank)
                await keys.update(connection, str(key), budget=Budget(limit))
            await gateway_budget.set_limits(connection, Budget(45_000, "7d"), self.now)

    async def task(self) -> None:
        for _ in range(STEPS):
            step = self.random.choice(
                (self.place, self.place, self.place, self.settle, self.refuse, self.expire)
            )
            self.now += timedelta(milliseconds=self.random.randrange(500))
            await step()

    async def place(self) -> None:
        self.number += 1
        key, team = self.random.choice(CALLERS)
        micros = self.random.randrange(1, 3_000)
        life = timedelta(seconds=self.random.randrange(5, 2_000))
        hold = Hold(
            f"h{self.number}",
            "speech",
            Region.US,
            "x",
            micros,
            self.now + life,
            team,
            key,
            created_at=self.now,
        )
        try:
            async with self.store.write() as connection:
                room = await holds.place(connection, hold)
        except BudgetExceeded:
            self.outcomes["over"] += 1
            return
        assert room.left_micros is not None and room.left_micros >= 0
        self.jobs[hold.id] = hold
        self.outcomes["placed"] += 1

    async def settle(self) -> None:
        """Twice at once, as a poll and the settler do."""
        if self.jobs:
            job = self.random.choice(list(self.jobs.values()))
            booked = await asyncio.gather(self._settle(job), self._settle(job))
            self.outcomes["booked"] += sum(booked)
            self.jobs.pop(job.id, None)

    async def _settle(self, job: Hold) -> bool:
        row = UsageRow(
            "speech", job.id, Region.US, "x", job.micros, team_id=job.team_id, key_hash=job.key_hash,
            created_at=self.now,
        )  # fmt: skip
        async with self.store.write() as connection:
            await holds.release(connection, job.id, self.now)
            return await usage.record(connection, row)

    async def refuse(self) -> None:
        if self.jobs:
            job = self.random.choice(list(self.jobs.values()))
            self.jobs.pop(job.id)
            async with self.store.write() as connection:
                given_back = await holds.release(connection, job.id, self.now)
            self.outcomes["given back"] += given_back is not None

    async def expire(self) -> None:
        async with self.store.read() as connection:
            late = await holds.expired(connection, self.now, 3)
        for job in late:
            async with self.store.write() as connection:
                await holds.release(connection, job.id, self.now)
            self.outcomes["expired"] += 1

    async def check(self) -> None:
        async with self.store.read() as connection:
            budgets = {
                **{f"key_hash {k.hash}": k.budget for k in await keys.list_all(connection)},
                **{f"team_id {t.id}": t.budget for t in await teams.list_all(connection)},
                "gateway ": (await gateway_budget.get(connection))[0],
            }
            lifetimes = {
                **{
                    f"key_hash {name}": sum_
                    for name, sum_ in (await keys.lifetime_micros(connection)).items()
                },
                **{
                    f"team_id {name}": sum_
                    for name, sum_ in (await teams.lifetime_micros(connection)).items()
                },
                "gateway ": (await gateway_budget.get(connection))[1],
            }
            held = await holds.list_all(connection)
            columns = (
                usage_table.c.key_hash,
                usage_table.c.team_id,
                usage_table.c.created_at,
                usage_table.c.micros,
            )
            charges = list((await connection.execute(sa.select(*columns))).mappings())
        for name, stored in budgets.items():
            column, _, value = name.partition(" ")
            budget = stored.at(self.now)
            begin = self._period_begin(name, stored.resets_at, budget.resets_at)
            mine = [charge for charge in charges if column == "gateway" or charge[column] == value]
            assert budget.held_micros == sum(
                hold.micros for hold in held if column == "gateway" or getattr(hold, column) == value
            )
            assert budget.spent_micros == sum(c["micros"] for c in mine if c["created_at"] >= begin)
            assert lifetimes[name] == sum(charge["micros"] for charge in mine)

    def _period_begin(self, name: str, stored: datetime | None, current: datetime | None) -> datetime:
        """When the running period began: at the last end of one that was passed."""
        if current is None or current == self.began.get(f"{name} ends"):
            return self.began.get(name, BEGIN)
        if f"{name} ends" in self.began:
            length = {"t1": timedelta(days=1), "gateway": timedelta(days=7)}.get(name.split()[-1])
            self.began[name] = current - length if length else (current - timedelta(days=1)).replace(day=1)
        self.began[f"{name} ends"] = current
        return self.began.get(name, BEGIN)


async def test_counters_are_the_sums_of_their_rows(store: Store) -> None:
    world = World(store, 7)
    await world.make()
    await world.check()
    for number in range(ROUNDS):
        await asyncio.gather(*(world.task() for _ in range(TASKS)))
        await world.check()
        # Periods end between rounds: some at their very moment, some days ago.
        world.now += timedelta(hours=world.random.choice((1, 12, 30, 200)))
        if number % 5 == 4:
            world.now = datetime(world.now.year, world.now.month, 28, tzinfo=timezone.utc) + timedelta(days=5)
            world.now = world.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        await world.check()
    assert min(world.outcomes[name] for name in ("placed", "over", "booked", "given back", "expired")) > 20


async def test_teams_that_are_deleted_under_jobs_hold_nobody_up(store: Store) -> None:
    async with store.write() as connection:
        for number in range(8):
            await teams.create(connection, Team(f"t{number}", f"t{number}"))
            for key in range(3):
                blank = VirtualKey(f"k{number}-{key}", "sk-...0", team_id=f"t{number}")
                await keys.create(connection, blank)

    async def jobs(seed: int) -> None:
        choose = random.Random(seed)
        for number in range(20):
            team = choose.randrange(8)
            hold = Hold(
                f"h{seed}-{number}",
                "chat",
                Region.EU,
                "x",
                5,
                BEGIN,
                f"t{team}",
                f"k{team}-{choose.randrange(3)}",
            )
            async with store.write() as connection:
                await holds.place(connection, hold)
            async with store.write() as connection:
                assert await holds.release(connection, hold.id, BEGIN) is not None

    async def delete() -> None:
        for number in range(8):
            async with store.write() as connection:
                assert await teams.delete(connection, f"t{number}")

    await asyncio.gather(*(jobs(seed) for seed in range(8)), delete())
    async with store.read() as connection:
        assert [] == await teams.list_all(connection) + await keys.list_all(connection)
        assert (Budget(), 0) == await gateway_budget.get(connection)

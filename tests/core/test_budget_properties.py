"""A hundred thousand random steps of three budgets, beside books that are kept the slow and obvious way."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pytest

from aai_gateway.core.budgets import Budget, require_left
from aai_gateway.errors import BudgetExceeded

WALKS = int(os.environ.get("AAI_GATEWAY_TEST_BUDGET_WALKS", "10"))
STEPS = 10_000
BEGIN = datetime(2027, 12, 30, 22, 15, tzinfo=timezone.utc)
DAYS = {"1d": 1, "7d": 7, "30d": 30}


@dataclass
class Books:
    """One budget's truth: every charge with its moment, every hold, and when its period began."""

    budget: Budget
    began: datetime
    holds: dict[int, int] = field(default_factory=dict)
    charges: list[tuple[datetime, int]] = field(default_factory=list)
    warnings: list[datetime] = field(default_factory=list)

    def period(self, now: datetime) -> tuple[datetime, datetime | None]:
        """Begin and end of the period of `now`: from one end to the next, step by step."""
        begin, duration = self.began, self.budget.duration
        while duration is not None:
            if duration == "1mo":
                end = (begin.replace(day=1) + timedelta(days=32)).replace(
                    day=1, hour=0, minute=0, second=0, microsecond=0
                )
            else:
                end = begin + timedelta(days=DAYS[duration])
            if now < end:
                return begin, end
            begin = end
        return begin, None

    def check(self, now: datetime) -> None:
        begin, end = self.period(now)
        # Earlier ones can never count again; this also keeps the slow way bearable.
        self.charges = [charge for charge in self.charges if charge[0] >= begin]
        self.began = begin
        current = self.budget.at(now)
        assert end == current.resets_at
        assert sum(micros for _, micros in self.charges) == current.spent_micros
        assert sum(self.holds.values()) == current.held_micros
        limit, soft = current.max_micros, current.soft_micros
        if limit is not None:
            room = limit - current.spent_micros - current.held_micros
            assert max(0, room) == current.left_micros
        if current.warned:
            assert soft is not None and current.spent_micros >= soft


class World:
    """A key, its team and the gateway, and the jobs under way."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = BEGIN
        self.books = [Books(Budget(), BEGIN) for _ in range(3)]
        self.jobs: dict[int, int] = {}
        self.accepted = self.refused = 0
        for books in self.books:
            self.change_limits(books)

    def change_limits(self, books: Books) -> None:
        limit = self.random.choice([None, 0, *[self.random.randrange(50_000)] * 4])
        soft = self.random.choice([None, self.random.randrange(limit or 50_000)])
        duration = self.random.choice([None, "1d", "7d", "30d", "1mo", *[books.budget.duration] * 8])
        books.check(self.now)
        before = books.budget.at(self.now)
        books.budget = books.budget.with_limits(Budget(limit, duration, soft_micros=soft), self.now)
        if duration is not None and duration != before.duration:
            books.began, books.charges = self.now, []
        # A warning that was given stays given only while it is still true.
        assert books.budget.warned == (
            before.warned and soft is not None and books.budget.spent_micros >= soft
        )

    def step(self) -> None:
        kind = self.random.random()
        if kind < 0.45:
            self.place(self.random.randrange(2_000))
        elif kind < 0.75 and self.jobs:
            self.end(charge=True)
        elif kind < 0.9 and self.jobs:
            self.end(charge=False)
        elif kind < 0.97:
            # Mostly hours; now and then to the very end of a period, or a long sleep over several.
            self.now += timedelta(microseconds=self.random.randrange(20_000_000_000))
            if self.random.random() < 0.1:
                self.now += timedelta(days=self.random.randrange(100))
            end = self.random.choice(self.books).budget.at(self.now).resets_at
            if end is not None and self.random.random() < 0.3:
                self.now = end - timedelta(microseconds=self.random.randrange(2))
        else:
            self.change_limits(self.random.choice(self.books))

    def place(self, micros: int) -> None:
        standing = [books.budget.at(self.now) for books in self.books]
        fits = all(
            budget.max_micros is None
            or 0 < budget.max_micros - budget.spent_micros - budget.held_micros >= micros
            for budget in standing
        )
        try:
            for budget in standing:
                require_left("It", budget, self.now, micros)
        except BudgetExceeded:
            assert not fits
            self.refused += 1
            return
        assert fits
        self.accepted += 1
        number = self.accepted
        self.jobs[number] = micros
        for books, budget in zip(self.books, standing, strict=True):
            books.budget = budget.holding(micros)
            books.holds[number] = micros
            # What is let in fits, whatever was let in before.
            assert budget.max_micros is None or books.budget.left_micros is not None
            if budget.max_micros is not None:
                assert books.budget.spent_micros + books.budget.held_micros <= budget.max_micros

    def end(self, charge: bool) -> None:
        number = self.random.choice(list(self.jobs))
        micros = self.jobs.pop(number)
        for books in self.books:
            del books.holds[number]
            before = books.budget.at(self.now)
            room = (before.max_micros or 0) - before.spent_micros - before.held_micros
            books.budget = before.holding(-micros)
            if not charge:
                continue
            books.budget = books.budget.charged(micros)
            books.charges.append((self.now, micros))
            # A charge of what was held takes nothing from anybody else.
            after = books.budget
            assert room == (after.max_micros or 0) - after.spent_micros - after.held_micros
            if after.warned and not before.warned:
                books.warnings.append(self.now)
                assert after.soft_micros is not None and after.spent_micros >= after.soft_micros


@pytest.mark.parametrize("chunk", range(5))
def test_random_walks_keep_the_books(chunk: int) -> None:
    accepted = refused = warnings = 0
    for seed in range(chunk, WALKS, 5):
        world = World(seed)
        for number in range(STEPS):
            world.step()
            world.books[number % 3].check(world.now)
        accepted, refused = accepted + world.accepted, refused + world.refused
        warnings += sum(len(books.warnings) for books in world.books)
    # The walks go through what they are about.
    assert min(accepted, refused) > 100 * WALKS and warnings > 5 * WALKS

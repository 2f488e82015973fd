"""Money set aside, given back and charged: in every budget of a job, or in none."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from aai_gateway.core.budgets import Budget
from aai_gateway.core.limits import Limits
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.errors import AccountBusy, BudgetExceeded, TooManyRequests
from aai_gateway.store import Store, holds, keys, teams, usage
from aai_gateway.store.holds import Hold
from aai_gateway.store.schema import gateway_budget, notices
from aai_gateway.store.usage import UsageRow

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def hold(number: int = 1, micros: int = 100, **values: Any) -> Hold:
    return Hold(
        **{
            "id": f"hold-{number}",
            "service": "speech",
            "region": Region.US,
            "owner": "team:t",
            "team_id": "t",
            "key_hash": "k",
            "micros": micros,
            "created_at": NOW,
            "expires_at": NOW + timedelta(days=1),
            **values,
        }
    )


async def make(store: Store, team: Budget | None = None, key: Budget | None = None) -> None:
    async with store.write() as connection:
        await teams.create(connection, Team(id="t", alias="newsroom", budget=team or Budget()))
        blank = VirtualKey(hash="k", masked="sk-...1234", team_id="t", budget=key or Budget())
        await keys.create(connection, blank)


async def budgets(store: Store) -> dict[str, tuple[int, int]]:
    """What is spent and held of the team, the key and the gateway."""
    async with store.read() as connection:
        team = await teams.by_id(connection, "t")
        key = await keys.by_hash(connection, "k")
        found = await connection.execute(
            sa.select(gateway_budget.c.spent_micros, gateway_budget.c.held_micros)
        )
    assert team is not None and key is not None
    return {
        "team": (team.budget.spent_micros, team.budget.held_micros),
        "key": (key.budget.spent_micros, key.budget.held_micros),
        "gateway": tuple(found.one()),
    }


async def test_a_hold_is_set_aside_everywhere_and_given_back_once(store: Store) -> None:
    await make(store, team=Budget(max_micros=1000), key=Budget(max_micros=250))
    async with store.write() as connection:
        room = await holds.place(connection, hold(tags=("a", "b"), end_user="ann"))
    assert 150 == room.left_micros
    assert {"team": (0, 100), "key": (0, 100), "gateway": (0, 100)} == await budgets(store)
    async with store.write() as connection:
        assert hold(tags=("a", "b"), end_user="ann") == await holds.release(connection, "hold-1", NOW)
        assert await holds.release(connection, "hold-1", NOW) is None
    assert {"team": (0, 0), "key": (0, 0), "gateway": (0, 0)} == await budgets(store)


@pytest.mark.parametrize("key_hash", ["k", None])
@pytest.mark.parametrize("booked_before", [False, True])
async def test_a_taken_hold_is_given_back_with_its_charge(
    store: Store, key_hash: str | None, booked_before: bool
) -> None:
    """Also when the row is another key's than the hold, and when it was booked already."""
    await make(store, team=Budget(max_micros=1000), key=Budget(max_micros=250))
    row = UsageRow("speech", "j", Region.US, "team:t", 70, team_id="t", key_hash=key_hash, created_at=NOW)
    async with store.write() as connection:
        await holds.place(connection, hold())
        if booked_before:
            assert await usage.record(connection, row)
    async with store.write() as connection:
        held = await holds.take(connection, "hold-1")
        assert await holds.take(connection, "hold-1") is None
        assert await usage.record(connection, row, held) is not booked_before
    key = (70 if key_hash else 0, 0)
    assert {"team": (70, 0), "key": key, "gateway": (70, 0)} == await budgets(store)


async def test_a_hold_that_does_not_fit_one_budget_is_in_none(store: Store) -> None:
    await make(store, team=Budget(max_micros=99), key=Budget(max_micros=1000))
    with pytest.raises(BudgetExceeded, match="Team newsroom has spent"):
        async with store.write() as connection:
            await holds.place(connection, hold())
    assert {"team": (0, 0), "key": (0, 0), "gateway": (0, 0)} == await budgets(store)


async def test_nothing_is_let_in_once_everything_is_held_even_at_no_cost(store: Store) -> None:
    await make(store, team=Budget(max_micros=100))
    async with store.write() as connection:
        assert 0 == (await holds.place(connection, hold())).left_micros
    with pytest.raises(BudgetExceeded):
        async with store.write() as connection:
            await holds.place(connection, hold(2, micros=0))


async def test_a_second_hold_of_the_same_id_replaces_the_first(store: Store) -> None:
    await make(store, team=Budget(max_micros=150))
    async with store.write() as connection:
        await holds.place(connection, hold())
        assert 30 == (await holds.place(connection, hold(micros=120))).left_micros
    assert (0, 120) == (await budgets(store))["team"]


async def test_holds_sent_at_once_never_exceed_the_budget(store: Store) -> None:
    await make(store, team=Budget(max_micros=1000))

    async def one(number: int) -> bool:
        try:
            async with store.write() as connection:
                await holds.place(connection, hold(number))
        except BudgetExceeded:
            return False
        return True

    outcomes = await asyncio.gather(*(one(number) for number in range(200)))

    assert (10, 190) == (outcomes.count(True), outcomes.count(False))
    assert (0, 1000) == (await budgets(store))["team"]


async def test_expired_holds_are_listed_oldest_first(store: Store) -> None:
    await make(store)
    async with store.write() as connection:
        for number in (1, 2, 3):
            await holds.place(connection, hold(number, expires_at=NOW + timedelta(seconds=4 - number)))
        late = await holds.expired(connection, NOW + timedelta(seconds=2), 10)
    assert ["hold-3", "hold-2"] == [one.id for one in late]


async def test_the_soft_budget_leaves_one_notice_in_each_period(store: Store) -> None:
    start = NOW + timedelta(seconds=1)
    await make(store, team=Budget(max_micros=1000, soft_micros=150, duration="1d", resets_at=start))

    async def charge(number: int, at: datetime) -> None:
        row = UsageRow("speech", f"t{number}", Region.US, "team:t", 100, team_id="t", created_at=at)
        async with store.write() as connection:
            assert await usage.record(connection, row)

    await charge(1, NOW)
    await charge(2, NOW)
    await charge(3, NOW)
    await charge(4, start)
    await charge(5, start)
    async with store.read() as connection:
        found = (await connection.execute(sa.select(notices).order_by(notices.c.id))).mappings().all()
    assert [("team:t", NOW, 200), ("team:t", start, 200)] == [
        (row["scope"], row["created_at"], row["body"]["spent_micros"]) for row in found
    ]
    async with store.write() as connection:
        room = await holds.place(connection, hold(created_at=start))
    assert 700 == room.left_micros
    assert ("Team newsroom has spent $0.000200, past its soft budget of $0.000150.",) == room.warnings


async def test_a_team_and_key_that_are_made_again_are_given_back_what_was_held(store: Store) -> None:
    await make(store, team=Budget(max_micros=1000), key=Budget(max_micros=1000))
    async with store.write() as connection:
        await holds.place(connection, hold())
        await teams.delete(connection, "t")
    await make(store, team=Budget(max_micros=150), key=Budget(max_micros=150))
    assert {"team": (0, 100), "key": (0, 100), "gateway": (0, 100)} == await budgets(store)
    async with store.write() as connection:
        await holds.release(connection, "hold-1", NOW)
    assert {"team": (0, 0), "key": (0, 0), "gateway": (0, 0)} == await budgets(store)


async def test_a_hold_that_spans_a_reset_is_charged_to_the_new_period(store_url: str) -> None:
    reset = NOW + timedelta(hours=1)
    team = Budget(max_micros=1000, duration="1d", resets_at=reset, spent_micros=800)
    store = await Store.open(store_url)
    await make(store, team=team)
    async with store.write() as connection:
        assert 100 == (await holds.place(connection, hold())).left_micros
    await store.close()

    store = await Store.open(store_url)
    at = reset + timedelta(days=4)
    async with store.write() as connection:
        room = await holds.place(connection, hold(2, micros=300, created_at=reset))
        await holds.release(connection, "hold-1", at)
        row = UsageRow("speech", "t1", Region.US, "team:t", 100, team_id="t", key_hash="k", created_at=at)
        await usage.record(connection, row)
        found = await teams.by_id(connection, "t")
    await store.close()
    # Of 1000, in the new period: the old hold, and the new one.
    assert 600 == room.left_micros
    assert found is not None
    assert Budget(1000, "1d", 100, reset + timedelta(days=5), held_micros=300) == found.budget


async def test_a_soft_budget_that_is_raised_above_what_is_spent_warns_again(store: Store) -> None:
    await make(store, team=Budget(soft_micros=150))
    number = 0

    async def charged_notices(**changes: Any) -> int:
        nonlocal number
        number += 1
        row = UsageRow("speech", f"t{number}", Region.US, "team:t", 100, team_id="t", created_at=NOW)
        async with store.write() as connection:
            await teams.update(connection, "t", **changes)
            await usage.record(connection, row)
            found = await connection.scalar(sa.select(sa.func.count()).select_from(notices))
        return int(found or 0)

    assert [0, 1, 1] == [await charged_notices() for _ in range(3)]
    # 300 are spent.
    assert 1 == await charged_notices(budget=Budget(soft_micros=200))
    assert 2 == await charged_notices(budget=Budget(soft_micros=500))
    assert 2 == await charged_notices(spent_micros=500)
    assert 3 == await charged_notices(spent_micros=450)


async def limit(store: Store, *, key: int | None = None, team: int | None = None) -> None:
    async with store.write() as connection:
        await keys.update(connection, "k", limits=Limits(concurrent_jobs=key))
        await teams.update(connection, "t", limits=Limits(concurrent_jobs=team))


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        ({"key": 2}, "Too Many Requests: Key sk-...1234 may run 2 jobs at once."),
        ({"team": 2}, "Too Many Requests: Team newsroom may run 2 jobs at once."),
        ({"key": 5, "team": 2}, "Too Many Requests: Team newsroom may run 2 jobs at once."),
    ],
)
async def test_a_job_too_many_leaves_nothing_held_until_one_has_ended(
    store: Store, limits: dict[str, int], refusal: str
) -> None:
    await make(store)
    await limit(store, **limits)
    for number in (1, 2):
        async with store.write() as connection:
            await holds.place(connection, hold(number))
    with pytest.raises(TooManyRequests) as refused:
        async with store.write() as connection:
            await holds.place(connection, hold(3))
    assert (refusal, "10") == (refused.value.text, refused.value.headers["retry-after"])
    assert {"team": (0, 200), "key": (0, 200), "gateway": (0, 200)} == await budgets(store)
    async with store.write() as connection:
        await holds.place(connection, hold(4, service="chat"))
        await holds.release(connection, "hold-1", NOW)
        await holds.place(connection, hold(3))
        assert 2 == await holds.running_jobs(connection)


async def test_another_key_of_the_team_and_other_teams_are_not_in_the_way(store: Store) -> None:
    await make(store)
    await limit(store, key=1)
    async with store.write() as connection:
        await teams.create(connection, Team(id="other", alias="other"))
        for key_hash, team_id in (("k", "t"), (None, "t"), (None, "other"), (None, None)):
            await holds.place(connection, hold(hash((key_hash, team_id)), key_hash=key_hash, team_id=team_id))
    with pytest.raises(TooManyRequests):
        async with store.write() as connection:
            await holds.place(connection, hold(9))


async def test_the_account_is_busy_when_all_teams_together_run_its_jobs(store: Store) -> None:
    await make(store)
    async with store.write() as connection:
        await holds.place(connection, hold(1, team_id=None, key_hash=None), account_jobs=1)
        await holds.place(connection, hold(2, service="chat"), account_jobs=1)
    with pytest.raises(AccountBusy):
        async with store.write() as connection:
            await holds.place(connection, hold(3), account_jobs=1)


async def test_of_fifty_jobs_at_once_exactly_the_limit_gets_in(store: Store, store_url: str) -> None:
    await make(store)
    await limit(store, key=20, team=7)
    other = await Store.open(store_url)
    let_in: list[int] = []

    async def place(number: int) -> None:
        try:
            async with (store, other)[number % 2].write() as connection:
                await holds.place(connection, hold(number))
        except TooManyRequests:
            return
        let_in.append(number)

    await asyncio.gather(*(place(number) for number in range(50)))
    await other.close()
    assert 7 == len(let_in)
    assert {"team": (0, 700), "key": (0, 700), "gateway": (0, 700)} == await budgets(store)

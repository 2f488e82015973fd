from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.store import Store, keys, teams, usage
from aai_gateway.store.usage import SummaryRow, UsageRow

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
SPEECH = UsageRow(
    "speech",
    "j1",
    Region.EU,
    "team:t1",
    19_733,
    items=({"name": "universal-2", "usd_per_hour": "0.15", "micros": 19_733},),
    team_id="t1",
    key_hash="k1",
    model="universal-2",
    audio_seconds=282,
    channels=2,
    tags=("demo", "Köln"),
    end_user="ada",
    created_at=NOON,
)
CHAT = UsageRow(
    "chat",
    "c1",
    Region.US,
    "team:t1",
    4_100,
    items=({"name": "input", "usd_per_1m_tokens": "3.00", "micros": 4_100},),
    team_id="t1",
    key_hash="k1",
    model="claude-sonnet-4-6",
    priced_as="claude-sonnet-4-5",
    prompt_tokens=900,
    completion_tokens=60,
    created_at=NOON + timedelta(days=1),
)


@pytest.fixture
async def store(store: Store) -> Store:
    budget = Budget(1_000_000, "1d", 0, NOON + timedelta(hours=12))
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "research", budget=budget))
        await keys.create(connection, VirtualKey("k1", "sk-...aaaa", team_id="t1"))
    return store


async def book(store: Store, *rows: UsageRow) -> list[bool]:
    async with store.write() as connection:
        return [await usage.record(connection, row) for row in rows]


async def budgets(store: Store) -> tuple[Budget, Budget]:
    async with store.read() as connection:
        key, team = await keys.with_team(connection, "k1")
    return key.budget, team.budget


async def test_a_row_comes_back_as_it_was_given(store: Store) -> None:
    assert [True, True] == await book(store, SPEECH, CHAT)

    async with store.read() as connection:
        assert [replace(CHAT, id=2), replace(SPEECH, id=1)] == await usage.list_rows(connection)


async def test_a_job_is_booked_and_charged_once(store: Store) -> None:
    again = replace(SPEECH, micros=1, created_at=NOON + timedelta(hours=1))

    assert [True, False] == await book(store, SPEECH, again)
    assert [False] == await book(store, again)
    assert [19_733, 19_733] == [budget.spent_micros for budget in await budgets(store)]
    async with store.read() as connection:
        assert [replace(SPEECH, id=1)] == await usage.list_rows(connection)


async def test_a_job_settled_by_two_at_once_is_charged_once(store: Store) -> None:
    booked = await asyncio.gather(*(book(store, SPEECH) for _ in range(6)))

    assert [[False]] * 5 + [[True]] == sorted(booked)
    assert [19_733, 19_733] == [budget.spent_micros for budget in await budgets(store)]


async def test_the_same_id_in_the_other_region_or_service_is_another_job(store: Store) -> None:
    elsewhere = replace(SPEECH, region=Region.US)

    assert [True, True, True] == await book(store, SPEECH, elsewhere, replace(elsewhere, service="chat"))


async def test_a_failed_job_costs_nothing_and_is_in_the_ledger(store: Store) -> None:
    await book(store, replace(SPEECH, micros=0, status="error", items=(), audio_seconds=0))

    assert [0, 0] == [budget.spent_micros for budget in await budgets(store)]
    async with store.read() as connection:
        assert ["error"] == [row.status for row in await usage.list_rows(connection)]


async def test_a_budget_resets_when_its_period_has_ended_and_the_lifetime_sum_does_not(store: Store) -> None:
    evening = replace(SPEECH, source_id="j2", created_at=NOON + timedelta(hours=11))
    two_days_on = replace(SPEECH, source_id="j3", micros=5, created_at=NOON + timedelta(days=2))
    await book(store, SPEECH, evening)
    assert 2 * 19_733 == (await budgets(store))[1].spent_micros

    await book(store, two_days_on)
    key, team = await budgets(store)
    assert Budget(1_000_000, "1d", 5, NOON + timedelta(days=2, hours=12)) == team
    assert Budget(None, None, 2 * 19_733 + 5, None) == key
    async with store.read() as connection:
        assert {"t1": 2 * 19_733 + 5} == await teams.lifetime_micros(connection)
        assert {"k1": 2 * 19_733 + 5} == await keys.lifetime_micros(connection)


async def test_usage_of_nobody_we_know_is_booked(store: Store) -> None:
    stranger = replace(SPEECH, team_id="t9", key_hash="k9")
    master = replace(SPEECH, source_id="j2", owner="master", team_id=None, key_hash=None)

    assert [True, True] == await book(store, stranger, master)
    assert [0, 0] == [budget.spent_micros for budget in await budgets(store)]


async def test_usage_is_undone_with_its_charge(store: Store) -> None:
    async def book_and_fail() -> None:
        async with store.write() as connection:
            await usage.record(connection, SPEECH)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await book_and_fail()

    assert [0, 0] == [budget.spent_micros for budget in await budgets(store)]
    assert [True] == await book(store, SPEECH)


async def test_rows_are_listed_newest_first_page_by_page(store: Store) -> None:
    same_moment = [replace(SPEECH, source_id=f"j{number}") for number in range(5)]
    await book(store, *same_moment, replace(SPEECH, source_id="old", created_at=NOON - timedelta(1)))

    pages, before = [], None
    async with store.read() as connection:
        while rows := await usage.list_rows(connection, limit=2, before=before):
            pages.append([row.source_id for row in rows])
            before = rows[-1].id
    assert [["j4", "j3"], ["j2", "j1"], ["j0", "old"]] == pages


async def test_rows_are_listed_by_team_key_and_time(store: Store) -> None:
    other = replace(CHAT, source_id="c2", team_id="t2", key_hash="k2")
    await book(store, SPEECH, CHAT, other)

    async def listed(**options: object) -> list[str]:
        async with store.read() as connection:
            return [row.source_id for row in await usage.list_rows(connection, **options)]

    assert ["c1", "j1"] == await listed(team_id="t1")
    assert ["c2"] == await listed(key_hash="k2")
    assert ["c2", "c1"] == await listed(since=CHAT.created_at)
    assert ["j1"] == await listed(until=CHAT.created_at)
    assert [] == await listed(team_id="t1", key_hash="k2")


async def test_sums_are_by_any_columns(store: Store) -> None:
    longer = replace(SPEECH, source_id="j2", micros=267, audio_seconds=3_000)
    keyless = replace(CHAT, source_id="c2", team_id=None, key_hash=None)
    await book(store, SPEECH, longer, CHAT, keyless)

    async with store.read() as connection:
        assert [
            SummaryRow({"team_id": "t1", "service": "chat"}, 4_100, 1, 0, 900, 60),
            SummaryRow({"team_id": "t1", "service": "speech"}, 20_000, 2, 3_282, 0, 0),
            SummaryRow({"team_id": None, "service": "chat"}, 4_100, 1, 0, 900, 60),
        ] == await usage.summary(connection, ("team_id", "service"))
        assert [
            SummaryRow({"day": "2026-11-21"}, 20_000, 2, 3_282, 0, 0),
            SummaryRow({"day": "2026-11-22"}, 4_100, 1, 0, 900, 60),
        ] == await usage.summary(connection, ("day",), team_id="t1")
        assert ["claude-sonnet-4-6"] == [
            row.keys["model"] for row in await usage.summary(connection, ("model",), since=CHAT.created_at)
        ]


async def test_the_total_is_whole_even_of_nothing(store: Store) -> None:
    async with store.read() as connection:
        assert SummaryRow({}, 0, 0, 0, 0, 0) == await usage.total(connection)
    await book(store, SPEECH, CHAT)

    async with store.read() as connection:
        assert SummaryRow({}, 23_833, 2, 282, 900, 60) == await usage.total(connection)
        assert SummaryRow({}, 4_100, 1, 0, 900, 60) == await usage.total(connection, since=CHAT.created_at)
        assert SummaryRow({}, 0, 0, 0, 0, 0) == await usage.total(connection, key_hash="k2")


async def test_more_than_32_bits_of_micro_dollars_fit(store: Store) -> None:
    await book(store, replace(SPEECH, micros=9_000_000_000_000_000), replace(CHAT, micros=1))

    async with store.read() as connection:
        assert 9_000_000_000_000_001 == (await usage.total(connection)).micros


async def test_the_day_is_the_day_in_utc(store: Store) -> None:
    tokyo = datetime(2026, 11, 22, 8, tzinfo=timezone(timedelta(hours=9)))
    await book(store, replace(SPEECH, created_at=tokyo))

    async with store.read() as connection:
        assert ["2026-11-21"] == [row.keys["day"] for row in await usage.summary(connection, ("day",))]

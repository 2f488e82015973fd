from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import astuple, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import get_args

import pytest
from random_usage import UNKNOWN, item, random_rows

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.store import Store, keys, teams, usage, usage_lines
from aai_gateway.store.usage import SummaryRow, UsageFilter, UsageRow
from aai_gateway.store.usage_lines import Flagged, UnknownCompletions

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


SPEECH = UsageRow(
    "speech",
    "j1",
    Region.EU,
    "team:t1",
    19_733,
    items=(item("universal-2", 564, "second", "0.126", 19_733),),
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
    3_600,
    items=(item("input", 900, "token", "3.00", 2_700), item("output", 60, "token", "15.00", 900)),
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

    pages, last = [], None
    async with store.read() as connection:
        while rows := await usage.list_rows(connection, limit=2, after=last):
            pages.append([row.source_id for row in rows])
            last = rows[-1]
        oldest = await usage.list_rows(connection, limit=2, oldest_first=True)
        then = await usage.list_rows(connection, limit=9, oldest_first=True, after=oldest[-1])
    assert [["j4", "j3"], ["j2", "j1"], ["j0", "old"]] == pages
    assert ["old", "j0", "j1", "j2", "j3", "j4"] == [row.source_id for row in (*oldest, *then)]


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, [3, 3, 1]), (6, [3, 3]), (7, [3, 3, 1]), (2, [2]), (0, [])]
)
async def test_all_rows_come_in_pages(
    store: Store, monkeypatch: pytest.MonkeyPatch, limit: int | None, expected: list[int]
) -> None:
    monkeypatch.setattr(usage, "PAGE", 3)
    await book(store, *(replace(SPEECH, source_id=f"j{number}") for number in range(7)))

    async with store.read() as connection:
        pages = [page async for page in usage.pages(connection, limit=limit, oldest_first=True)]

    assert expected == [len(page) for page in pages]
    assert [f"j{number}" for number in range(sum(expected))] == [
        row.source_id for page in pages for row in page
    ]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (UsageFilter(), ["c2", "c1", "j1"]),
        (UsageFilter(team_id="t1"), ["c1", "j1"]),
        (UsageFilter(no_team=True), ["c2"]),
        (UsageFilter(key_hash="k2"), ["c2"]),
        (UsageFilter(team_id="t1", key_hash="k2"), []),
        (UsageFilter(since=CHAT.created_at), ["c2", "c1"]),
        (UsageFilter(until=CHAT.created_at), ["j1"]),
        (UsageFilter(service="speech"), ["j1"]),
        (UsageFilter(region=Region.US), ["c2", "c1"]),
        (UsageFilter(model="universal-2"), ["j1"]),
        (UsageFilter(tag="Köln"), ["j1"]),
        (UsageFilter(tag="demo"), ["c2", "j1"]),
        (UsageFilter(tag="Köl"), []),
        (UsageFilter(end_user="ada"), ["j1"]),
    ],
)
async def test_every_question_takes_the_same_filter(
    store: Store, where: UsageFilter, expected: list[str]
) -> None:
    await book(
        store, SPEECH, CHAT, replace(CHAT, source_id="c2", team_id=None, key_hash="k2", tags=("demo",))
    )

    async with store.read() as connection:
        rows = await usage.list_rows(connection, where)
        assert expected == [row.source_id for row in rows]
        assert sum(row.micros for row in rows) == (await usage.total(connection, where)).micros
        assert len(rows) == sum(row.jobs for row in await usage.summary(connection, ("model",), where))
        lines = await usage_lines.line_sums(connection, where)
        assert sum(row.micros for row in rows) == sum(line.micros for line in lines)


async def test_sums_are_by_any_columns(store: Store) -> None:
    longer = replace(SPEECH, source_id="j2", micros=267, audio_seconds=3_000)
    keyless = replace(CHAT, source_id="c2", team_id=None, key_hash=None)
    await book(store, SPEECH, longer, CHAT, keyless)

    async with store.read() as connection:
        assert [
            SummaryRow({"team_id": "t1", "service": "chat"}, 3_600, 1, 0, 900, 60, flagged=1),
            SummaryRow({"team_id": "t1", "service": "speech"}, 20_000, 2, 3_282, 0, 0),
            SummaryRow({"team_id": None, "service": "chat"}, 3_600, 1, 0, 900, 60, flagged=1),
        ] == await usage.summary(connection, ("team_id", "service"))
        assert [
            SummaryRow({"day": "2026-11-21"}, 20_000, 2, 3_282, 0, 0),
            SummaryRow({"day": "2026-11-22"}, 3_600, 1, 0, 900, 60, flagged=1),
        ] == await usage.summary(connection, ("day",), UsageFilter(team_id="t1"))
        assert ["claude-sonnet-4-6"] == [
            row.keys["model"]
            for row in await usage.summary(connection, ("model",), UsageFilter(since=CHAT.created_at))
        ]


async def test_the_total_is_whole_even_of_nothing(store: Store) -> None:
    async with store.read() as connection:
        assert SummaryRow({}, 0, 0, 0, 0, 0) == await usage.total(connection)
    await book(store, SPEECH, CHAT)

    async with store.read() as connection:
        assert SummaryRow({}, 23_333, 2, 282, 900, 60, flagged=1) == await usage.total(connection)
        assert SummaryRow({}, 3_600, 1, 0, 900, 60, flagged=1) == await usage.total(
            connection, UsageFilter(since=CHAT.created_at)
        )
        assert SummaryRow({}, 0, 0, 0, 0, 0) == await usage.total(connection, UsageFilter(key_hash="k2"))


async def test_more_than_32_bits_of_micro_dollars_fit(store: Store) -> None:
    await book(store, replace(SPEECH, micros=9_000_000_000_000_000), replace(CHAT, micros=1))

    async with store.read() as connection:
        assert 9_000_000_000_000_001 == (await usage.total(connection)).micros


async def test_the_day_is_the_day_in_utc(store: Store) -> None:
    tokyo = datetime(2026, 11, 22, 8, tzinfo=timezone(timedelta(hours=9)))
    await book(store, replace(SPEECH, created_at=tokyo))

    async with store.read() as connection:
        assert ["2026-11-21"] == [row.keys["day"] for row in await usage.summary(connection, ("day",))]


async def test_sums_by_tag_count_a_row_under_each_of_its_tags_and_the_total_once(store: Store) -> None:
    await book(store, SPEECH, CHAT, replace(CHAT, source_id="c2", tags=("demo",)))

    async with store.read() as connection:
        rows = await usage.summary(connection, ("tag",))
        assert [("Köln", 19_733, 1), ("demo", 23_333, 2), (None, 3_600, 1)] == [
            (row.keys["tag"], row.micros, row.jobs) for row in rows
        ]
        assert 26_933 == (await usage.total(connection)).micros


async def test_a_completion_that_was_unknown_gets_the_tags_of_its_answer(store: Store) -> None:
    lost = replace(CHAT, status="unknown", micros=0, items=(UNKNOWN,), tags=("lost",))
    assert [True, True] == await book(store, lost, replace(CHAT, tags=("found",)))

    async with store.read() as connection:
        assert ["found"] == [row.keys["tag"] for row in await usage.summary(connection, ("tag",))]


async def test_failed_flagged_and_unknown_rows_are_counted(store: Store) -> None:
    failed = replace(SPEECH, source_id="j2", status="error", micros=0, items=())
    unknown = replace(CHAT, source_id="c2", status="unknown", micros=0, items=(UNKNOWN,), priced_as=None)
    await book(store, SPEECH, failed, CHAT, unknown, replace(unknown, source_id="c3", region=Region.EU))

    async with store.read() as connection:
        total = await usage.total(connection)
        assert (5, 1, 1, 2) == (total.jobs, total.failed, total.flagged, total.unknown)
        assert UnknownCompletions(2, 6_000_000_000) == await usage_lines.unknown_completions(connection)
        eu = UsageFilter(region=Region.EU)
        assert UnknownCompletions(1, 3_000_000_000) == await usage_lines.unknown_completions(connection, eu)
        none = UsageFilter(team_id="t2")
        assert UnknownCompletions(0, 0) == await usage_lines.unknown_completions(connection, none)
        assert 23_333 == sum(line.micros for line in await usage_lines.line_sums(connection))


async def test_line_items_are_summed_at_each_price(store: Store) -> None:
    longer = replace(
        SPEECH,
        source_id="j2",
        micros=4,
        items=(
            item("universal-2", 100, "second", "0.12600", 3),
            item("summarization", 100, "second", "3E-2", 1),
        ),
    )
    dearer = replace(SPEECH, source_id="j3", micros=9, items=(item("universal-2", 10, "second", "0.21", 9),))
    await book(
        store, SPEECH, longer, dearer, replace(SPEECH, source_id="j4", status="error", micros=0, items=())
    )

    async with store.read() as connection:
        assert [
            ("summarization", Decimal("0.03"), 100, 1, 1),
            ("universal-2", Decimal("0.126"), 664, 19_736, 2),
            ("universal-2", Decimal("0.21"), 10, 9, 1),
        ] == [
            (line.name, line.unit_price, line.quantity, line.micros, line.count)
            for line in await usage_lines.line_sums(connection)
        ]


async def test_what_was_charged_at_the_fallback_price_is_known_by_line(store: Store) -> None:
    known = item("universal-2", 3600, "second", "0.15", 150_000)
    stranger = item("clairvoyance", 3600, "second", "0.99", 990_000, fallback=True)
    odd = replace(SPEECH, items=(known, stranger), micros=1_140_000, priced_as="fallback")
    later = replace(odd, source_id="j2", created_at=NOON + timedelta(hours=1))
    unpriced = replace(SPEECH, source_id="j3", micros=0, items=(), model="unknown", priced_as="unpriced")
    old = replace(CHAT, micros=2_700, items=CHAT.items[:1])
    await book(store, odd, later, unpriced, old, replace(SPEECH, source_id="j4"))

    async with store.read() as connection:
        assert [
            Flagged(
                "speech",
                "universal-2",
                "clairvoyance",
                "fallback",
                2,
                1_980_000,
                NOON,
                NOON + timedelta(hours=1),
            ),
            Flagged("chat", CHAT.model, "input", CHAT.priced_as, 1, 2_700, CHAT.created_at, CHAT.created_at),
            Flagged("speech", "unknown", None, "unpriced", 1, 0, NOON, NOON),
        ] == await usage_lines.flagged(connection)
        assert [] == await usage_lines.flagged(connection, UsageFilter(until=NOON))


async def test_a_snapshot_sees_one_moment(store: Store) -> None:
    await book(store, SPEECH)

    async with store.snapshot() as connection:
        assert 1 == (await usage.total(connection)).jobs
        await book(store, CHAT)
        assert 1 == (await usage.total(connection)).jobs
        assert 1 == len(await usage.list_rows(connection))
    async with store.snapshot() as connection:
        assert 2 == (await usage.total(connection)).jobs


def group_values(row: UsageRow, group: str) -> tuple[str | None, ...]:
    """Under what a row counts, worked out without a database."""
    if group == "tag":
        return row.tags or (None,)
    if group in ("day", "month"):
        return (f"{row.created_at:%Y-%m-%d}"[: 10 if group == "day" else 7],)
    return (row.region.value if group == "region" else getattr(row, group),)


def brute_force(rows: list[UsageRow], by: tuple[str, ...]) -> dict[tuple[str | None, ...], tuple[int, ...]]:
    sums: dict[tuple[str | None, ...], list[int]] = {}
    for row in rows:
        for key in itertools.product(*(group_values(row, group) for group in by)):
            found = sums.setdefault(key, [0] * 8)
            values = (row.micros, 1, row.audio_seconds, row.prompt_tokens, row.completion_tokens)
            marks = (row.status == "error", row.priced_as is not None, row.status == "unknown")
            sums[key] = [a + b for a, b in zip(found, (*values, *marks), strict=True)]
    return {key: tuple(found) for key, found in sums.items()}


def as_tuples(rows: list[SummaryRow]) -> dict[tuple[str | None, ...], tuple[int, ...]]:
    found = {tuple(row.keys.values()): astuple(row)[1:] for row in rows}
    assert len(found) == len(rows)
    return found


GROUPS = get_args(usage.Group)


@pytest.mark.parametrize("seed", range(3))
async def test_sums_of_random_rows_are_those_of_brute_force(store: Store, seed: int) -> None:
    rows = random_rows(seed, 150)
    await book(store, *rows)
    chance = random.Random(seed)
    groupings = [(one,) for one in GROUPS] + [tuple(chance.sample(GROUPS, 3)) for _ in range(8)]
    team = UsageFilter(team_id="t2", since=NOON)
    teams_rows = [row for row in rows if row.team_id == "t2" and row.created_at >= NOON]

    async with store.read() as connection:
        for by in groupings:
            assert brute_force(rows, by) == as_tuples(await usage.summary(connection, by))
            assert brute_force(teams_rows, by) == as_tuples(await usage.summary(connection, by, team))
        total = await usage.total(connection)
        lines = await usage_lines.line_sums(connection)
        by_team = await usage.summary(connection, ("team_id",))
    assert brute_force(rows, ())[()] == astuple(total)[1:]
    assert total.micros == sum(line.micros for line in lines) == sum(row.micros for row in by_team)

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from query_plans import explained
from random_usage import NOON, random_rows

from aai_gateway.core.regions import Region
from aai_gateway.core.rollups import NO_TEAM
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.store import Store, completion_lines, keys, teams, usage
from aai_gateway.store.completion_lines import Line, Wanted

ROWS = [
    replace(row, service="understanding") if row.service == "chat" and number % 5 == 0 else row
    for number, row in enumerate(random_rows(8, 240))
]


@pytest.fixture
async def filled(store: Store) -> Store:
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "research"))
        await keys.create(connection, VirtualKey("k1", "sk-...aaaa", alias="laptop", team_id="t1"))
        await keys.create(connection, VirtualKey("k2", "sk-...bbbb", team_id="t1"))
        for row in ROWS:
            await usage.record(connection, row)
    return store


def expected(wanted: Wanted) -> list[str]:
    def meant(row: UsageRow) -> bool:
        equal = (
            (wanted.team_id, row.team_id or NO_TEAM),
            (wanted.key_hash, row.key_hash),
            (wanted.service, row.service),
            (wanted.region, row.region),
            (wanted.model, row.model),
        )
        day = row.created_at.date()
        return (
            row.service != "speech"
            and all(asked in (None, value) for asked, value in equal)
            and (wanted.since is None or day >= wanted.since)
            and (wanted.until is None or day < wanted.until)
        )

    found = [(row.created_at, number, row.source_id) for number, row in enumerate(ROWS) if meant(row)]
    return [source_id for _, _, source_id in sorted(found, reverse=True)]


async def walk(store: Store, wanted: Wanted, limit: int) -> tuple[list[Line], list[Line]]:
    """All lines, from the newest to the oldest, and all back again but for those of the last page."""
    down: list[Line] = []
    up: list[Line] = []
    async with store.read() as connection:
        page = await completion_lines.page(connection, wanted, limit)
        assert page.newer is None
        down += page.lines
        while page.older is not None:
            page = await completion_lines.page(connection, wanted, limit, before=page.older)
            down += page.lines
        while page.newer is not None:
            page = await completion_lines.page(connection, wanted, limit, after=page.newer)
            up = [*page.lines, *up]
    return down, up


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("t1"),
        Wanted(NO_TEAM),
        Wanted(key_hash="k1"),
        Wanted("t1", "k2"),
        Wanted("t1", service="understanding"),
        Wanted("t1", region=Region.EU),
        Wanted("t1", model="claude"),
        Wanted("t2", model="gpt-5", since=NOON.date() - timedelta(days=9), until=NOON.date()),
        Wanted("t1", until=date(2026, 11, 11)),
        Wanted("t1", model="nobody's"),
        Wanted("t9"),
    ],
)
async def test_pages_show_what_is_wanted_both_ways(filled: Store, wanted: Wanted) -> None:
    down, up = await walk(filled, wanted, 4)
    ids = [line.row.source_id for line in down]
    assert expected(wanted) == ids
    assert [line.row.source_id for line in up] == ids[: len(up)]
    assert len(ids) - len(up) <= 4


async def test_a_line_has_its_row_and_names(filled: Store) -> None:
    async with filled.read() as connection:
        line, *_ = (await completion_lines.page(connection, Wanted("t1", "k1"), 1)).lines
        row = await usage.get(connection, line.row.service, line.row.region, line.row.source_id)
    assert ("research", "laptop") == (line.team, line.key)
    assert row == line.row


def test_everybodys_are_not_listed() -> None:
    with pytest.raises(ValueError, match="of a team or of a key"):
        Wanted()


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted("t1"), "ix_usage_team_id_service_created_at_id (team_id=? AND service=?"),
        (Wanted(NO_TEAM), "ix_usage_team_id_service_created_at_id (team_id=? AND service=?"),
        (Wanted("t1", "k1", model="claude"), "ix_usage_key_hash_service_created_at_id (key_hash=?"),
    ],
)
async def test_listing_reads_an_index_and_sorts_nothing(tmp_path: Path, wanted: Wanted, index: str) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    async with store.write() as connection:
        for number in range(3):
            row = replace(ROWS[0], service="chat", source_id=f"c{number}", team_id="t1", key_hash="k1")
            await usage.record(connection, replace(row, model="claude"))
    async with store.read() as connection:
        plans = explained(connection)
        page = await completion_lines.page(connection, wanted, 1)
        await completion_lines.page(connection, wanted, 1, before=page.older)
        read = [plan for plan in plans if " usage " in plan]
        assert read
        assert [] == [plan for plan in read if index not in plan]
        assert [] == [plan for plan in plans if "TEMP B-TREE" in plan or "SCAN usage" in plan]
    await store.close()

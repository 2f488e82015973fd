from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from query_plans import explained

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, keys, teams, transcript_lines, transcripts, usage
from aai_gateway.store.transcript_lines import Wanted
from aai_gateway.store.transcripts import Transcript

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
JOB = Transcript("", Region.EU, "team:t1", "https://example.com/a.mp3", team_id="t1", created_at=NOON)
ITEMS = (
    {"name": "best", "quantity": 9, "unit": "second", "unit_price": "0.02", "micros": 40},
    {"name": "entity_detection", "quantity": 9, "unit": "second", "unit_price": "0.001", "micros": 2},
)
BOOKED = usage.UsageRow(
    "speech", "j0", Region.EU, "team:t1", 42, ITEMS, model="best", audio_seconds=9, team_id="t1"
)


@pytest.fixture
async def filled(store: Store) -> Store:
    """j0 to j5, a day apart, of two regions, teams, keys and statuses in turn; j0 is booked."""
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "research"))
        await keys.create(connection, VirtualKey("k1", "sk-...aaaa", alias="laptop", team_id="t1"))
        await keys.create(connection, VirtualKey("k2", "sk-...bbbb", team_id="t1"))
        for number in range(6):
            job = replace(
                JOB,
                id=f"j{number}",
                region=Region.US if number % 2 else Region.EU,
                owner="team:t1" if number < 4 else "team:t2",
                key_hash=f"k{1 + number % 2}",
                status=("completed", "completed", "queued", "error", "error", "processing")[number],
                settled_at=NOON if number in (0, 3) else None,
                created_at=NOON + timedelta(days=number),
            )
            await transcripts.record(connection, job)
        await transcripts.mark_deleted(connection, Region.EU, "j0", NOON)
        await usage.record(connection, BOOKED)
    return store


async def page(store: Store, wanted: Wanted, limit: int = 10, **places: str) -> tuple[str, bool, bool]:
    async with store.read() as connection:
        at = {name: await transcript_lines.place_of(connection, id_) for name, id_ in places.items()}
        found = await transcript_lines.page(connection, wanted, limit, **at)
    ids = [line.transcript.id for line in found.lines]
    if found.older is not None:
        assert found.lines[-1].place == found.older
    if found.newer is not None:
        assert found.lines[0].place == found.newer
    return " ".join(ids), found.older is not None, found.newer is not None


async def ids(store: Store, wanted: Wanted) -> str:
    return (await page(store, wanted))[0]


async def test_regions_are_listed_together_newest_first(filled: Store) -> None:
    everything = Wanted()
    assert ("j5 j4 j3 j2 j1 j0", False, False) == await page(filled, everything)
    assert ("j5 j4", True, False) == await page(filled, everything, 2)
    assert ("j3 j2", True, True) == await page(filled, everything, 2, before="j4")
    assert ("j1 j0", False, True) == await page(filled, everything, 2, before="j2")
    assert ("", False, False) == await page(filled, everything, before="j0")
    with pytest.raises(StoreError, match="no transcript j9"):
        await page(filled, everything, before="j9")


async def test_a_list_goes_back_to_what_is_newer(filled: Store) -> None:
    everything = Wanted()
    assert ("j3 j2", True, True) == await page(filled, everything, 2, after="j1")
    assert ("j5 j4", True, False) == await page(filled, everything, 2, after="j3")
    assert ("j5", True, False) == await page(filled, everything, 2, after="j4")
    assert ("j4 j3 j2", True, True) == await page(filled, everything, after="j1", before="j5")
    first_days = Wanted(until=date(2026, 11, 23))
    assert ("j1", True, False) == await page(filled, first_days, 2, after="j0")


async def test_filters_narrow_the_list(filled: Store) -> None:
    assert "j3 j2 j1 j0" == await ids(filled, Wanted(owner="team:t1"))
    assert "j5 j3 j1" == await ids(filled, Wanted(key_hash="k2"))
    assert "j3 j1" == await ids(filled, Wanted(owner="team:t1", key_hash="k2"))
    assert "j4 j2 j0" == await ids(filled, Wanted(region=Region.EU))
    assert "j1" == await ids(filled, Wanted(since=date(2026, 11, 22), until=date(2026, 11, 23)))
    assert "j5 j4" == await ids(filled, Wanted(since=date(2026, 11, 25)))
    assert "" == await ids(filled, Wanted(since=date(2026, 11, 23), until=date(2026, 11, 22)))


@pytest.mark.parametrize("owner", [None, "team:t1", "team:t2"])
@pytest.mark.parametrize("key_hash", [None, "k1"])
async def test_each_state_finds_its_own(filled: Store, owner: str | None, key_hash: str | None) -> None:
    expected = {
        "queued": {"j2"},
        "processing": {"j5"},
        "completed": {"j0", "j1"},
        "error": {"j3", "j4"},
        "deleted": {"j0"},
        "unsettled": {"j1", "j2", "j4", "j5"},
        "deleting": set(),
    }
    mine = set((await ids(filled, Wanted(owner, key_hash))).split())
    for state, those in expected.items():
        assert those & mine == set((await ids(filled, Wanted(owner, key_hash, state=state))).split())


async def test_a_line_has_names_and_what_the_ledger_knows(filled: Store) -> None:
    async with filled.read() as connection:
        *_, unbooked, booked = (await transcript_lines.page(connection, Wanted(), 10)).lines
    assert ("research", "laptop") == (booked.team, booked.key)
    assert booked.booked is not None
    assert replace(BOOKED, id=1) == booked.booked
    assert ("sk-...bbbb", None) == (unbooked.key, unbooked.booked)


async def test_pages_go_through_all(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_lines, "PAGE", 2)
    async with filled.read() as connection:
        for limit, expected in ((None, [2, 2, 2]), (5, [2, 2, 1]), (0, [])):
            found = transcript_lines.pages(connection, Wanted(), limit)
            assert expected == [len(page.lines) async for page in found]


OWNERS, KEYS = Wanted(owner="team:t1"), Wanted(owner="team:t1", key_hash="k1")


@pytest.fixture
async def one_job(tmp_path: Path) -> AsyncIterator[Store]:
    """A store in SQLite, whose plans can be read, with one job."""
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    async with store.write() as connection:
        await transcripts.record(connection, replace(JOB, id="j1"))
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (OWNERS, "ix_transcripts_region_owner_created_at_seq (region=? AND owner=?"),
        (KEYS, "ix_transcripts_region_key_hash_created_at_seq (region=? AND key_hash=?"),
        (Wanted(), "ix_transcripts_region_created_at_seq (region=?"),
        (replace(OWNERS, state="error"), "ix_transcripts_region_owner_status_created_at_seq"),
        (replace(KEYS, state="completed"), "ix_transcripts_region_key_hash_status_created_at_seq"),
        (Wanted(state="completed"), "ix_transcripts_region_created_at_seq (region=?"),
        (Wanted(state="error"), "ix_transcripts_failed (region=?"),
        (replace(OWNERS, state="deleted"), "ix_transcripts_deleted_of_owner (region=? AND owner=?"),
        (Wanted(state="deleted"), "ix_transcripts_deleted (region=?"),
        (replace(KEYS, state="unsettled"), "ix_transcripts_unsettled_latest (region=?"),
        (Wanted(state="queued"), "ix_transcripts_unsettled_latest (region=?"),
    ],
)
@pytest.mark.parametrize("since", [None, date(2026, 11, 1)])
async def test_listing_reads_an_index_and_sorts_nothing(
    one_job: Store, wanted: Wanted, index: str, since: date | None
) -> None:
    async with one_job.read() as connection:
        place = await transcript_lines.place_of(connection, "j1")
        for places in ({}, {"before": place}, {"after": replace(place, seq=0)}):
            plans = explained(connection)
            await transcript_lines.page(connection, replace(wanted, since=since), 10, **places)
            read = [plan for plan in plans if " transcripts " in plan]
            assert [] == [plan for plan in read if index not in plan]
            assert read
            assert [] == [plan for plan in plans if "TEMP B-TREE" in plan]
            assert [] == [plan for plan in plans if "SCAN" in plan and "CONSTANT ROW" not in plan]
            if since is not None or places:
                assert [] == [plan for plan in read if "created_at" not in plan]

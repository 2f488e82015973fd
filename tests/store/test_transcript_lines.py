from __future__ import annotations

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
                status="completed" if number < 3 else "error",
                created_at=NOON + timedelta(days=number),
            )
            await transcripts.record(connection, job)
        booked = {"model": "best", "audio_seconds": 9, "team_id": "t1"}
        await usage.record(connection, usage.UsageRow("speech", "j0", Region.EU, "team:t1", 42, **booked))
    return store


async def ids(store: Store, wanted: Wanted = Wanted(), limit: int = 10, before: str | None = None) -> str:  # noqa: B008
    async with store.read() as connection:
        place = None if before is None else await transcript_lines.place_of(connection, before)
        found = await transcript_lines.newest(connection, wanted, limit, place)
    return " ".join(line.transcript.id for line in found)


async def test_regions_are_listed_together_newest_first(filled: Store) -> None:
    assert "j5 j4 j3 j2 j1 j0" == await ids(filled)
    assert "j5 j4" == await ids(filled, limit=2)
    assert "j3 j2" == await ids(filled, limit=2, before="j4")
    assert "" == await ids(filled, before="j0")
    with pytest.raises(StoreError, match="no transcript j9"):
        await ids(filled, before="j9")


async def test_filters_narrow_the_list(filled: Store) -> None:
    assert "j3 j2 j1 j0" == await ids(filled, Wanted(owner="team:t1"))
    assert "j5 j3 j1" == await ids(filled, Wanted(key_hash="k2"))
    assert "j4 j2 j0" == await ids(filled, Wanted(region=Region.EU))
    assert "j5 j4 j3" == await ids(filled, Wanted(status="error"))
    assert "j1" == await ids(filled, Wanted(created_on=date(2026, 11, 22)))
    assert "" == await ids(filled, Wanted(deleting=True))


async def test_a_line_has_names_and_what_the_ledger_knows(filled: Store) -> None:
    async with filled.read() as connection:
        *_, unbooked, booked = await transcript_lines.newest(connection, Wanted(), 10)
    assert ("research", "laptop", "best", 9, 42) == (
        *(booked.team, booked.key),
        *(booked.model, booked.audio_seconds, booked.micros),
    )
    assert ("sk-...bbbb", None, None) == (unbooked.key, unbooked.model, unbooked.micros)


async def test_pages_go_through_all(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_lines, "PAGE", 2)
    async with filled.read() as connection:
        for limit, expected in ((None, [2, 2, 2]), (5, [2, 2, 1]), (0, [])):
            found = [len(page) async for page in transcript_lines.pages(connection, Wanted(), limit)]
            assert expected == found


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(owner="team:t1"), "ix_transcripts_region_owner_created_at_seq (region=? AND owner=?"),
        (Wanted(key_hash="k1"), "ix_transcripts_region_key_hash_created_at_seq (region=? AND key_hash=?"),
        (Wanted(key_hash="k1", status="error"), "ix_transcripts_region_key_hash_status_created_at_seq"),
        (Wanted(), "ix_transcripts_region_created_at_seq (region=?"),
    ],
)
async def test_listing_reads_an_index_and_sorts_nothing(tmp_path: Path, wanted: Wanted, index: str) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    async with store.write() as connection:
        await transcripts.record(connection, replace(JOB, id="j1"))
    async with store.read() as connection:
        place = await transcript_lines.place_of(connection, "j1")
        for before in (None, place):
            plans = explained(connection)
            await transcript_lines.newest(connection, wanted, 10, before)
            read = [plan for plan in plans if " transcripts " in plan]
            assert [] == [plan for plan in read if index not in plan]
            assert read
            assert [] == [plan for plan in plans if "SCAN" in plan or "TEMP B-TREE" in plan]
    await store.close()

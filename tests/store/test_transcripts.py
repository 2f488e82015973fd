from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from query_plans import explained

from aai_gateway.core.regions import Region
from aai_gateway.errors import NotFound
from aai_gateway.store import Store, intents, transcripts
from aai_gateway.store.schema import transcripts as table
from aai_gateway.store.transcripts import Transcript

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
LEASE = NOON + timedelta(minutes=1)
URL = "https://example.com/a.mp3"
OURS = "team:t1"
JOB = Transcript(
    "j1",
    Region.EU,
    OURS,
    URL,
    {"speaker_labels": True, "keyterms_prompt": ["a", "b"]},
    team_id="t1",
    key_hash="k1",
    intent_id="i1",
    created_at=NOON,
    next_check_at=NOON + timedelta(seconds=15),
)


def job(number: int, **changes: object) -> Transcript:
    return replace(JOB, id=f"j{number}", **changes)


async def fill(store: Store, *jobs: Transcript) -> None:
    async with store.write() as connection:
        for each in jobs:
            await transcripts.record(connection, each)


async def get(store: Store, transcript_id: str) -> Transcript:
    async with store.read() as connection:
        return await transcripts.get(connection, Region.EU, transcript_id)


async def page(store: Store, owner: str | None = OURS, **options: object) -> tuple[str, bool, bool]:
    async with store.read() as connection:
        found = await transcripts.page(connection, owner, Region.EU, **options)
    return " ".join(each.id for each in found.transcripts), found.older, found.newer


async def test_a_transcript_comes_back_as_it_was_given(store: Store) -> None:
    await fill(store, JOB)

    assert replace(JOB, seq=1) == await get(store, "j1")
    assert await get(store, "j2") is None


async def test_a_transcript_is_its_first_owners_in_its_region(store: Store) -> None:
    async with store.write() as connection:
        assert await transcripts.record(connection, JOB) is True
        assert await transcripts.record(connection, replace(JOB, owner="team:t2")) is False
        assert await transcripts.record(connection, replace(JOB, owner="team:t2", region=Region.US)) is True
        assert OURS == (await transcripts.get(connection, Region.EU, "j1")).owner
        assert "team:t2" == (await transcripts.get(connection, Region.US, "j1")).owner
        assert await transcripts.get(connection, Region.EU, "j9") is None


async def test_pages_follow_one_another_in_both_directions_when_all_are_of_one_moment(store: Store) -> None:
    await fill(store, *(job(number) for number in range(7)))

    assert ("j6 j5 j4", True, False) == await page(store, limit=3)
    assert ("j3 j2 j1", True, True) == await page(store, limit=3, before_id="j4")
    assert ("j0", False, True) == await page(store, limit=3, before_id="j1")
    assert ("", False, False) == await page(store, limit=3, before_id="j0")
    assert ("j3 j2 j1", True, True) == await page(store, limit=3, after_id="j0")
    assert ("j6 j5 j4", True, False) == await page(store, limit=3, after_id="j3")
    assert ("j5 j4", True, True) == await page(store, limit=2, after_id="j1", before_id="j6")


async def test_the_newest_comes_first_whenever_it_was_recorded(store: Store) -> None:
    found_late = job(2, created_at=NOON - timedelta(hours=1))
    await fill(store, job(1), found_late, job(3, created_at=NOON + timedelta(hours=1)))

    assert ("j3 j1 j2", False, False) == await page(store)
    assert ("j2", False, True) == await page(store, before_id="j1")


async def test_a_page_holds_its_owners_transcripts_only(store: Store) -> None:
    await fill(store, job(1), job(2, owner="team:t2"), job(3), job(4, region=Region.US))

    assert ("j3 j1", False, False) == await page(store)
    assert ("j2", False, False) == await page(store, "team:t2")
    assert ("", False, False) == await page(store, "key:nobody")
    assert ("j3 j2 j1", False, False) == await page(store, None)
    assert ("j1", False, True) == await page(store, None, before_id="j2")


@pytest.mark.parametrize("cursor", ["before_id", "after_id"])
@pytest.mark.parametrize("transcript_id", ["j9", "j2", "j3"])
async def test_a_page_beside_somebody_elses_transcript_is_not_found(
    store: Store, cursor: str, transcript_id: str
) -> None:
    await fill(store, job(1), job(2, owner="team:t2"), job(3, region=Region.US))

    with pytest.raises(NotFound):
        await page(store, **{cursor: transcript_id})


async def test_filters_narrow_the_page_and_what_lies_beyond_it(store: Store) -> None:
    late = datetime(2026, 11, 21, 23, 59, 59, 999_999, tzinfo=timezone.utc)
    await fill(
        store,
        job(1, status="error"),
        job(2, created_at=late, throttled=True),
        job(3, created_at=late + timedelta(microseconds=1), status="error"),
        job(4, created_at=late + timedelta(hours=1)),
    )

    assert ("j3 j1", False, False) == await page(store, status="error")
    assert ("j3", True, False) == await page(store, status="error", limit=1)
    assert ("j2 j1", False, False) == await page(store, created_on=date(2026, 11, 21))
    assert ("j4 j3", False, False) == await page(store, created_on=date(2026, 11, 22))
    assert ("j2", False, False) == await page(store, throttled_only=True)
    assert ("j1", False, False) == await page(store, status="error", created_on=date(2026, 11, 21))


async def test_a_key_s_own_are_listed_apart(store: Store) -> None:
    await fill(
        store,
        job(1, throttled=True),
        job(2, key_hash="k2", throttled=True),
        job(3, status="error"),
        job(4, key_hash="k2", status="error"),
        job(5, key_hash=None),
        job(6, owner="team:t2"),
    )

    assert ("j3 j1", False, False) == await page(store, key_hash="k1")
    assert ("j3", True, False) == await page(store, key_hash="k1", limit=1)
    assert ("j1", False, True) == await page(store, key_hash="k1", before_id="j3")
    assert ("j3", False, False) == await page(store, key_hash="k1", status="error")
    assert ("j1", False, False) == await page(store, key_hash="k1", throttled_only=True)
    for edge in ({"before_id": "j2"}, {"after_id": "j5"}, {"before_id": "j6"}):
        with pytest.raises(NotFound):
            await page(store, key_hash="k1", **edge)


async def test_a_key_s_own_are_found_without_reading_its_team_s(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    await fill(store, *(job(number) for number in range(3)))
    async with store.read() as connection:
        plans = explained(connection)
        for options in ({}, {"before_id": "j2"}, {"status": "queued"}, {"throttled_only": True}):
            await transcripts.page(connection, OURS, Region.EU, key_hash="k1", **options)
    await store.close()

    listing = [plan for plan in plans if "transcripts" in plan and "id=?" not in plan]
    assert listing
    assert [] == [plan for plan in listing if "key_hash=?" not in plan and "throttled_of_key" not in plan]
    assert [] == [plan for plan in plans if plan.startswith("SCAN transcripts") or "TEMP B-TREE" in plan]


OWNERS = ("region=? AND owner=?", "ix_transcripts_region_owner_created_at_seq")
OWNERS_STATUS = ("region=? AND owner=? AND status=?", "ix_transcripts_region_owner_status_created_at_seq")
DAY = date(2026, 11, 21)


@pytest.mark.parametrize("place", [{}, {"before_id": "j2"}, {"after_id": "j0"}], ids=str)
@pytest.mark.parametrize(
    ("owner", "options", "expected"),
    [
        (OURS, {}, OWNERS),
        (OURS, {"status": "queued"}, OWNERS_STATUS),
        (OURS, {"created_on": DAY}, OWNERS),
        (OURS, {"created_on": DAY, "status": "queued"}, OWNERS_STATUS),
        (OURS, {"throttled_only": True}, (OWNERS[0], "ix_transcripts_throttled")),
        (OURS, {"throttled_only": True, "created_on": DAY, "status": "error"}, None),
        (None, {}, ("region=?", "ix_transcripts_region_created_at_seq")),
        (None, {"created_on": DAY}, ("region=? AND created_at>? AND created_at<?", "")),
    ],
)
async def test_listing_reads_an_index_and_sorts_nothing(
    tmp_path: Path,
    owner: str | None,
    options: dict[str, object],
    place: dict[str, str],
    expected: tuple[str, str] | None,
) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    await fill(store, *(job(number, throttled=True) for number in range(3)))
    async with store.read() as connection:
        plans = explained(connection)
        found = await transcripts.page(connection, owner, Region.EU, **options, **place)
    await store.close()

    assert found.transcripts
    # The page, and what lies beyond its two ends; what the place costs is one look by its id.
    listing = [plan for plan in plans if "transcripts" in plan and "(region=? AND id=?)" not in plan]
    assert 3 == len(listing)
    columns, index = expected or ("region=?", "")
    assert [] == [plan for plan in listing if not (f"INDEX {index}" in plan and columns in plan)]
    assert [] == [plan for plan in plans if plan.startswith("SCAN transcripts") or "TEMP B-TREE" in plan]


async def test_a_status_is_noted_and_what_is_not_said_stays(store: Store) -> None:
    await fill(store, JOB)
    done = NOON + timedelta(seconds=9)
    async with store.write() as connection:
        assert await transcripts.mark_status(connection, Region.EU, "j1", "processing", throttled=True)
        assert await transcripts.mark_status(
            connection, Region.EU, "j1", "error", completed_at=done, error="Download error"
        )
        assert not await transcripts.mark_status(connection, Region.US, "j1", "completed")

    expected = replace(JOB, seq=1, status="error", completed_at=done, error="Download error", throttled=True)
    assert expected == await get(store, "j1")


async def test_a_deleted_transcript_is_listed_without_its_audio(store: Store) -> None:
    intent = intents.Intent(Region.EU, OURS, URL, id="i1", created_at=NOON)
    other = intents.Intent(Region.EU, OURS, URL, id="i2", created_at=NOON)
    await fill(store, replace(JOB, status="error", error=f"Download error, unable to download {URL}"))
    async with store.write() as connection:
        await intents.open(connection, intent)
        await intents.open(connection, other)
        assert await transcripts.mark_deleted(connection, Region.EU, "j1", NOON)
        assert not await transcripts.mark_deleted(connection, Region.US, "j1", NOON)
        left = await intents.unresolved(connection, Region.EU, NOON + timedelta(1))

    deleted = await get(store, "j1")
    assert ("http://deleted_by_user", None, NOON) == (deleted.audio_url, deleted.error, deleted.deleted_at)
    assert ["http://deleted_by_user", URL] == [each.audio_url for each in left]
    assert ("j1", False, False) == await page(store)


async def claim(
    store: Store, now: datetime, limit: int = 10, lease: datetime = LEASE, region: Region = Region.EU
) -> list[Transcript]:
    async with store.write() as connection:
        return await transcripts.claim_due(connection, region, now, lease, limit)


def ids(found: list[Transcript]) -> list[str]:
    return [each.id for each in found]


async def test_unsettled_transcripts_are_due_when_their_time_has_come(store: Store) -> None:
    soon = NOON + timedelta(microseconds=1)
    await fill(
        store,
        job(1, next_check_at=NOON),
        job(2, next_check_at=soon),
        job(3, next_check_at=NOON - timedelta(hours=1)),
        job(4, next_check_at=None),
        job(5, next_check_at=NOON, region=Region.US),
        job(6, next_check_at=NOON),
    )
    async with store.write() as connection:
        await transcripts.mark_settled(connection, Region.EU, "j6", NOON, status="completed")

    assert ["j3"] == ids(await claim(store, NOON, 1, NOON))
    assert ["j1", "j3"] == sorted(ids(await claim(store, NOON)))
    assert ["j2"] == ids(await claim(store, soon))
    assert ["j5"] == ids(await claim(store, NOON, region=Region.US))
    async with store.write() as connection:
        await transcripts.postpone(connection, Region.EU, "j1", LEASE + timedelta(hours=1), 3)
    assert ["j2", "j3"] == sorted(ids(await claim(store, LEASE)))
    settled = await get(store, "j6")
    assert (NOON, None) == (settled.settled_at, settled.next_check_at)
    assert 3 == (await get(store, "j1")).attempts


async def test_a_due_transcript_is_claimed_by_one_worker_until_its_lease_ends(store: Store) -> None:
    await fill(store, *(job(number, next_check_at=NOON) for number in range(20)))

    claimed = await asyncio.gather(*(claim(store, NOON, 6) for _ in range(5)))
    everything = sorted(one for batch in claimed for one in ids(batch))
    assert sorted(f"j{number}" for number in range(20)) == everything
    assert [] == await claim(store, LEASE - timedelta(microseconds=1))
    assert 6 == len(await claim(store, LEASE, 6))


async def test_what_was_claimed_is_given_back_at_once_unless_it_has_moved_on(store: Store) -> None:
    await fill(store, *(job(number, next_check_at=NOON) for number in range(4)))
    claimed = await claim(store, NOON)
    later = LEASE + timedelta(hours=1)
    async with store.write() as connection:
        await transcripts.mark_settled(connection, Region.EU, "j0", NOON, status="completed")
        await transcripts.postpone(connection, Region.EU, "j1", later, 1)
        await transcripts.give_back(connection, claimed, LEASE, NOON)

    assert ["j2", "j3"] == sorted(ids(await claim(store, NOON)))
    assert later == (await get(store, "j1")).next_check_at


async def test_fifty_thousand_due_transcripts_of_one_region_are_no_burden_to_either(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    await fill(store, job(50_000, next_check_at=NOON))
    same = {"region": "us", "owner": OURS, "audio_url": URL, "requested": {}, "status": "queued"}
    same |= {"throttled": False, "created_at": NOON, "next_check_at": NOON, "attempts": 0}
    async with store.write() as connection:
        every = [{"id": f"j{number}"} for number in range(50_000)]
        await connection.execute(sa.insert(table).values(same), every)
    async with store.write() as connection:
        plans = explained(connection)
        assert 50 == len(await transcripts.claim_due(connection, Region.US, NOON, LEASE, 50))
        assert ["j50000"] == ids(await transcripts.claim_due(connection, Region.EU, NOON, LEASE, 50))
        await transcripts.give_back(
            connection, [await transcripts.get(connection, Region.US, "j0")], LEASE, NOON
        )
        assert ["j0"] == await transcripts.submitted_after(connection, Region.US, NOON - timedelta(1), 1)
        assert {"j1", "j2"} == await transcripts.known(connection, Region.US, ["j1", "j2", "x"])
    await store.close()

    assert any("ix_transcripts_unsettled (region=? AND next_check_at<?)" in plan for plan in plans)
    assert [] == [plan for plan in plans if plan.startswith("SCAN transcripts") or "TEMP B-TREE" in plan]


async def test_the_first_transcripts_after_a_moment_come_oldest_first(store: Store) -> None:
    hour = timedelta(hours=1)
    await fill(store, job(1), job(3, created_at=NOON + 2 * hour), job(2, created_at=NOON + hour))
    await fill(store, job(4, created_at=NOON + hour, region=Region.US))

    async with store.read() as connection:
        assert ["j2", "j3"] == await transcripts.submitted_after(connection, Region.EU, NOON, 5)
        assert ["j2"] == await transcripts.submitted_after(connection, Region.EU, NOON, 1)
        assert [] == await transcripts.submitted_after(connection, Region.EU, NOON + 2 * hour, 1)

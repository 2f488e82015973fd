from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from query_plans import explained

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, intents, keys, ownership, teams, transcripts
from aai_gateway.store.transcripts import Transcript

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
URL = "https://example.com/a.mp3"
EU, US = Region.EU, Region.US
ONE, TWO = Team("t1", "research"), Team("t2", "newsroom", regions=(EU,))
JOB = Transcript("j1", EU, "team:t1", URL, team_id="t1", key_hash="k1", created_at=NOON, settled_at=NOON)


def job(number: int, **changes: object) -> Transcript:
    return replace(JOB, id=f"j{number}", **changes)


@pytest.fixture(autouse=True)
async def two_teams(store: Store) -> None:
    async with store.write() as connection:
        for team in (ONE, TWO):
            await teams.create(connection, team)
        await keys.create(connection, VirtualKey("k1", "sk-...aaaa", team_id="t1"))


async def fill(store: Store, *jobs: Transcript) -> None:
    async with store.write() as connection:
        for each in jobs:
            await transcripts.record(connection, each)


async def row(store: Store, number: int, region: Region = EU) -> Transcript:
    async with store.read() as connection:
        found = await transcripts.get(connection, region, f"j{number}")
    assert found is not None
    return found


async def hand_over(store: Store, limit: int = 100, region: Region = EU) -> int:
    async with store.write() as connection:
        return await ownership.hand_over(connection, region, NOON, limit)


async def due(store: Store, now: datetime = NOON) -> list[str]:
    async with store.write() as connection:
        claimed = await transcripts.claim_deletions(connection, EU, now, now + timedelta(minutes=1), 100)
    return [each.id for each in claimed]


async def test_what_nobody_has_is_adopted_once(store: Store) -> None:
    async with store.write() as connection:
        assert "adopted" == await ownership.adopt(connection, JOB, NOON)
        assert "already" == await ownership.adopt(connection, JOB, NOON)
        assert "another's" == await ownership.adopt(connection, replace(JOB, owner="team:t2"), NOON)
    assert (NOON, "team:t1") == ((await row(store, 1)).adopted_at, (await row(store, 1)).owner)


async def test_what_a_submission_under_way_may_have_made_is_not_adopted(store: Store) -> None:
    sent = intents.Intent(EU, "team:t2", URL, created_at=NOON)
    async with store.write() as connection:
        await intents.open(connection, sent)
        assert "being made" == await ownership.adopt(connection, JOB, NOON)
        assert "adopted" == await ownership.adopt(connection, replace(JOB, id="j2", audio_url="b"), NOON)
        await intents.close(connection, sent.id, "refused")
        assert "adopted" == await ownership.adopt(connection, JOB, NOON)


async def test_a_moved_transcript_is_its_new_teams_and_no_keys(store: Store) -> None:
    await fill(store, JOB, job(2))
    async with store.write() as connection:
        assert "moved" == await ownership.move(connection, "j1", TWO)
        assert "already" == await ownership.move(connection, "j1", TWO)
        assert "unknown" == await ownership.move(connection, "j9", TWO)
        assert "another's" == await ownership.move(connection, "j2", TWO, owner="team:t3")
        assert "moved" == await ownership.move(connection, "j2", TWO, owner="team:t1")

    moved = await row(store, 1)
    assert ("team:t2", "t2", None) == (moved.owner, moved.team_id, moved.key_hash)


async def test_a_team_gets_nothing_from_a_region_that_it_may_not_use(store: Store) -> None:
    await fill(store, job(1, region=US), job(2))
    async with store.write() as connection:
        assert "no region" == await ownership.move(connection, "j1", TWO)
    assert "team:t1" == (await row(store, 1, US)).owner
    with pytest.raises(StoreError, match="newsroom may not use the US region"):
        async with store.write() as connection:
            await ownership.move_all(connection, "team:t1", TWO, US, 10)
    with pytest.raises(StoreError, match="newsroom may not use the US region"):
        ownership.require_heir(TWO, Counter({US: 1, EU: 1}))
    assert "team:t2" == ownership.require_heir(TWO, Counter({US: 0, EU: 1}))


async def test_all_of_a_teams_are_moved_some_at_a_time(store: Store) -> None:
    await fill(store, *(job(number) for number in range(5)), job(9, owner="team:t3"))
    async with store.write() as connection:
        counts = [await ownership.move_all(connection, "team:t1", TWO, EU, 3) for _ in range(3)]
    assert [3, 2, 0] == counts
    assert "team:t3" == (await row(store, 9)).owner


async def test_what_a_team_has_is_counted_by_region(store: Store) -> None:
    await fill(store, JOB, job(2, region=US), job(3, deleted_at=NOON), job(4, owner="key:k1"))
    async with store.write() as connection:
        await intents.open(connection, intents.Intent(US, "team:t1", URL, created_at=NOON))
        owners = await ownership.owners_of_team(connection, "t1")
        assert ["team:t1", "key:k1"] == owners
        assert Counter({EU: 2, US: 2}) == await ownership.held_by(connection, owners)
        assert Counter() == await ownership.held_by(connection, ["team:t2"])


async def test_a_deleted_teams_transcripts_are_kept_for_the_master_key(store: Store) -> None:
    await fill(store, JOB, job(2), job(3, owner="key:k1", team_id=None))
    async with store.write() as connection:
        await teams.delete(connection, "t1")
    assert [1, 2] == sorted([await hand_over(store) for _ in range(2)])
    assert 0 == await hand_over(store)
    kept = await row(store, 1)
    assert ("master", "t1", None, None) == (kept.owner, kept.team_id, kept.key_hash, kept.deleting_since)
    assert "master" == (await row(store, 3)).owner
    assert [] == await due(store)


async def test_a_deleted_teams_transcripts_are_its_heirs(store: Store) -> None:
    await fill(store, JOB)
    async with store.write() as connection:
        await teams.delete(connection, "t1", "team:t2")
        assert await ownership.is_left(connection, EU)
        assert not await ownership.is_left(connection, US)
    assert 1 == await hand_over(store)
    moved = await row(store, 1)
    assert ("team:t2", "t2", None) == (moved.owner, moved.team_id, moved.key_hash)


async def test_an_ordered_deletion_is_due_once_the_job_is_settled(store: Store) -> None:
    later = NOON + timedelta(hours=1)
    running = job(2, settled_at=None, status="processing", next_check_at=later)
    await fill(store, JOB, running, job(3, deleted_at=NOON, audio_url="http://deleted_by_user"))
    async with store.write() as connection:
        await teams.delete(connection, "t1", "deleted")
        assert 2 == await ownership.left_to_delete(connection)
    assert 3 == await hand_over(store)
    assert ["deleted"] * 3 == [(await row(store, number)).owner for number in (1, 2, 3)]
    assert ["j1"] == await due(store)
    assert [] == await due(store)
    async with store.write() as connection:
        assert "being deleted" == await ownership.move(connection, "j1", TWO)
        assert 2 == await ownership.left_to_delete(connection)
        await transcripts.mark_deleted(connection, EU, "j1", NOON)
        await transcripts.mark_settled(connection, EU, "j2", NOON, status="completed")
    assert ["j2"] == await due(store, later)
    async with store.write() as connection:
        await transcripts.mark_deleted(connection, EU, "j2", NOON)
        assert 0 == await ownership.left_to_delete(connection)
    assert (None, None) == ((await row(store, 2)).deleting_since, (await row(store, 2)).next_check_at)
    assert [] == await due(store, later + timedelta(days=1))


async def test_what_comes_late_goes_the_same_way(store: Store) -> None:
    async with store.write() as connection:
        await teams.delete(connection, "t1", "deleted")
    assert 0 == await hand_over(store)
    await fill(store, JOB)
    assert 1 == await hand_over(store)
    assert ["j1"] == await due(store)


async def test_a_team_of_the_same_id_inherits_nothing(store: Store) -> None:
    await fill(store, JOB)
    async with store.write() as connection:
        await teams.delete(connection, "t1")
    with pytest.raises(StoreError, match="not handed over yet"):
        async with store.write() as connection:
            await teams.create(connection, ONE)
    await hand_over(store)
    async with store.write() as connection:
        await teams.create(connection, ONE)
    await fill(store, job(2))
    assert 0 == await hand_over(store)
    assert ["master", "team:t1"] == [(await row(store, number)).owner for number in (1, 2)]


async def test_a_key_without_a_team_leaves_an_heir_too(store: Store) -> None:
    alone = VirtualKey("k2", "sk-...bbbb")
    async with store.write() as connection:
        await keys.create(connection, alone)
    await fill(store, job(1, owner="key:k2", team_id=None))
    async with store.write() as connection:
        await keys.delete(connection, "k2", "team:t2")
        await keys.delete(connection, "k1")
    with pytest.raises(StoreError, match="not handed over yet"):
        async with store.write() as connection:
            await keys.create(connection, alone)
    assert 1 == await hand_over(store)
    assert "team:t2" == (await row(store, 1)).owner


async def test_heirs_follow_one_another(store: Store) -> None:
    await fill(store, JOB)
    async with store.write() as connection:
        await teams.delete(connection, "t1", "team:t2")
        await teams.delete(connection, "t2", "deleted")
    assert [1, 1, 0] == [await hand_over(store) for _ in range(3)]
    assert "deleted" == (await row(store, 1)).owner


async def test_looking_for_what_is_left_reads_no_living_owners_transcripts(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    async with store.write() as connection:
        plans = explained(connection)
        await ownership.is_left(connection, EU)
        await ownership.hand_over(connection, EU, NOON, 10)
        await ownership.left_to_delete(connection)
        await transcripts.claim_deletions(connection, EU, NOON, NOON, 10)
    await store.close()
    read = [plan for plan in plans if " transcripts " in plan]
    assert 5 == len(read)
    narrow = ("owner=?", "ix_transcripts_deleting")
    assert [] == [plan for plan in read if not any(one in plan for one in narrow)]

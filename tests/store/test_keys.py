from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Secret, Team, VirtualKey, hash_key, mask_key, new_virtual_key
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, holds, keys, teams
from aai_gateway.store.holds import Hold

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
TEAM = Team("t1", "research", created_at=NOON)
KEY = VirtualKey(
    hash="k1",
    masked="sk-...Ab3d",
    alias="ci",
    team_id="t1",
    user_id="ada",
    regions=(Region.EU, Region.US),
    models=("assemblyai/claude-sonnet-4-6",),
    budget=Budget(1_000_000, "1mo", 7, NOON + timedelta(days=30)),
    expires_at=NOON + timedelta(days=1),
    created_at=NOON,
    metadata={"purpose": "tests"},
)


@pytest.fixture
async def store(store: Store) -> Store:
    async with store.write() as connection:
        await teams.create(connection, TEAM)
        await keys.create(connection, KEY)
    return store


async def test_a_key_comes_back_as_it_was_given(store: Store) -> None:
    async with store.read() as connection:
        assert KEY == await keys.by_hash(connection, "k1")
        assert await keys.by_hash(connection, "k2") is None


async def test_a_key_comes_with_its_team(store: Store) -> None:
    lone = VirtualKey("k2", "sk-...zzzz", created_at=NOON)
    async with store.write() as connection:
        await keys.create(connection, lone)
        assert (KEY, TEAM) == await keys.with_team(connection, "k1")
        assert (lone, None) == await keys.with_team(connection, "k2")
        assert await keys.with_team(connection, "k3") is None


async def test_the_key_itself_is_nowhere_in_the_file(store: Store, store_url: str) -> None:
    key = new_virtual_key()
    async with store.write() as connection:
        await keys.create(connection, VirtualKey(hash_key(key), mask_key(key)))
        rows = await keys.list_all(connection)

    assert [] == [row for row in rows if key in repr(row)]


async def test_limits_of_none_stay_apart_from_limits_of_nothing(store: Store) -> None:
    async with store.write() as connection:
        follows = await keys.create(connection, VirtualKey("k2", "sk-...aaaa", regions=None))
        barred = await keys.create(connection, VirtualKey("k3", "sk-...bbbb", regions=()))

    assert (None, ()) == (follows.regions, barred.regions)


async def test_keys_are_listed_oldest_first_and_by_team(store: Store) -> None:
    async with store.write() as connection:
        await keys.create(connection, VirtualKey("k0", "sk-...aaaa", created_at=NOON + timedelta(1)))
        everyone, team = await keys.list_all(connection), await keys.list_all(connection, "t1")

    assert (["k1", "k0"], ["k1"]) == ([key.hash for key in everyone], [key.hash for key in team])


@pytest.mark.parametrize("text", ["k1", "ci", "sk-...Ab3d", "Ab3d"])
async def test_a_key_is_found_by_hash_alias_and_ending(store: Store, text: str) -> None:
    async with store.read() as connection:
        assert KEY == await keys.find(connection, text)


@pytest.mark.parametrize("text", ["", "b3d", "k", "ab3d", "%", "sk-...%"])
async def test_part_of_a_name_finds_nothing(store: Store, text: str) -> None:
    async with store.read() as connection:
        assert await keys.find(connection, text) is None


async def test_an_ending_that_several_share_is_refused(store: Store) -> None:
    async with store.write() as connection:
        await keys.create(connection, VirtualKey("k2", KEY.masked, alias="Ab3d-too"))
        with pytest.raises(StoreError, match="Several keys end in Ab3d"):
            await keys.find(connection, "Ab3d")
        assert KEY == await keys.find(connection, "ci")


async def test_an_alias_wins_over_endings(store: Store) -> None:
    async with store.write() as connection:
        await keys.create(connection, VirtualKey("k2", "sk-...aaaa", alias="Ab3d"))
        found = await keys.find(connection, "Ab3d")

    assert "k2" == found.hash


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (VirtualKey("k1", "sk-...aaaa"), "There is already such a key"),
        (VirtualKey("k2", "sk-...aaaa", alias="ci"), "There is already a key with the name ci"),
        (VirtualKey("k2", "sk-...aaaa", team_id="t9"), "There is no team with the id t9"),
    ],
)
async def test_a_key_that_does_not_fit_is_refused(store: Store, key: VirtualKey, text: str) -> None:
    with pytest.raises(StoreError, match=text):
        async with store.write() as connection:
            await keys.create(connection, key)


async def test_update_changes_what_is_named_and_nothing_else(store: Store) -> None:
    async with store.write() as connection:
        changed = await keys.update(connection, "k1", blocked=True, regions=None, expires_at=None)

    assert replace(KEY, blocked=True, regions=None, expires_at=None) == changed


async def test_an_update_that_does_not_fit_is_refused(store: Store) -> None:
    async with store.write() as connection:
        await keys.create(connection, VirtualKey("k2", "sk-...aaaa"))
    with pytest.raises(StoreError, match="There is no such key"):
        async with store.write() as connection:
            await keys.update(connection, "k9", blocked=True)
    with pytest.raises(StoreError, match="There is already a key with the name ci"):
        async with store.write() as connection:
            await keys.update(connection, "k2", alias="ci")
    with pytest.raises(StoreError, match="There is no team with the id t9"):
        async with store.write() as connection:
            await keys.update(connection, "k2", team_id="t9")


async def test_a_deleted_key_is_gone(store: Store) -> None:
    async with store.write() as connection:
        assert await keys.delete(connection, "k1") is True
        assert await keys.delete(connection, "k1") is False
        assert await keys.with_team(connection, "k1") is None


# Secrets

DAY = timedelta(days=1)
SECOND = Secret("s2", "sk-...Wxyz", NOON + DAY)


async def rotated(store: Store, secret: Secret = SECOND, old_until: datetime = NOON + 2 * DAY) -> VirtualKey:
    async with store.write() as connection:
        return await keys.rotate(connection, "k1", secret, old_until)


async def secrets_of(store: Store) -> list[Secret]:
    async with store.read() as connection:
        return await keys.secrets_of(connection, "k1")


async def test_a_key_begins_with_one_secret(store: Store) -> None:
    first = Secret("k1", KEY.masked, NOON)
    async with store.read() as connection:
        assert [first] == await keys.secrets_of(connection, "k1")
        assert keys.Presented(KEY, TEAM, first) == await keys.presented(connection, "k1")
        assert await keys.presented(connection, "k2") is None


async def test_a_rotated_key_is_the_same_key_with_another_secret(store: Store) -> None:
    assert replace(KEY, masked="sk-...Wxyz") == await rotated(store)
    old, until = Secret("k1", KEY.masked, NOON, NOON + 2 * DAY), NOON + 2 * DAY
    assert [SECOND, old] == await secrets_of(store)
    async with store.read() as connection:
        by_new, by_old = await keys.presented(connection, "s2"), await keys.presented(connection, "k1")
        assert by_new is not None and by_old is not None
        assert ("k1", SECOND, TEAM) == (by_new.key.hash, by_new.secret, by_new.team)
        assert ("k1", old) == (by_old.key.hash, by_old.secret)
        assert (False, True) == (old.has_ended(until - timedelta(seconds=1)), old.has_ended(until))


async def test_a_rotation_lets_no_older_secret_live_longer_than_it_did(store: Store) -> None:
    await rotated(store)
    await rotated(store, Secret("s3", "sk-...3333", NOON + DAY), NOON + 9 * DAY)
    await rotated(store, Secret("s4", "sk-...4444", NOON + DAY), NOON + 3 * DAY)

    ends = {secret.hash: secret.expires_at for secret in await secrets_of(store)}
    assert {"k1": NOON + 2 * DAY, "s2": NOON + 3 * DAY, "s3": NOON + 3 * DAY, "s4": None} == ends


async def test_a_rotation_without_grace_ends_every_older_secret(store: Store) -> None:
    await rotated(store)
    await rotated(store, Secret("s3", "sk-...3333", NOON + DAY), NOON + DAY)

    ends = {secret.hash: secret.expires_at for secret in await secrets_of(store)}
    assert {"k1": NOON + DAY, "s2": NOON + DAY, "s3": None} == ends


async def test_a_rotation_that_cannot_be_changes_nothing(store: Store) -> None:
    await rotated(store)
    for taken in ("k1", "s2"):
        with pytest.raises(StoreError, match="This secret is or was a key's"):
            await rotated(store, Secret(taken, "sk-...Ab3d", NOON), NOON)
    with pytest.raises(StoreError, match="There is no such key"):
        async with store.write() as connection:
            await keys.rotate(connection, "k9", Secret("s9", "sk-...9999", NOON), NOON)
    with pytest.raises(StoreError, match="There is already such a key"):
        async with store.write() as connection:
            await keys.create(connection, VirtualKey("s2", "sk-...Wxyz"))

    assert [None, NOON + 2 * DAY] == [secret.expires_at for secret in await secrets_of(store)]


async def test_of_two_rotations_at_once_one_secret_goes_on(store: Store, store_url: str) -> None:
    other = await Store.open(store_url)
    try:
        both = (Secret("s3", "sk-...3333", NOON), Secret("s4", "sk-...4444", NOON))
        await asyncio.gather(
            *(rotated(at, secret, NOON + DAY) for at, secret in zip((store, other), both, strict=True))
        )
    finally:
        await other.close()

    alive = [secret.masked for secret in await secrets_of(store) if secret.expires_at is None]
    async with store.read() as connection:
        assert alive == [(await keys.by_hash(connection, "k1")).masked]


@pytest.mark.parametrize("text", ["k1", "s2", "ci", "sk-...Ab3d", "Ab3d", "Wxyz"])
async def test_a_rotated_key_goes_by_its_id_and_by_each_live_secret(store: Store, text: str) -> None:
    await rotated(store, old_until=datetime(2999, 1, 1, tzinfo=timezone.utc))
    async with store.read() as connection:
        found = await keys.find(connection, text)
        assert found is not None and "k1" == found.hash
        if text in ("k1", "s2"):
            assert found == await keys.named(connection, text, NOON)


async def test_a_secret_that_has_ended_names_nothing_but_its_id_does(store: Store) -> None:
    await rotated(store)
    await rotated(store, Secret("s3", "sk-...3333", NOON), NOON + DAY)
    async with store.read() as connection:
        assert await keys.named(connection, "s2", NOON + DAY) is None
        assert (await keys.named(connection, "k1", NOON + DAY)).hash == "k1"
        assert (await keys.named(connection, "s2", NOON)).hash == "k1"


async def test_a_deleted_key_takes_its_secrets_along(store: Store) -> None:
    await rotated(store)
    async with store.write() as connection:
        await keys.delete(connection, "k1")
        assert await keys.presented(connection, "s2") is None
        await keys.create(connection, VirtualKey("s2", "sk-...Wxyz", created_at=NOON))


# When a key was last used


async def last_used(store: Store, key_hash: str = "k1") -> datetime | None:
    async with store.read() as connection:
        return (await keys.by_hash(connection, key_hash)).last_used_at


async def note_used(store: Store, **used: datetime) -> set[str]:
    async with store.write() as connection:
        return await keys.note_used(connection, used)


async def test_when_a_key_was_used_only_moves_on(store: Store) -> None:
    async with store.write() as connection:
        await keys.create(connection, VirtualKey("k2", "sk-...aaaa"))
    assert set() == await note_used(store, k1=NOON, k2=NOON + DAY, gone=NOON)
    assert set() == await note_used(store, k1=NOON - DAY, k2=NOON)

    assert (NOON, NOON + DAY) == (await last_used(store), await last_used(store, "k2"))


async def test_a_key_that_a_job_holds_is_left_for_later(store: Store, store_url: str) -> None:
    if store_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer: nobody holds a key while another writes")
    async with store.write() as connection:
        await keys.create(connection, VirtualKey("k2", "sk-...aaaa"))
    hold: Any = Hold("h", "speech", Region.US, "team:t1", 1, NOON, team_id="t1", key_hash="k1")
    async with store.write() as job:
        await holds.place(job, hold)
        assert {"k1"} == await note_used(store, k1=NOON, k2=NOON)

    assert (None, NOON) == (await last_used(store), await last_used(store, "k2"))


async def test_what_every_request_asks_is_found_by_an_index(tmp_path: Any) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    async with store.read() as connection:
        query = str(keys._PRESENTED.compile(dialect=connection.dialect))
        found = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("x",))
        plans = [row.detail for row in found]
    await store.close()

    assert [] == [plan for plan in plans if plan.startswith("SCAN")]

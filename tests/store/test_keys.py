from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from aai_gateway.core.budgets import Budget
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key, new_virtual_key
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, keys, teams

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

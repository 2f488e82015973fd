from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.guesses import Guesses
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import MASTER, Secret, Team, VirtualKey, hash_key, mask_key, presented_key
from aai_gateway.errors import Forbidden, TooManyUnknownKeys, Unauthenticated
from aai_gateway.gateway.identity import CommitCache, Identity
from aai_gateway.store import Store, keys, teams, transcripts
from aai_gateway.store.transcripts import Transcript

KEY = "sk-a-key"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    async with store.write() as connection:
        await teams.create(connection, Team(id="t", alias="research", regions=(Region.EU,)))
        await keys.create(connection, VirtualKey(hash=hash_key(KEY), masked=mask_key(KEY), team_id="t"))
    yield store
    await store.close()


@pytest.fixture
async def elsewhere(store: Store, tmp_path: Path) -> AsyncIterator[Store]:
    """The same store as another process has it open."""
    other = await Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    yield other
    await other.close()


@pytest.fixture
def identity(store: Store) -> Identity:
    return Identity(store, lambda key: key == "sk-master")


@pytest.mark.parametrize("header", [KEY, f"Bearer {KEY}", f"bearer  {KEY} ", f" {KEY}"])
async def test_a_key_is_known_bare_and_as_bearer(identity: Identity, header: str):
    caller = await identity.caller_of_key(presented_key(header))
    assert ("team:t", (Region.EU,), False) == (caller.owner, caller.regions, caller.is_admin)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "sk-other", f"Basic {KEY}", hash_key(KEY)])
async def test_anything_else_is_nobody(identity: Identity, header: str | None):
    with pytest.raises(Unauthenticated):
        await identity.caller_of_key(presented_key(header))


async def test_the_master_key_is_the_master(identity: Identity):
    assert await identity.caller_of_key("sk-master") is MASTER


async def test_what_another_process_takes_back_is_gone_at_the_next_request(
    identity: Identity, elsewhere: Store
):
    await identity.caller_of_key(KEY)
    async with elsewhere.write() as connection:
        await teams.update(connection, "t", blocked=True)
    with pytest.raises(Forbidden):
        await identity.caller_of_key(KEY)
    async with elsewhere.write() as connection:
        await teams.update(connection, "t", blocked=False)
        await keys.update(connection, hash_key(KEY), blocked=True)
    with pytest.raises(Unauthenticated):
        await identity.caller_of_key(KEY)


async def test_a_key_expires_though_nothing_is_committed(
    identity: Identity, store: Store, monkeypatch: pytest.MonkeyPatch
):
    async with store.write() as connection:
        await keys.update(connection, hash_key(KEY), expires_at=utc_now() + timedelta(hours=1))
    assert "team:t" == (await identity.caller_of_key(KEY)).owner
    later = utc_now() + timedelta(hours=1, seconds=1)
    monkeypatch.setattr("aai_gateway.gateway.identity.utc_now", lambda: later)
    with pytest.raises(Unauthenticated):
        await identity.caller_of_key(KEY)


async def test_a_rotated_key_works_by_both_secrets_until_the_grace_is_over(
    identity: Identity, elsewhere: Store, monkeypatch: pytest.MonkeyPatch
):
    await identity.caller_of_key(KEY)
    over = utc_now() + timedelta(hours=1)
    async with elsewhere.write() as connection:
        new = Secret(hash_key("sk-new"), mask_key("sk-new"), utc_now())
        await keys.rotate(connection, hash_key(KEY), new, over)
    for presented in (KEY, "sk-new"):
        caller = await identity.caller_of_key(presented)
        assert (hash_key(KEY), "team:t") == (caller.key_hash, caller.owner)
    monkeypatch.setattr("aai_gateway.gateway.identity.utc_now", lambda: over)
    with pytest.raises(Unauthenticated):
        await identity.caller_of_key(KEY)
    assert hash_key(KEY) == (await identity.caller_of_key("sk-new")).key_hash
    assert hash_key(KEY) == (await identity.caller_of_hash(hash_key(KEY))).key_hash
    with pytest.raises(Unauthenticated):
        await identity.caller_of_hash(hash_key("sk-new"))


async def test_guesses_from_one_address_are_slowed_and_nobody_elses(store: Store):
    identity = Identity(store, lambda key: key == "sk-master", Guesses(3))
    office, home = "203.0.113.7", "2001:db8::7"
    await identity.caller_of_key(KEY, office)
    for number in range(3):
        with pytest.raises(Unauthenticated):
            await identity.caller_of_key(f"sk-{number}", office)
    for guess in ("sk-another", "sk-master", "sk-0"):
        with pytest.raises(TooManyUnknownKeys):
            await identity.caller_of_key(guess, office)
    assert "team:t" == (await identity.caller_of_key(KEY, office)).owner
    assert await identity.caller_of_key("sk-master", home) is MASTER
    with pytest.raises(Unauthenticated):
        await identity.caller_of_key("sk-another", home)


async def test_keys_that_are_known_but_hold_no_more_are_no_guesses(store: Store):
    identity = Identity(store, lambda key: False, Guesses(1))
    async with store.write() as connection:
        await keys.update(connection, hash_key(KEY), blocked=True)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await identity.caller_of_key(KEY, "203.0.113.7")


async def test_a_transcript_is_known_once_it_is_recorded(identity: Identity, elsewhere: Store):
    assert None is await identity.transcript(MASTER, Region.US, "x")
    async with elsewhere.write() as connection:
        made = Transcript(id="x", region=Region.US, owner="team:t", audio_url="https://example.org/a.wav")
        await transcripts.record(connection, made)
    found = await identity.transcript(MASTER, Region.US, "x")
    assert found is not None and "team:t" == found.owner
    assert None is await identity.transcript(MASTER, Region.EU, "x")


async def test_an_answer_is_remembered_until_something_is_committed(store: Store, elsewhere: Store):
    cache, reads = CommitCache(store), 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        return reads

    assert [1, 1] == [await cache.get("a", read), await cache.get("a", read)]
    async with elsewhere.write() as connection:
        await teams.create(connection, Team(id="u", alias="u"))
    assert [2, 2] == [await cache.get("a", read), await cache.get("a", read)]


async def test_an_answer_that_a_commit_overtook_is_not_remembered(store: Store, elsewhere: Store):
    cache, reads = CommitCache(store), 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        if reads == 1:
            async with elsewhere.write() as connection:
                await teams.create(connection, Team(id="u", alias="u"))
        return reads

    assert [1, 2, 2] == [await cache.get("a", read) for _ in range(3)]


async def test_where_the_store_cannot_tell_nothing_is_remembered(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store, "change_counter", lambda: None)
    cache, reads = CommitCache(store), iter(range(9))

    async def read() -> int:
        return next(reads)

    assert [0, 1] == [await cache.get("a", read), await cache.get("a", read)]

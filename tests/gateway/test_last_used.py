"""When keys were last used: remembered with each request, written in a batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from opened_gateway import KEY, MASTER, opened_gateway

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.tenancy import VirtualKey, hash_key
from aai_gateway.emulator import Emulator
from aai_gateway.errors import StoreError, Unauthenticated
from aai_gateway.gateway import last_used
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.last_used import LastUsed
from aai_gateway.store import Store, keys

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    async with store.write() as connection:
        for name in ("k1", "k2"):
            await keys.create(connection, VirtualKey(name, "sk-...aaaa"))
    yield store
    await store.close()


async def stored(store: Store, key_hash: str) -> VirtualKey:
    async with store.read() as connection:
        found = await keys.by_hash(connection, key_hash)
    assert found is not None
    return found


async def test_the_minute_of_the_last_use_is_written_in_one_batch(store: Store):
    used = LastUsed(store)
    for seconds in (0, 59, 61, 90):
        used.note(await stored(store, "k1"), NOON + timedelta(seconds=seconds))
    used.note(await stored(store, "k2"), NOON)
    before = store.change_counter()
    assert None is (await stored(store, "k1")).last_used_at

    await used.flush()

    assert before is not None and before != store.change_counter()
    moments = [(await stored(store, name)).last_used_at for name in ("k1", "k2")]
    assert [NOON + timedelta(minutes=1), NOON] == moments


async def test_nothing_new_writes_nothing(store: Store):
    used = LastUsed(store)
    used.note(await stored(store, "k1"), NOON)
    await used.flush()
    written = store.change_counter()

    await used.flush()
    used.note(await stored(store, "k1"), NOON + timedelta(seconds=59))
    await used.flush()

    assert written == store.change_counter()


async def test_what_cannot_be_written_is_written_later(store: Store, monkeypatch: pytest.MonkeyPatch):
    async def full(*_: object) -> set[str]:
        raise StoreError("The store cannot be written: database or disk is full")

    used = LastUsed(store)
    used.note(await stored(store, "k1"), NOON)
    monkeypatch.setattr(keys, "note_used", full)
    await used.flush()
    monkeypatch.undo()
    await used.flush()

    assert NOON == (await stored(store, "k1")).last_used_at


async def test_a_flush_that_is_cut_short_forgets_nothing(store: Store, monkeypatch: pytest.MonkeyPatch):
    writing = asyncio.Event()

    async def slow(*_: object) -> set[str]:
        writing.set()
        await asyncio.sleep(60)
        return set()

    monkeypatch.setattr(last_used, "INTERVAL", 0.0)
    monkeypatch.setattr(keys, "note_used", slow)
    used = LastUsed(store)
    used.note(await stored(store, "k1"), NOON)
    task = asyncio.ensure_future(used.run())
    await writing.wait()
    task.cancel()
    await asyncio.wait([task])
    monkeypatch.undo()
    await used.flush()

    assert NOON == (await stored(store, "k1")).last_used_at


async def test_a_key_that_is_gone_by_then_is_left_out(store: Store):
    used = LastUsed(store)
    for name in ("k1", "k2"):
        used.note(await stored(store, name), NOON)
    async with store.write() as connection:
        await keys.delete(connection, "k1")

    await used.flush()

    assert NOON == (await stored(store, "k2")).last_used_at


async def test_only_keys_that_were_accepted_have_been_used(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path) as gateway:
        await gateway.identity.caller_of_key(MASTER)
        await _refused(gateway, "sk-nobody")
        await gateway.identity.last_used.flush()
        assert None is (await stored(gateway.store, hash_key(KEY))).last_used_at

        before = utc_now().replace(second=0, microsecond=0)
        await gateway.identity.caller_of_key(KEY)
        await gateway.identity.last_used.flush()

        moment = (await stored(gateway.store, hash_key(KEY))).last_used_at
        assert moment is not None and before <= moment <= utc_now()


async def _refused(gateway: Gateway, key: str) -> None:
    with pytest.raises(Unauthenticated):
        await gateway.identity.caller_of_key(key)

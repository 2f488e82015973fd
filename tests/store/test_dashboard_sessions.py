"""Sessions of the dashboard in the store, on every database: they end with their key, and forms work once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.tenancy import VirtualKey
from aai_gateway.errors import StoreError, TooManyRequests
from aai_gateway.store import Store, dashboard_sessions, keys
from aai_gateway.store.dashboard_sessions import Session

NOW = utc_now()
HOUR = timedelta(hours=1)


def session(name: str, secret: str | None = "k1", at: datetime = NOW) -> Session:
    return Session(name, secret, None if secret else "m", at, at + HOUR)


async def begin(store: Store, *sessions: Session) -> None:
    for one in sessions:
        async with store.write() as connection:
            await dashboard_sessions.begin(connection, one, None)


async def alive(store: Store, *names: str, at: datetime = NOW) -> list[bool]:
    async with store.read() as connection:
        return [await dashboard_sessions.get(connection, name, at) is not None for name in names]


@pytest.fixture
async def with_keys(store: Store) -> Store:
    async with store.write() as connection:
        for name in ("k1", "k2"):
            await keys.create(connection, VirtualKey(hash=name, masked=f"sk-...{name}"))
    return store


async def test_a_session_is_found_until_it_ends_and_longer_when_it_is_renewed(with_keys: Store) -> None:
    await begin(with_keys, session("a"))
    assert [True, False] == [*await alive(with_keys, "a"), *await alive(with_keys, "a", at=NOW + HOUR)]
    async with with_keys.write() as connection:
        await dashboard_sessions.renew(connection, "a", NOW, NOW + 2 * HOUR)
    assert [True] == await alive(with_keys, "a", at=NOW + HOUR)


async def test_what_has_ended_is_not_renewed(with_keys: Store) -> None:
    await begin(with_keys, session("a"))
    async with with_keys.write() as connection:
        await dashboard_sessions.end(connection, session("a"), NOW, None)
        await dashboard_sessions.renew(connection, "a", NOW, NOW + HOUR)
    assert [False] == await alive(with_keys, "a")


async def test_a_key_that_goes_takes_its_sessions_along_and_no_others(with_keys: Store) -> None:
    await begin(with_keys, session("a"), session("b", "k2"), session("m", None))
    async with with_keys.write() as connection:
        await keys.delete(connection, "k1")
    assert [False, True, True] == await alive(with_keys, "a", "b", "m")


async def test_nobody_begins_a_session_of_a_key_that_is_not_there(store: Store) -> None:
    with pytest.raises(StoreError):
        await begin(store, session("a"))


async def test_each_key_has_a_limit_of_its_own_in_a_minute(
    with_keys: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard_sessions, "MOST_A_MINUTE", 2)
    await begin(with_keys, session("a"), session("b"))
    with pytest.raises(TooManyRequests):
        await begin(with_keys, session("c"))
    await begin(with_keys, session("d", "k2"), session("e", None))
    await begin(with_keys, session("f", at=NOW + timedelta(minutes=1)))


async def test_a_form_works_once_however_many_send_it(store: Store) -> None:
    async def use(name: str, at: datetime = NOW) -> bool:
        async with store.write() as connection:
            return await dashboard_sessions.use_form(connection, name, at)

    assert [True, *[False] * 4] == sorted(await asyncio.gather(*(use("f") for _ in range(5))), reverse=True)
    assert await use("g", NOW + dashboard_sessions.FORMS_KEPT + HOUR)

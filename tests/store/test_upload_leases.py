"""Uploads at once and bytes a day, exact for several processes; what a dead one reserved expires."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from aai_gateway.core.limits import Limits
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.errors import TooManyRequests
from aai_gateway.store import Store, keys, teams, upload_leases, uploads
from aai_gateway.store.schema import upload_leases as table
from aai_gateway.store.upload_leases import LIFE, Lease

NOW = datetime(2026, 11, 21, 18, tzinfo=timezone.utc)


def lease(number: int, **values: Any) -> Lease:
    return Lease(**{"id": f"lease-{number}", "team_id": "t", "key_hash": "k", **values})


async def make(store: Store, team: Limits | None = None, key: Limits | None = None) -> None:
    async with store.write() as connection:
        await teams.create(connection, Team(id="t", alias="newsroom", limits=team or Limits()))
        blank = VirtualKey(hash="k", masked="sk-...1234", team_id="t", limits=key or Limits())
        await keys.create(connection, blank)


async def begin(store: Store, number: int, least: int = 0, most: int = 0, now: datetime = NOW) -> int:
    async with store.write() as connection:
        return await upload_leases.begin(connection, lease(number), least, max(least, most), now)


async def uploaded(store: Store, size: int, at: datetime, key_hash: str = "k") -> None:
    async with store.write() as connection:
        await uploads.record(
            connection,
            url=f"https://cdn.assemblyai.com/upload/{at:%d%H%M%S}/{size}",
            region=Region.US,
            owner="team:t",
            key_hash=key_hash,
            team_id="t",
            size_bytes=size,
            created_at=at,
        )


@pytest.mark.parametrize("of", ["key", "team"])
async def test_an_upload_too_many_is_refused_until_one_has_ended(store: Store, of: str) -> None:
    await make(store, **{of: Limits(concurrent_uploads=2)})
    await begin(store, 1)
    await begin(store, 2)
    with pytest.raises(TooManyRequests, match="may have 2 uploads under way at once") as refused:
        await begin(store, 3)
    assert "5" == refused.value.headers["retry-after"]
    async with store.write() as connection:
        await upload_leases.end(connection, lease(1))
    await begin(store, 3)


async def test_what_a_dead_process_reserved_expires_and_a_living_one_renews(store: Store) -> None:
    await make(store, team=Limits(concurrent_uploads=1, upload_bytes_per_day=100))
    await begin(store, 1, 100)
    async with store.write() as connection:
        await upload_leases.renew(connection, lease(1), 100, NOW + LIFE / 2)
    with pytest.raises(TooManyRequests):
        await begin(store, 2, 1, now=NOW + LIFE)
    assert 100 == await begin(store, 2, 100, now=NOW + LIFE * 1.5)
    async with store.read() as connection:
        assert ["lease-2"] == list(await connection.scalars(sa.select(table.c.id)))


async def test_a_day_is_what_was_uploaded_since_midnight_and_what_is_reserved(store: Store) -> None:
    await make(store, team=Limits(upload_bytes_per_day=1000))
    midnight = NOW.replace(hour=0)
    await uploaded(store, 900, midnight - timedelta(seconds=1))
    await uploaded(store, 300, midnight)
    await uploaded(store, 200, NOW, key_hash="another")
    assert 400 == await begin(store, 1, 400)
    with pytest.raises(TooManyRequests) as refused:
        await begin(store, 2, 101)
    assert "21600" == refused.value.headers["retry-after"]
    told = "Too Many Requests: Team newsroom may upload 1,000 bytes a day (UTC) and has 100 left."
    assert told == refused.value.text
    assert 100 == await begin(store, 3, 100)
    assert 1000 == await begin(store, 4, 1000, now=midnight + timedelta(days=1))


async def test_an_upload_of_unknown_length_gets_what_is_left_and_no_more(store: Store) -> None:
    await make(store, team=Limits(upload_bytes_per_day=1000), key=Limits(upload_bytes_per_day=700))
    assert 500 == await begin(store, 1, 0, 500)
    async with store.write() as connection:
        assert 700 == await upload_leases.reserve(connection, lease(1), 600, 900, NOW)
    with pytest.raises(TooManyRequests, match="has 700 left"):
        async with store.write() as connection:
            await upload_leases.reserve(connection, lease(1), 701, 900, NOW)


async def test_of_many_uploads_at_once_exactly_what_may_gets_in(store: Store, store_url: str) -> None:
    await make(store, team=Limits(concurrent_uploads=20, upload_bytes_per_day=700), key=Limits(9))
    other = await Store.open(store_url)
    let_in: list[int] = []

    async def one(number: int) -> None:
        try:
            let_in.append(await begin((store, other)[number % 2], number, 100))
        except TooManyRequests:
            return

    await asyncio.gather(*(one(number) for number in range(30)))
    await other.close()
    assert [100] * 7 == let_in

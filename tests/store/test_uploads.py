from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import sqlalchemy as sa

from aai_gateway.core.regions import Region
from aai_gateway.store import Store, uploads
from aai_gateway.store.schema import uploads as table

URL = "https://cdn.assemblyai.com/upload/0123/4567"
MINE = {
    "url": URL,
    "region": Region.EU,
    "owner": "team:t1",
    "key_hash": "k1",
    "team_id": "t1",
    "size_bytes": 3_000_000_000,
    "created_at": datetime(2026, 11, 21, tzinfo=timezone.utc),
}


async def test_an_upload_is_its_first_owners(store: Store) -> None:
    async with store.write() as connection:
        assert await uploads.record(connection, **MINE) is True
        assert await uploads.record(connection, **{**MINE, "owner": "team:t2"}) is False
        assert "team:t1" == (await uploads.get(connection, Region.EU, URL)).owner


async def test_an_upload_is_known_by_its_exact_url_in_its_region(store: Store) -> None:
    async with store.write() as connection:
        await uploads.record(connection, **MINE)
        assert await uploads.get(connection, Region.US, URL) is None
        assert await uploads.get(connection, Region.EU, f"{URL}?") is None


async def test_an_upload_has_the_length_that_its_bytes_told(store: Store) -> None:
    plain = uploads.Upload(Region.EU, "team:t1", "k1", 3_000_000_000, None, None, MINE["created_at"])
    async with store.write() as connection:
        await uploads.record(connection, **MINE)
        await uploads.record(connection, **{**MINE, "url": f"{URL}8"}, duration_ms=7_300, channels=2)

        assert plain == await uploads.get(connection, Region.EU, URL)
        assert replace(plain, duration_ms=7_300, channels=2) == await uploads.get(
            connection, Region.EU, f"{URL}8"
        )


async def test_the_url_itself_is_not_stored(store: Store) -> None:
    async with store.write() as connection:
        await uploads.record(connection, **MINE)
        row = (await connection.execute(sa.select(table))).one()

    assert URL not in repr(row)
    assert 3_000_000_000 == row.size_bytes

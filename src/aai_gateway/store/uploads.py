"""Who uploaded what. An upload's URL is a capability, so its SHA-256 is stored instead."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import uploads


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload: whose it is, its size, its audio's length (ms) and channels where its bytes told them."""

    region: Region
    owner: str
    key_hash: str | None
    size_bytes: int
    duration_ms: int | None
    channels: int | None
    created_at: datetime


async def record(
    connection: AsyncConnection,
    *,
    url: str,
    region: Region,
    owner: str,
    key_hash: str | None,
    team_id: str | None,
    size_bytes: int,
    created_at: datetime,
    duration_ms: int | None = None,
    channels: int | None = None,
) -> bool:
    """Note whose upload a URL is. Its first owner keeps it; whether this was the first."""
    return await insert_new(
        connection,
        uploads,
        {
            "region": region.value,
            "url_hash": _hash(url),
            "owner": owner,
            "key_hash": key_hash,
            "team_id": team_id,
            "size_bytes": size_bytes,
            "created_at": created_at,
            "duration_ms": duration_ms,
            "channels": channels,
        },
    )


async def get(connection: AsyncConnection, region: Region, url: str) -> Upload | None:
    """The upload at exactly this URL."""
    query = sa.select(uploads).where(uploads.c.region == region.value, uploads.c.url_hash == _hash(url))
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        return None
    return Upload(
        region=Region(row["region"]),
        owner=row["owner"],
        key_hash=row["key_hash"],
        size_bytes=row["size_bytes"],
        duration_ms=row["duration_ms"],
        channels=row["channels"],
        created_at=row["created_at"],
    )


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()

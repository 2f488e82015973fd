"""Who uploaded what. An upload's URL is a capability, so its SHA-256 is stored instead."""

from __future__ import annotations

import hashlib
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import uploads


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
        },
    )


async def owner_of(connection: AsyncConnection, region: Region, url: str) -> str | None:
    """The owner of the upload at exactly this URL."""
    query = sa.select(uploads.c.owner).where(
        uploads.c.region == region.value, uploads.c.url_hash == _hash(url)
    )
    owner: str | None = await connection.scalar(query)
    return owner


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()

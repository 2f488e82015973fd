"""A store of its own for each test: a SQLite file, and Postgres too where there is one.

AAI_GATEWAY_TEST_POSTGRES is its URL. The tests drop our schema in it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from aai_gateway.store import Store
from aai_gateway.store.engine import make_engine, parse_url
from aai_gateway.store.schema import POSTGRES_SCHEMA

POSTGRES_URL = os.environ.get("AAI_GATEWAY_TEST_POSTGRES")


@pytest.fixture(params=["sqlite", "postgres"] if POSTGRES_URL else ["sqlite"])
async def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'gateway.db'}"
    engine = make_engine(parse_url(POSTGRES_URL))
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {POSTGRES_SCHEMA} CASCADE"))
    await engine.dispose()
    return POSTGRES_URL


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = await Store.open(store_url)
    yield store
    await store.close()

"""A gateway of its own for each test, on a copy of a store that is migrated once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from dashboard_client import browser
from opened_gateway import opened_gateway

from aai_gateway.emulator import Emulator
from aai_gateway.gateway.context import Gateway


@pytest.fixture(scope="session")
def opened_once(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gateway with its one team, closed again."""
    folder = tmp_path_factory.mktemp("opened")

    async def once() -> None:
        async with opened_gateway(emulator, folder):
            pass

    asyncio.run(once())
    return folder


@pytest.fixture
async def gateway(emulator: Emulator, opened_once: Path, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway with one team, in the test's own folder."""
    shutil.copy2(opened_once / "gateway.db", tmp_path)
    async with opened_gateway(emulator, tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is not signed in."""
    async with browser(gateway) as client:
        yield client

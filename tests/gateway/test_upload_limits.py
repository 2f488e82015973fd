"""Uploads on the speech route: refused before they are read, cut off on their way, given back at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from opened_gateway import TEAM, opened_gateway, speech_client
from waiting import comes

from aai_gateway.core.limits import Limits
from aai_gateway.emulator import Emulator
from aai_gateway.gateway import upload_limits
from aai_gateway.gateway.context import Gateway
from aai_gateway.store import teams
from aai_gateway.store.schema import upload_leases, uploads

UPLOAD = "/assemblyai/v2/upload"


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    emulator.faults.clear()
    async with opened_gateway(emulator, tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with speech_client(gateway) as client:
        yield client


async def limit(gateway: Gateway, **limits: int) -> None:
    async with gateway.store.write() as connection:
        await teams.update(connection, TEAM, limits=Limits(**limits))


async def rows(gateway: Gateway, table: sa.Table) -> int:
    async with gateway.store.read() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def pieces(count: int, size: int, gate: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for number in range(count):
        if number and gate is not None:
            await gate.wait()
        yield bytes(size)


async def test_an_upload_that_says_its_length_is_refused_unread(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator
):
    await limit(gateway, upload_bytes_per_day=1000)
    assert 200 == (await client.post(UPLOAD, content=bytes(600))).status_code
    asked = len(emulator.requests)
    answer = await client.post(UPLOAD, content=bytes(401))
    told = f"Too Many Requests: Team {TEAM} may upload 1,000 bytes a day (UTC) and has 400 left."
    assert (429, {"error": told}) == (answer.status_code, answer.json())
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    assert [] == emulator.requests[asked:]
    assert 200 == (await client.post(UPLOAD, content=bytes(400))).status_code
    assert (2, 0) == (await rows(gateway, uploads), await rows(gateway, upload_leases))


async def test_an_upload_of_unknown_length_is_cut_off_when_the_day_has_no_more(
    gateway: Gateway, client: httpx.AsyncClient, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(upload_limits, "AHEAD", 100)
    await limit(gateway, upload_bytes_per_day=1000)
    assert 200 == (await client.post(UPLOAD, content=pieces(6, 100))).status_code
    answer = await client.post(UPLOAD, content=pieces(9, 100))
    assert (429, True) == (answer.status_code, answer.json()["error"].endswith("has 400 left."))
    assert (1, 0) == (await rows(gateway, uploads), await rows(gateway, upload_leases))
    assert 200 == (await client.post(UPLOAD, content=pieces(4, 100))).status_code


async def test_an_upload_under_way_has_its_place_until_it_ends_however_it_ends(
    gateway: Gateway, client: httpx.AsyncClient
):
    await limit(gateway, concurrent_uploads=1)
    for leave in (False, True):
        gate = asyncio.Event()
        first = asyncio.ensure_future(client.post(UPLOAD, content=pieces(3, 10, gate)))
        await comes(lambda: rows(gateway, upload_leases))
        answer = await client.post(UPLOAD, content=b"x")
        assert (429, "5") == (answer.status_code, answer.headers["retry-after"])
        if leave:
            first.cancel()
            await asyncio.wait([first])
        else:
            gate.set()
            assert 200 == (await first).status_code
        assert 200 == (await client.post(UPLOAD, content=b"x")).status_code


async def test_who_has_no_limit_of_uploads_writes_no_lease(
    gateway: Gateway, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr(upload_limits.upload_leases, "begin")
    await limit(gateway, concurrent_jobs=1, requests_per_minute=100)
    assert 200 == (await client.post(UPLOAD, content=pieces(3, 10))).status_code

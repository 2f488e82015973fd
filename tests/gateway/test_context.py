from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from stored import usage_rows
from waiting import until

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import VirtualKey, hash_key
from aai_gateway.emulator import Emulator
from aai_gateway.errors import StoreError
from aai_gateway.gateway.context import Runtime
from aai_gateway.settings import Settings
from aai_gateway.store import Store, keys, transcripts
from aai_gateway.store.transcripts import Transcript

HELLO = "https://example.org/audio.wav"


async def test_a_store_that_is_away_at_the_start_only_delays_the_settling(emulator: Emulator, tmp_path: Path):
    headers = {"Authorization": emulator.config.account_key}
    async with httpx.AsyncClient(base_url=emulator.urls.us, headers=headers) as assemblyai:
        made = (await assemblyai.post("/v2/transcript", json={"audio_url": HELLO})).json()["id"]
        while (await assemblyai.get(f"/v2/transcript/{made}")).json()["status"] != "completed":
            pass
    in_the_way = tmp_path / "data"
    in_the_way.write_text("")
    runtime = Runtime(
        Settings(
            assemblyai_api_key=emulator.config.account_key,
            us_url=emulator.urls.us,
            eu_url=emulator.urls.eu,
            data_dir=in_the_way,
            settle_interval=0.05,
        )
    )
    runtime.start()
    with pytest.raises(StoreError):
        await runtime.ready()
    in_the_way.unlink()
    store = await Store.open(f"sqlite:///{in_the_way / 'gateway.db'}")
    job = Transcript(id=made, region=Region.US, owner="master", audio_url=HELLO, next_check_at=utc_now())
    async with store.write() as connection:
        await transcripts.record(connection, job)
    await store.close()
    rows = await asyncio.to_thread(until, lambda: usage_rows(in_the_way / "gateway.db"))
    assert [made] == [row.source_id for row in rows]
    await runtime.close()


async def test_a_runtime_that_is_stopped_writes_when_keys_were_used(emulator: Emulator, tmp_path: Path):
    runtime = Runtime(Settings(us_url=emulator.urls.us, eu_url=emulator.urls.eu, data_dir=tmp_path))
    runtime.start()
    gateway = await runtime.ready()
    async with gateway.store.write() as connection:
        await keys.create(connection, VirtualKey(hash_key("sk-a-key"), "sk-...-key"))
    await gateway.identity.caller_of_key("sk-a-key")
    await runtime.stop()
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    async with store.read() as connection:
        [key] = await keys.list_all(connection)
    await store.close()
    assert key.last_used_at is not None


async def test_a_runtime_that_is_stopped_has_nothing_open(emulator: Emulator, tmp_path: Path):
    runtime = Runtime(Settings(us_url=emulator.urls.us, eu_url=emulator.urls.eu, data_dir=tmp_path))
    await runtime.stop()
    runtime.start()
    gateway = await runtime.ready()
    before = asyncio.all_tasks()
    await runtime.stop()
    assert {asyncio.current_task()} == before & asyncio.all_tasks()
    with pytest.raises(RuntimeError, match="closed"):
        async with gateway.upstream.request(Region.US, "GET", "/v2/transcript", headers={}):
            pass

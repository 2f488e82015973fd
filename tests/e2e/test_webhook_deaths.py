"""A gateway that is killed anywhere between AssemblyAI's call and the team's receiver: each event is told."""

from __future__ import annotations

import asyncio
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal

import httpx
import pytest
from account_books import read
from gateway_process import free_port
from light_gateway import Death, Nursery, wait_for_end, wait_until_serving
from waiting import until
from webhook_world import receiving

from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key
from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator, sample_path
from aai_gateway.store import Store, keys, teams

KEY = "sk-key-of-team"
ONE_ORDER_AT_A_TIME = threading.Lock()
WRITERS = (
    "submission._submit",
    "webhook_callbacks._receive",
    "webhook_delivery.begin_due",
    "webhook_delivery._note",
)


def make_store(path: Path) -> None:
    async def make() -> None:
        store = await Store.open(f"sqlite:///{path}")
        try:
            async with store.write() as connection:
                await teams.create(connection, Team(id="t", alias="t"))
                await keys.create(connection, VirtualKey(hash_key(KEY), mask_key(KEY), team_id="t"))
        finally:
            await store.close()

    asyncio.run(make())


def environment(emulator: Emulator, folder: Path, port: int) -> dict[str, str]:
    return {
        "ASSEMBLYAI_API_KEY": emulator.config.account_key,
        "AAI_GATEWAY_US_URL": emulator.urls.us,
        "AAI_GATEWAY_EU_URL": emulator.urls.eu,
        "AAI_GATEWAY_DATA_DIR": str(folder),
        "AAI_GATEWAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "AAI_GATEWAY_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        "AAI_GATEWAY_SETTLE_AFTER": "0.5",
        "AAI_GATEWAY_SETTLE_INTERVAL": "0.1",
        "AAI_GATEWAY_RECOVER_AFTER": "1.0",
    }


def unfinished(store: Path) -> bool:
    query = (
        "SELECT (SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NOT NULL) AS delivered, "
        "(SELECT count(*) FROM usage) AS settled"
    )
    return {"delivered": 2, "settled": 1} != dict(*read(store, query))


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory):
    with Nursery(tmp_path_factory.mktemp("nursery") / "light.log") as nursery:
        yield nursery


def one_death(nursery: Nursery, folder: Path, writer: str, moment: Literal["before", "after"]) -> bool:
    """Whether the gateway died; each event was told to the team in the end, in order."""
    port = free_port()
    with running_emulator(EmulatorConfig(job_seconds=0.1)) as emulator, receiving() as receiver:
        variables = environment(emulator, folder, port)
        death = Death(str(folder / "writes"), 1, writer, moment)
        with ONE_ORDER_AT_A_TIME:
            pid = nursery.start(variables, port, death)
        assert wait_until_serving(pid, port)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": KEY}, timeout=60
        ) as client:
            audio = sample_path("hello").read_bytes()
            uploaded = client.post("/assemblyai/v2/upload", content=audio)
            assert uploaded.is_success, uploaded.text
            body = {
                "audio_url": uploaded.json()["upload_url"],
                "webhook_url": receiver.url,
                "redact_pii": True,
                "redact_pii_audio": True,
            }
            with suppress(httpx.TransportError):
                client.post("/assemblyai/v2/transcript", json=body)
        with suppress(TimeoutError):
            wait_for_end(pid, 30)
            with ONE_ORDER_AT_A_TIME:
                pid = nursery.start(variables, port)
        died = (folder / "writes").read_text().splitlines().count(writer) == 1
        until(lambda: not unfinished(folder / "gateway.db"))
        nursery.kill(pid)
        [job] = [job.id for job in emulator.jobs()]
        ended = {"transcript_id": job, "status": "completed"}
        numbers = [int(headers["x-aai-gateway-delivery"]) for headers in receiver.headers]
        told = [body == ended for body in receiver.told]
    # What was told twice has the same number; the second event came after the first.
    assert [True, False] == [one for one, _ in dict.fromkeys(zip(told, numbers, strict=True))]
    assert sorted(told, reverse=True) == told
    return died


def test_no_event_is_lost_and_their_order_stays(nursery: Nursery, tmp_path: Path):
    make_store(tmp_path / "empty.db")
    deaths = [(writer, moment) for writer in WRITERS for moment in ("before", "after")]

    def one(place: tuple[str, Literal["before", "after"]]) -> bool:
        folder = tmp_path / "-".join(place)
        folder.mkdir()
        shutil.copy(tmp_path / "empty.db", folder / "gateway.db")
        return one_death(nursery, folder, *place)

    with ThreadPoolExecutor(len(deaths)) as pool:
        assert dict.fromkeys(deaths, True) == dict(zip(deaths, pool.map(one, deaths), strict=True))

"""Many jobs at once, at several workers: what is let in is what there is money for, to the micro-dollar."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from gateway_process import GatewayProcess, TeamAccess, running_gateway
from waiting import until

from aai_gateway.core.budgets import Budget
from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator, sample_path
from aai_gateway.store import Store, gateway_budget, holds, keys, teams
from aai_gateway.store.engine import make_engine, parse_url
from aai_gateway.store.schema import POSTGRES_SCHEMA

POSTGRES_URL = os.environ.get("AAI_GATEWAY_TEST_POSTGRES")
SUBMIT = "/assemblyai/v2/transcript"
ROOM, SENT = 10, 200
SOON = {"AAI_GATEWAY_SETTLE_AFTER": "0.5", "AAI_GATEWAY_SETTLE_INTERVAL": "0.3"}
# uvicorn ends a worker that does not answer it within 5 s, as one that still starts on a busy machine.
WORKERS = ("--timeout_worker_healthcheck", "60", "--num_workers")
REFUSED = "Budget has been exceeded! {} has spent "


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An account that only the gateways here use. First jobs may be charged before the last ones come."""
    with running_emulator(EmulatorConfig(job_seconds=1)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def workers(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway of three workers."""
    folder = tmp_path_factory.mktemp("workers")
    with running_gateway(emulator, folder, *WORKERS, "3", **SOON) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def cost(workers: GatewayProcess) -> int:
    """What the sample costs, in micro-dollars: its length is known, so what is held is what is charged."""
    team = workers.team()
    answer = httpx.post(
        workers.url + SUBMIT, headers=team.bearer, json={"audio_url": upload(workers, team)}
    ).raise_for_status()
    return micros(answer.headers["x-aai-gateway-held-cost"])


def micros(usd: str) -> int:
    return int(Decimal(usd) * 1_000_000)


def usd(micros: int) -> str:
    return str(Decimal(micros) / 1_000_000)


def upload(gateway: GatewayProcess, team: TeamAccess) -> str:
    audio = sample_path("interview").read_bytes()
    answer = httpx.post(f"{gateway.url}/assemblyai/v2/upload", headers=team.bearer, content=audio, timeout=60)
    return str(answer.raise_for_status().json()["upload_url"])


def all_at_once(
    gateways: Sequence[GatewayProcess], jobs: Sequence[tuple[dict[str, str], str]]
) -> list[httpx.Response]:
    """Submit all at once, each on a connection of its own, the gateways in turn."""

    async def send() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(timeout=120, limits=limits) as client:
            return await asyncio.gather(
                *(
                    client.post(
                        gateways[number % len(gateways)].url + SUBMIT,
                        headers=headers,
                        json={"audio_url": url},
                    )
                    for number, (headers, url) in enumerate(jobs)
                )
            )

    return asyncio.run(send())


def forwarded(emulator: Emulator) -> int:
    """How many submissions have reached AssemblyAI."""
    return sum((r.method, r.path) == ("POST", "/v2/transcript") for r in emulator.requests)


def require_ten_of_them(answers: list[httpx.Response], cost: int, who: str) -> None:
    """Ten were let in, each to what the one before left; the others were told why."""
    assert {200: ROOM, 400: SENT - ROOM} == Counter(answer.status_code for answer in answers)
    taken = [answer.headers for answer in answers if answer.status_code == 200]
    assert {cost} == {micros(headers["x-aai-gateway-held-cost"]) for headers in taken}
    assert [cost * left for left in range(ROOM)] == sorted(
        micros(headers["x-aai-gateway-budget-remaining"]) for headers in taken
    )
    for answer in answers:
        if answer.status_code == 400:
            assert ["error"] == list(answer.json())
            assert answer.json()["error"].startswith(REFUSED.format(who))


def stored(url: str, work: Any) -> Any:
    async def read() -> Any:
        store = await Store.open(url)
        try:
            async with store.read() as connection:
                return await work(connection)
        finally:
            await store.close()

    return asyncio.run(read())


def require_spent(url: str, cost: int, budget: Any) -> None:
    """Once all are settled, the ten have taken the budget to the micro-dollar, and nothing is held."""

    def settled() -> Budget | None:
        found: Budget = stored(url, budget)
        return found if found.held_micros == 0 else None

    found = until(settled, 90)
    assert (ROOM * cost, ROOM * cost, 0) == (found.max_micros, found.spent_micros, found.left_micros)


def sqlite_url(gateway: GatewayProcess) -> str:
    return f"sqlite:///{gateway.store_path}"


def test_a_team_with_room_for_ten(workers: GatewayProcess, emulator: Emulator, cost: int):
    team = workers.team(max_budget=usd(ROOM * cost))
    url, before = upload(workers, team), forwarded(emulator)

    answers = all_at_once([workers], [(team.bearer, url)] * SENT)

    require_ten_of_them(answers, cost, f"Team {team.alias}")
    assert ROOM == forwarded(emulator) - before

    async def budget(connection: Any) -> Budget:
        found = await teams.by_id(connection, team.id)
        assert found is not None
        return found.budget

    require_spent(sqlite_url(workers), cost, budget)
    assert 400 == httpx.post(workers.url + SUBMIT, headers=team.bearer, json={"audio_url": url}).status_code


def test_a_key_with_room_for_ten(workers: GatewayProcess, emulator: Emulator, cost: int):
    team = workers.team(max_budget=usd(SENT * cost))
    body = {"team_id": team.id, "key_alias": f"narrow-{team.alias}", "max_budget": usd(ROOM * cost)}
    with workers.admin() as admin:
        made = admin.post("/key/generate", json=body).raise_for_status().json()
    url, before = upload(workers, team), forwarded(emulator)

    answers = all_at_once([workers], [({"Authorization": made["key"]}, url)] * SENT)

    require_ten_of_them(answers, cost, f"Key {made['key_alias']}")
    assert ROOM == forwarded(emulator) - before

    async def budget(connection: Any) -> Budget:
        found = await keys.by_hash(connection, made["token"])
        assert found is not None
        return found.budget

    require_spent(sqlite_url(workers), cost, budget)


def test_a_gateway_with_room_for_ten_of_any_team(emulator: Emulator, cost: int, tmp_path: Path):
    limits = {"AAI_GATEWAY_MAX_BUDGET": usd(ROOM * cost), "AAI_GATEWAY_BUDGET_DURATION": "30d"}
    with running_gateway(emulator, tmp_path, *WORKERS, "3", **limits, **SOON) as gateway:
        callers = [gateway.team() for _ in range(4)]
        jobs = [(team.bearer, upload(gateway, team)) for team in callers]
        before = forwarded(emulator)

        answers = all_at_once([gateway], jobs * (SENT // 4))

        require_ten_of_them(answers, cost, "The gateway")
        assert ROOM == forwarded(emulator) - before

        async def budget(connection: Any) -> Budget:
            return (await gateway_budget.get(connection))[0]

        require_spent(sqlite_url(gateway), cost, budget)
        assert [] == stored(sqlite_url(gateway), holds.list_all)


@pytest.mark.skipif(POSTGRES_URL is None, reason="AAI_GATEWAY_TEST_POSTGRES names no Postgres")
def test_two_gateways_on_one_postgres(emulator: Emulator, cost: int, tmp_path: Path):
    assert POSTGRES_URL is not None

    async def empty() -> None:
        engine = make_engine(parse_url(POSTGRES_URL))
        async with engine.begin() as connection:
            await connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {POSTGRES_SCHEMA} CASCADE"))
        await engine.dispose()

    asyncio.run(empty())
    shared = {"AAI_GATEWAY_STORE_URL": POSTGRES_URL, **SOON}
    with (
        running_gateway(emulator, tmp_path / "a", *WORKERS, "2", **shared) as one,
        running_gateway(emulator, tmp_path / "b", **shared) as other,
    ):
        team = one.team(max_budget=usd(ROOM * cost))
        url, before = upload(other, team), forwarded(emulator)

        answers = all_at_once([one, other], [(team.bearer, url)] * SENT)

        require_ten_of_them(answers, cost, f"Team {team.alias}")
        assert ROOM == forwarded(emulator) - before

        async def budget(connection: Any) -> Budget:
            found = await teams.by_id(connection, team.id)
            assert found is not None
            return found.budget

        require_spent(POSTGRES_URL, cost, budget)

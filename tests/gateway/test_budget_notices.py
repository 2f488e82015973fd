"""Spent soft budgets are told once, in LiteLLM's shape, by whichever process is there."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from recording_upstream import BODY, RecordingUpstream, answering, recording_upstream
from waiting import until

from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.gateway import budget_notices as module
from aai_gateway.gateway.budget_notices import BudgetNotices
from aai_gateway.settings import Settings
from aai_gateway.store import Store, gateway_budget, keys, notices, teams, usage
from aai_gateway.store.usage import UsageRow

SECRET = "T0P/s3cret"
KEY = "k" * 64


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield store
    await store.close()


class Receiver:
    """A receiver of webhooks that keeps what it is told."""

    def __init__(self, server: RecordingUpstream) -> None:
        self.server = server
        self.told: list[dict[str, Any]] = []
        self.answer_with(200)

    def answer_with(self, status: int, headers: dict[str, str] | None = None) -> None:
        reply = answering({}, status, headers)

        async def answer(request: web.Request) -> web.StreamResponse:
            self.told.append(json.loads(request[BODY]))
            return await reply(request)

        self.server.answer = answer


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with recording_upstream() as server:
        yield Receiver(server)


def budget_notices(
    store: Store, receiver: Receiver | None, path: str = f"/hooks/{SECRET}", **more: Any
) -> BudgetNotices:
    url = f"{receiver.server.url}{path}" if receiver else None
    return BudgetNotices(Settings(budget_webhook=url, settle_interval=0.01, **more), store)


async def cross(store: Store, **soft: int) -> None:
    """Charge $0.25 to a key whose own, its team's or the gateway's soft budget is spent by it."""
    budgets = {name: Budget(1_000_000, "7d", soft_micros=micros) for name, micros in soft.items()}
    async with store.write() as connection:
        team = Team("t", "research", budget=budgets.get("team", Budget()))
        await teams.create(connection, team)
        key = VirtualKey(KEY, "sk-...1234", alias="laptop", team_id="t", user_id="ada")
        await keys.create(connection, key)
        await keys.update(connection, KEY, budget=budgets.get("key", Budget()))
        await gateway_budget.set_limits(connection, budgets.get("gateway", Budget()), utc_now())
        row = UsageRow("chat", "c1", Region.US, "team:t", 250_000, team_id="t", key_hash=KEY)
        await usage.record(connection, row)


async def change(store: Store, notice_id: int, **values: Any) -> None:
    async with store.write() as connection:
        await connection.execute(
            notices.notices.update().where(notices.notices.c.id == notice_id).values(values)
        )


async def rows(store: Store) -> list[Any]:
    async with store.read() as connection:
        return list((await connection.execute(notices.notices.select())).mappings())


async def test_each_crossed_budget_is_told_in_litellms_shape(store: Store, receiver: Receiver) -> None:
    from litellm.proxy._types import WebhookEvent

    await cross(store, key=100_000, team=250_000, gateway=200_000)

    assert 3 == await budget_notices(store, receiver).tell_due()

    told = {event["event_group"]: event for event in receiver.told}
    assert {"key", "team", "proxy"} == told.keys()
    for event in receiver.told:
        assert "soft_budget_crossed" == WebhookEvent.model_validate(event).event
        assert (0.25, 1.0, "7d") == (event["spend"], event["max_budget"], event["budget_duration"])
    assert [0.1, 0.25, 0.2] == [told[group]["soft_budget"] for group in ("key", "team", "proxy")]
    names = ("token", "key_alias", "user_id", "team_id", "team_alias")
    assert (KEY, "laptop", "ada", "t", "research") == tuple(told["key"][n] for n in names)
    assert (None, None, None, "t", "research") == tuple(told["team"][n] for n in names)
    assert (None, None, None, None, None) == tuple(told["proxy"][n] for n in names)
    assert (
        "Soft Budget Crossed: Team research has spent $0.250000 of its soft budget of $0.250000."
        == told["team"]["event_message"]
    )
    async with store.read() as connection:
        team = await teams.by_id(connection, "t")
    assert team is not None and team.budget.resets_at is not None
    ends = datetime.fromisoformat(told["team"]["budget_reset_at"].replace("Z", "+00:00"))
    assert team.budget.resets_at == ends


async def test_it_is_told_once_with_its_id_and_nothing_of_ours(store: Store, receiver: Receiver) -> None:
    await cross(store, team=100_000)
    teller = budget_notices(store, receiver)

    assert [1, 0] == [await teller.tell_due(), await teller.tell_due()]

    [request] = receiver.server.requests
    [event] = receiver.told
    assert ("POST", f"/hooks/{SECRET}") == (request.method, request.path)
    assert [str(event["id"])] == request.header("x-aai-gateway-notice-id")
    assert [] == request.header("authorization") + request.header("cookie")
    [row] = await rows(store)
    assert (None, 1) == (row["next_attempt_at"], row["attempts"])
    assert row["delivered_at"] is not None


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
async def test_what_is_not_taken_is_tried_again_later(
    store: Store, receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    await cross(store, team=100_000)
    receiver.answer_with(status, {"Location": "/elsewhere"} if status == 301 else None)
    teller = budget_notices(store, receiver)

    waits = []
    for _ in range(3):
        before = utc_now()
        assert [1, 0] == [await teller.tell_due(), await teller.tell_due()]
        [row] = await rows(store)
        assert row["delivered_at"] is None
        waits.append(round((row["next_attempt_at"] - before).total_seconds()))
        await change(store, row["id"], next_attempt_at=utc_now())
    receiver.answer_with(204)
    await teller.tell_due()

    assert sorted(waits) == waits and waits[0] < waits[2]
    assert {f"/hooks/{SECRET}"} == {request.path for request in receiver.server.requests}
    assert [1] * 4 == [event["id"] for event in receiver.told]
    assert (await rows(store))[0]["delivered_at"] is not None
    assert f"HTTP {status}" in caplog.text and "s3cret" not in caplog.text


async def test_a_receiver_that_is_away_or_silent_is_told_later(
    store: Store, receiver: Receiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cross(store, team=100_000)
    settings = Settings(budget_webhook=f"http://127.0.0.1:9/{SECRET}")
    assert 1 == await BudgetNotices(settings, store).tell_due()
    await change(store, 1, next_attempt_at=utc_now())

    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    receiver.server.answer = silent
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.1)
    assert 1 == await budget_notices(store, receiver).tell_due()

    [row] = await rows(store)
    assert (2, None) == (row["attempts"], row["delivered_at"])
    assert row["next_attempt_at"] > utc_now()
    assert "ClientConnectorError" in caplog.text and "TimeoutError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_after_a_day_it_is_given_up_and_said(
    store: Store, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    await cross(store, team=100_000)
    receiver.answer_with(500)
    await change(store, 1, created_at=utc_now() - module.GIVE_UP)
    teller = budget_notices(store, receiver)

    assert [1, 0] == [await teller.tell_due(), await teller.tell_due()]

    [row] = await rows(store)
    assert (None, None) == (row["delivered_at"], row["next_attempt_at"])
    assert "given up" in caplog.text and "Team research has spent" in caplog.text


async def test_without_a_webhook_it_is_only_logged_and_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await cross(store, team=100_000, gateway=100_000)
    teller = budget_notices(store, None)
    with caplog.at_level(logging.WARNING, "aai_gateway"):
        assert [2, 0] == [await teller.tell_due(), await teller.tell_due()]

    assert 1 == caplog.text.count("Team research has spent $0.250000")
    assert 1 == caplog.text.count("The gateway has spent $0.250000")
    assert [None, None] == [row["next_attempt_at"] for row in await rows(store)]


async def test_processes_share_the_work_and_a_dead_ones_notice_is_told_by_another(
    store: Store, receiver: Receiver
) -> None:
    await cross(store, team=100_000)
    async with store.write() as connection:
        [claimed] = await notices.claim_due(connection, utc_now(), utc_now() + module.LEASE, 5)
    assert 1 == claimed.attempts
    tellers = [budget_notices(store, receiver) for _ in range(4)]
    assert [0] * 4 == [await teller.tell_due() for teller in tellers]

    await change(store, 1, next_attempt_at=utc_now() - timedelta(seconds=1))
    assert 1 == sum(await asyncio.gather(*(teller.tell_due() for teller in tellers)))
    assert 1 == len(receiver.told)


async def test_it_goes_on_after_whatever_happened_and_ends_when_cancelled(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0
    tell_due = BudgetNotices.tell_due

    async def odd(self: BudgetNotices) -> int:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise KeyError("name")
        return await tell_due(self)

    monkeypatch.setattr(BudgetNotices, "tell_due", odd)
    await cross(store, team=100_000)
    running = asyncio.create_task(budget_notices(store, receiver).run())
    await asyncio.to_thread(until, lambda: receiver.told)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

"""Deliveries reach the team's own receiver, in order, whatever happens in between."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from waiting import comes
from webhook_world import Receiver, job_with_webhook, receiving

from aai_gateway.core import webhooks as rules
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.webhooks import Event, Kind, transcript_event
from aai_gateway.errors import StoreError
from aai_gateway.gateway import webhook_delivery as module
from aai_gateway.gateway.webhook_delivery import WebhookDelivery
from aai_gateway.gateway.webhook_post import receivers_session
from aai_gateway.gateway.webhook_secrets import WebhookSecrets
from aai_gateway.settings import Settings
from aai_gateway.store import Store, transcripts, webhook_deliveries, webhooks
from aai_gateway.store.webhook_deliveries import Attempt, Delivery

SECRETS = WebhookSecrets("a secret of the tests")
AUDIO = {"status": "redacted_audio_ready", "redacted_audio_url": "https://s3/x"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield store
    await store.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "FIRST_WAIT", timedelta(0))
    monkeypatch.setattr(rules, "LONGEST_WAIT", timedelta(0))


def delivery_of(store: Store, **settings: Any) -> WebhookDelivery:
    given = {"webhook_allow_networks": "127.0.0.0/8", "settle_interval": 0.01, **settings}
    return WebhookDelivery(Settings(**given), store, SECRETS)


async def one_round(delivery: WebhookDelivery) -> int:
    """Deliver what is due, once; how many."""
    allowed = delivery._allowed
    async with receivers_session(allowed) as session:
        tasks = await delivery.begin_due(session)
        await asyncio.gather(*tasks)
    return len(tasks)


async def told_of(store: Store, name: str, url: str, *, audio: bool = False, **more: Any) -> None:
    webhook, job = await job_with_webhook(store, name, utc_now(), url=url, **more)
    async with store.write() as connection:
        await webhooks.note_event(connection, webhook, job, transcript_event(name, "completed"), utc_now())
        if audio:
            await webhooks.note_event(connection, webhook, job, Event(Kind.REDACTED_AUDIO, AUDIO), utc_now())


async def the_log(store: Store) -> list[tuple[Delivery, list[Attempt]]]:
    async with store.read() as connection:
        return list(reversed(await webhook_deliveries.log(connection)))


async def test_a_team_is_told_with_its_header_and_an_id(store: Store, receiver: Receiver):
    await told_of(store, "a", receiver.url, header=("X-Secret", SECRETS.seal("hush")))
    assert 1 == await one_round(delivery_of(store))
    assert [{"transcript_id": "a", "status": "completed"}] == receiver.told
    assert ["/hook?sig=%2Fx"] == receiver.paths
    [headers] = receiver.headers
    [(delivery, [attempt])] = await the_log(store)
    assert ("hush", "application/json", str(delivery.id)) == (
        headers["x-secret"],
        headers["content-type"],
        headers["x-aai-gateway-delivery"],
    )
    assert headers["user-agent"].startswith("aai-gateway/")
    assert ("delivered", 200, None) == (delivery.state, attempt.status, attempt.error)
    assert 0 == await one_round(delivery_of(store))


async def test_failures_are_tried_again_and_redacted_audio_waits_for_its_turn(
    store: Store, receiver: Receiver
):
    receiver.statuses = [500, 302, 429, 204]
    await told_of(store, "a", receiver.url, audio=True)
    while await one_round(delivery_of(store)):
        pass
    ended = {"transcript_id": "a", "status": "completed"}
    assert [ended, ended, ended, ended, AUDIO] == receiver.told
    first, second = await the_log(store)
    assert [500, 302, 429, 204] == [attempt.status for attempt in first[1]]
    assert ("delivered", "delivered") == (first[0].state, second[0].state)
    # Each attempt of one event has the same number.
    assert [first[0].id] * 4 + [second[0].id] == [int(h["x-aai-gateway-delivery"]) for h in receiver.headers]


@pytest.mark.parametrize(("statuses", "tries"), [([404], 1), ([503] * 10, 10)])
async def test_an_event_that_is_given_up_lets_the_next_one_through(
    store: Store, receiver: Receiver, statuses: list[int], tries: int, caplog: pytest.LogCaptureFixture
):
    receiver.statuses = list(statuses)
    await told_of(store, "a", receiver.url, audio=True, header=("X-Secret", SECRETS.seal("hush")))
    while await one_round(delivery_of(store)):
        pass
    assert tries + 1 == len(receiver.told) and AUDIO == receiver.told[-1]
    [(first, attempts), (second, _)] = await the_log(store)
    assert ("given_up", tries, "delivered") == (first.state, len(attempts), second.state)
    assert "was given up" in caplog.text
    assert "hush" not in caplog.text and "sig=" not in caplog.text


async def test_a_slow_receiver_holds_up_nobody_else(store: Store, receiver: Receiver):
    with receiving() as slow:
        slow.pause = 5.0
        for number in range(20):
            await told_of(store, f"slow-{number}", slow.url, owner="team:slow")
        running = asyncio.create_task(delivery_of(store).run())
        await comes(lambda: asyncio.sleep(0, len(slow.told) == module.OF_ONE_OWNER))
        await told_of(store, "a", receiver.url, owner="team:quick")
        await comes(lambda: asyncio.sleep(0, receiver.told))
        # No answer of the slow one's was awaited for it, and no more than its share is under way.
        assert module.OF_ONE_OWNER == len(slow.told)
        running.cancel()
        await asyncio.wait([running])


async def test_several_processes_deliver_each_event_once(store: Store, receiver: Receiver):
    for number in range(30):
        await told_of(store, f"job-{number}", receiver.url, owner=f"team:{number % 3}", audio=True)
    running = [asyncio.create_task(delivery_of(store).run()) for _ in range(4)]

    async def all_delivered() -> bool:
        return {"delivered"} == {delivery.state for delivery, _ in await the_log(store)}

    await comes(lambda: asyncio.sleep(0, len(receiver.told) >= 60))
    await comes(all_delivered)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    assert 60 == len(receiver.told)
    assert 30 == receiver.told.count(AUDIO)


async def test_what_was_claimed_by_a_killed_process_is_delivered_when_its_lease_ends(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    await told_of(store, "a", receiver.url)
    monkeypatch.setattr(module, "LEASE", timedelta(seconds=0.05))
    async with store.write() as connection:
        now = utc_now()
        assert await webhook_deliveries.claim_due(connection, {"team:t": 1}, now, now + module.LEASE)
    assert [] == receiver.told
    await comes(lambda: one_round(delivery_of(store)))
    assert 1 == len(receiver.told)


async def test_what_could_not_be_noted_is_delivered_again_under_the_same_id(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    record = webhook_deliveries.record_attempt

    async def full(*_: Any) -> None:
        monkeypatch.setattr(webhook_deliveries, "record_attempt", record)
        raise StoreError("The store cannot be written: database or disk is full")

    monkeypatch.setattr(webhook_deliveries, "record_attempt", full)
    monkeypatch.setattr(module, "LEASE", timedelta(seconds=0.05))
    await told_of(store, "a", receiver.url)
    running = asyncio.create_task(delivery_of(store).run())
    await comes(lambda: asyncio.sleep(0, len(receiver.told) == 2))
    running.cancel()
    await asyncio.wait([running])
    assert 1 == len({headers["x-aai-gateway-delivery"] for headers in receiver.headers})
    assert "could not be noted" in caplog.text


async def test_nobody_is_told_of_a_transcript_that_is_anothers_by_now(store: Store, receiver: Receiver):
    await told_of(store, "a", receiver.url, audio=True)
    async with store.write() as connection:
        jobs = transcripts.transcripts
        await connection.execute(jobs.update().values(owner="team:new"))
    while await one_round(delivery_of(store)):
        pass
    assert [] == receiver.told
    assert {"given_up"} == {delivery.state for delivery, _ in await the_log(store)}


async def test_of_a_deleted_transcript_the_end_is_told_and_not_the_audio(store: Store, receiver: Receiver):
    await told_of(store, "a", receiver.url, audio=True)
    async with store.write() as connection:
        await transcripts.mark_deleted(connection, Region.US, "a", utc_now())
    while await one_round(delivery_of(store)):
        pass
    assert [{"transcript_id": "a", "status": "completed"}] == receiver.told
    [_, (audio, [attempt])] = await the_log(store)
    assert ("given_up", "not sent: the transcript was deleted") == (audio.state, attempt.error)


async def test_a_receiver_inside_is_not_called(store: Store, receiver: Receiver):
    await told_of(store, "a", receiver.url)
    assert 1 == await one_round(delivery_of(store, webhook_allow_networks=""))
    [(delivery, [attempt])] = await the_log(store)
    assert ("pending", None, "no public address") == (delivery.state, attempt.status, attempt.error)
    assert [] == receiver.told


async def test_a_job_that_was_settled_without_assemblyais_call_is_told_of(store: Store, receiver: Receiver):
    old = utc_now() - timedelta(minutes=3)
    await job_with_webhook(store, "a", old, url=receiver.url, settled_at=old)
    await job_with_webhook(store, "b", old, url=receiver.url, settled_at=utc_now())
    assert [1, 0] == [await delivery_of(store).note_overlooked() for _ in range(2)]
    await one_round(delivery_of(store))
    assert [{"transcript_id": "a", "status": "completed"}] == receiver.told


async def test_a_store_in_trouble_ends_no_delivering(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    troubles: list[Exception] = [StoreError("The store cannot be read: x"), sqlite3.InterfaceError("odd")]
    owners_due = webhook_deliveries.owners_due

    async def troubled(*arguments: Any) -> Any:
        if troubles:
            raise troubles.pop(0)
        return await owners_due(*arguments)

    monkeypatch.setattr(webhook_deliveries, "owners_due", troubled)
    caplog.set_level(logging.ERROR)
    await told_of(store, "a", receiver.url)
    running = asyncio.create_task(delivery_of(store).run())
    await comes(lambda: asyncio.sleep(0, receiver.told))
    running.cancel()
    await asyncio.wait([running])
    assert 2 == caplog.text.count("stopped for a round")

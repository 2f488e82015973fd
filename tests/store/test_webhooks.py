"""A webhook is its job's: found by it, told of each event once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

from webhook_world import job_with_webhook

from aai_gateway.core.webhooks import Event, Kind, Verdict, transcript_event
from aai_gateway.store import Store, transcripts, webhook_deliveries, webhooks
from aai_gateway.store.webhook_deliveries import Attempt, Delivery

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
AUDIO_READY = Event(
    Kind.REDACTED_AUDIO, {"status": "redacted_audio_ready", "redacted_audio_url": "https://s3/x"}
)


async def deliveries(store: Store) -> list[Delivery]:
    async with store.read() as connection:
        return [delivery for delivery, _ in reversed(await webhook_deliveries.log(connection))]


async def note(store: Store, name: str, event: Event) -> bool:
    async with store.write() as connection:
        found = await webhooks.get(connection, f"hook-{name}")
        assert found is not None and found[1] is not None
        return await webhooks.note_event(connection, *found, event, NOW)


async def test_a_webhook_and_its_job(store: Store) -> None:
    webhook, job = await job_with_webhook(store, "a", NOW, header=("X-Secret", "sealed"))
    early, _ = await job_with_webhook(store, "b", NOW, accepted=False)
    async with store.read() as connection:
        assert (webhook, job.id) == (await found(connection, "hook-a"))
        assert (early, None) == (await found(connection, "hook-b"))
        assert await webhooks.get(connection, "hook-c") is None
        assert (webhook, None) == await webhooks.of_job(connection, job)


async def found(connection, webhook_id: str):
    webhook, job = await webhooks.get(connection, webhook_id)
    return webhook, job and job.id


async def test_a_refused_submission_has_none(store: Store) -> None:
    await job_with_webhook(store, "a", NOW, accepted=False)
    async with store.write() as connection:
        await webhooks.forget(connection, "intent-a")
        assert await webhooks.get(connection, "hook-a") is None


async def test_each_event_is_noted_once(store: Store) -> None:
    await job_with_webhook(store, "a", NOW, key_hash="k")
    assert [True, False] == [await note(store, "a", transcript_event("a", "completed")) for _ in range(2)]
    assert [True, False] == [await note(store, "a", AUDIO_READY) for _ in range(2)]
    first, second = await deliveries(store)
    assert ("pending", {"transcript_id": "a", "status": "completed"}) == (first.state, first.body)
    assert ("waiting", AUDIO_READY.body) == (second.state, second.body)
    assert ("team:t", "a", NOW) == (first.owner, first.transcript_id, first.next_attempt_at)


async def test_events_at_once_are_noted_once(store: Store) -> None:
    await job_with_webhook(store, "a", NOW)
    noted = await asyncio.gather(*(note(store, "a", transcript_event("a", "error")) for _ in range(8)))
    assert 1 == sum(noted)


async def test_redacted_audio_that_is_heard_of_first_waits_for_the_transcript(store: Store) -> None:
    await job_with_webhook(store, "a", NOW)
    assert await note(store, "a", AUDIO_READY)
    first, second = await deliveries(store)
    assert (Kind.TRANSCRIPT, "pending") == (first.event, first.state)
    assert (Kind.REDACTED_AUDIO, "waiting") == (second.event, second.state)
    assert not await note(store, "a", transcript_event("a", "completed"))


async def test_redacted_audio_after_a_told_transcript_is_due_at_once(store: Store) -> None:
    await job_with_webhook(store, "a", NOW)
    await note(store, "a", transcript_event("a", "completed"))
    [first] = await deliveries(store)
    async with store.write() as connection:
        await webhook_deliveries.record_attempt(
            connection, first, Attempt(NOW, 200, None, 5), Verdict(delivered=True)
        )
    await note(store, "a", AUDIO_READY)
    assert ["delivered", "pending"] == [delivery.state for delivery in await deliveries(store)]


async def test_the_last_answer_to_the_jobs_end_is_shown(store: Store) -> None:
    _, job = await job_with_webhook(store, "a", NOW)
    await note(store, "a", transcript_event("a", "completed"))
    [first] = await deliveries(store)
    for status, outcome in ((500, Verdict(again_after=timedelta(seconds=1))), (204, Verdict(delivered=True))):
        async with store.write() as connection:
            attempt = Attempt(NOW, status, None, 5)
            await webhook_deliveries.record_attempt(connection, first, attempt, outcome)
            shown = await webhooks.of_job(connection, job)
        assert shown is not None and status == shown[1]


async def test_only_settled_jobs_that_nothing_was_heard_of_are_untold(store: Store) -> None:
    for name, settled in (("old", NOW - timedelta(minutes=3)), ("new", NOW), ("runs", None), ("told", NOW)):
        await job_with_webhook(store, name, NOW - timedelta(hours=1), settled_at=settled)
    await job_with_webhook(store, "refused", NOW - timedelta(hours=1), accepted=False)
    await note(store, "told", transcript_event("told", "completed"))
    async with store.write() as connection:
        await transcripts.mark_settled(
            connection, (await job(connection, "told")).region, "told", NOW, status="error"
        )
        found = await webhooks.untold(connection, NOW - timedelta(minutes=2))
        later = await webhooks.untold(connection, NOW + timedelta(minutes=2))
    assert ["old"] == [one.id for _, one in found]
    assert {"old", "new"} == {one.id for _, one in later}


async def job(connection, name: str):
    _, found = await webhooks.get(connection, f"hook-{name}")
    return found

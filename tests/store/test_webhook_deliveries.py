"""The queue of deliveries: claimed once, fairly, in order; its log is the owner's."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import sqlalchemy as sa
from webhook_world import job_with_webhook

from aai_gateway.core.regions import Region
from aai_gateway.core.webhooks import Event, Kind, Verdict, transcript_event
from aai_gateway.store import Store, transcripts, webhook_deliveries, webhooks
from aai_gateway.store.webhook_deliveries import Attempt, Delivery

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
LEASE = NOW + timedelta(minutes=1)
AUDIO_READY = Event(
    Kind.REDACTED_AUDIO, {"status": "redacted_audio_ready", "redacted_audio_url": "https://s3/x"}
)


async def due(
    store: Store, *names: str, owner: str = "team:t", at: datetime = NOW, audio: bool = False
) -> None:
    for name in names:
        webhook, job = await job_with_webhook(store, name, at, owner=owner, key_hash=f"key-of-{name}")
        async with store.write() as connection:
            await webhooks.note_event(connection, webhook, job, transcript_event(name, "completed"), at)
            if audio:
                await webhooks.note_event(connection, webhook, job, AUDIO_READY, at)


async def claim(store: Store, now: datetime = NOW, **shares: int) -> list[Delivery]:
    async with store.write() as connection:
        owners = {f"team:{name}": count for name, count in shares.items()}
        return await webhook_deliveries.claim_due(connection, owners, now, now + timedelta(minutes=1))


async def end(store: Store, delivery: Delivery, outcome: Verdict, status: int | None = 200) -> None:
    async with store.write() as connection:
        error = None if status else "timeout"
        attempt = Attempt(NOW, status, error, 7)
        await webhook_deliveries.record_attempt(connection, delivery, attempt, outcome)


async def test_owners_with_something_due_the_longest_overdue_first(store: Store) -> None:
    await due(store, "a1", "a2", owner="team:a")
    await due(store, "b1", owner="team:b", at=NOW - timedelta(minutes=1))
    await due(store, "c1", owner="team:c", at=NOW + timedelta(minutes=1))
    async with store.read() as connection:
        assert ["team:b", "team:a"] == await webhook_deliveries.owners_due(connection, NOW)
        assert [] == await webhook_deliveries.owners_due(connection, NOW - timedelta(hours=1))


async def test_a_claimed_delivery_is_nobody_elses_until_its_lease_ends(store: Store) -> None:
    await due(store, "a", "b", "c", owner="team:a")
    await due(store, "d", owner="team:d")
    first = await claim(store, a=2, d=5)
    assert ["a", "b", "d"] == [one.transcript_id for one in first]
    assert {(1, LEASE)} == {(one.attempts, one.next_attempt_at) for one in first}
    assert ["c"] == [one.transcript_id for one in await claim(store, a=9, d=9)]
    assert [] == await claim(store, a=9, d=9)
    assert 4 == len(await claim(store, LEASE, a=9, d=9))


async def test_the_event_that_waits_is_due_when_the_one_before_it_is_over(store: Store) -> None:
    for outcome in (Verdict(delivered=True), Verdict()):
        name = f"job-{outcome.delivered}"
        await due(store, name, audio=True)
        [first] = await claim(store, t=9)
        await end(store, first, Verdict(again_after=timedelta(seconds=3)), 500)
        assert [] == await claim(store, t=9)
        [again] = await claim(store, NOW + timedelta(seconds=3), t=9)
        assert (first.id, 2) == (again.id, again.attempts)
        await end(store, again, outcome)
        [second] = await claim(store, t=9)
        assert (name, Kind.REDACTED_AUDIO) == (second.transcript_id, second.event)
        await end(store, second, Verdict(delivered=True))


async def test_what_another_process_has_finished_stays_so(store: Store) -> None:
    await due(store, "a")
    [mine] = await claim(store, t=1)
    [others] = await claim(store, LEASE, t=1)
    await end(store, others, Verdict(delivered=True))
    await end(store, mine, Verdict(again_after=timedelta(seconds=3)), None)
    async with store.read() as connection:
        [(now, attempts)] = await webhook_deliveries.log(connection)
    assert ("delivered", None) == (now.state, now.next_attempt_at)
    assert [Attempt(NOW, 200, None, 7), Attempt(NOW, None, "timeout", 7)] == attempts


async def test_a_delivery_is_resent_with_all_its_attempts_before_it(store: Store) -> None:
    await due(store, "a")
    [given_up] = await claim(store, t=1)
    await end(store, given_up, Verdict(), 404)
    async with store.write() as connection:
        again = await webhook_deliveries.resend(connection, given_up.id, NOW)
        assert await webhook_deliveries.resend(connection, given_up.id + 1, NOW) is None
    assert again is not None and ("pending", 0) == (again.state, again.attempts)
    assert [given_up.id] == [one.id for one in await claim(store, t=1)]


async def test_it_is_told_whose_the_job_is_now_and_whether_it_was_deleted(store: Store) -> None:
    await due(store, "a")
    async with store.write() as connection:
        await transcripts.mark_deleted(connection, Region.US, "a", NOW)
    [delivery] = await claim(store, t=1)
    assert ("team:t", True) == (delivery.job_owner, delivery.job_deleted)


async def test_the_log_is_narrowed_and_paged(store: Store) -> None:
    await due(store, "a", "b", "c")
    await due(store, "d", owner="team:other")
    async with store.read() as connection:

        async def ids(**narrowed) -> list[str]:
            return [one.transcript_id for one, _ in await webhook_deliveries.log(connection, **narrowed)]

        assert ["d", "c", "b", "a"] == await ids()
        assert ["c", "b", "a"] == await ids(owner="team:t")
        assert ["b"] == await ids(owner="team:t", key_hash="key-of-b")
        assert [] == await ids(owner="team:t", transcript_id="d")
        page = await webhook_deliveries.log(connection, owner="team:t", limit=2)
        assert ["a"] == await ids(owner="team:t", before=page[-1][0].id)


async def test_looking_for_what_is_due_reads_the_index_alone(store: Store) -> None:
    async with store.read() as connection:
        if connection.dialect.name != "sqlite":
            return
        asked: list[tuple[str, object]] = []

        def note(connection, cursor, statement, parameters, context, many) -> None:
            asked.append((statement, parameters))

        sa.event.listen(connection.engine.sync_engine, "before_cursor_execute", note)
        await webhook_deliveries.owners_due(connection, NOW)
        sa.event.remove(connection.engine.sync_engine, "before_cursor_execute", note)
        [(statement, parameters)] = asked
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [row.detail for row in plan if "webhook_deliveries" in row.detail]
    assert len(steps) >= 3
    assert all("USING COVERING INDEX ix_webhook_deliveries_to_try" in step for step in steps), steps

"""Webhooks: where a team wants to hear of a job, noted with the intent of its submission."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.core.webhooks import Event, Kind
from aai_gateway.store import transcripts
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import intents, webhook_attempts, webhook_deliveries, webhooks
from aai_gateway.store.schema import transcripts as jobs
from aai_gateway.store.transcripts import Transcript

_c, _d, _a = webhooks.c, webhook_deliveries.c, webhook_attempts.c


@dataclass(frozen=True, slots=True)
class Webhook:
    """A team's webhook for one job. `header_value` is encrypted.

    `told_at` is when the job's end was first heard of, from AssemblyAI or otherwise.
    """

    id: str
    region: Region
    owner: str
    key_hash: str | None
    intent_id: str
    url: str
    header_name: str | None
    header_value: str | None
    created_at: datetime
    told_at: datetime | None = None


async def add(connection: AsyncConnection, webhook: Webhook) -> None:
    """Note a webhook, with the intent of its job."""
    await connection.execute(sa.insert(webhooks), {**asdict(webhook), "region": webhook.region.value})


async def forget(connection: AsyncConnection, intent_id: str) -> None:
    """Its job was turned away: nothing will be told."""
    await connection.execute(sa.delete(webhooks).where(_c.intent_id == intent_id))


async def get(connection: AsyncConnection, webhook_id: str) -> tuple[Webhook, Transcript | None] | None:
    """A webhook and its job, which is None while it is not known whether AssemblyAI took it."""
    query = sa.select(webhooks, intents.c.transcript_id.label("job")).join(
        intents, intents.c.id == _c.intent_id
    )
    row = (await connection.execute(query.where(_c.id == webhook_id))).mappings().first()
    if row is None:
        return None
    found = _webhook_of(row)
    job = row["job"]
    return found, None if job is None else await transcripts.get(connection, found.region, job)


async def of_job(connection: AsyncConnection, transcript: Transcript) -> tuple[Webhook, int | None] | None:
    """The webhook of a job and the HTTP status that its receiver last answered to the job's end with."""
    if transcript.intent_id is None:
        return None
    last = (
        sa.select(_a.status)
        .join(webhook_deliveries, _d.id == _a.delivery_id)
        .where(_d.webhook_id == _c.id, _d.event == Kind.TRANSCRIPT.value)
        .order_by(_a.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = sa.select(webhooks, last.label("status")).where(_c.intent_id == transcript.intent_id)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else (_webhook_of(row), row["status"])


async def note_event(
    connection: AsyncConnection, webhook: Webhook, transcript: Transcript, event: Event, now: datetime
) -> bool:
    """Note an event to deliver, unless it was noted before; whether it is new. Needs `Store.write`.

    A transcript's end comes first: redacted audio waits for it, and brings it when it has not been heard of.
    """
    # Held until the commit, so that none of two events at once overlooks the other.
    await connection.execute(sa.select(_c.id).where(_c.id == webhook.id).with_for_update())
    if event.kind is Kind.REDACTED_AUDIO:
        ended = Event(Kind.TRANSCRIPT, {"transcript_id": transcript.id, "status": "completed"})
        await _insert(connection, webhook, transcript, ended, now, due=now)
    first_is_over = sa.or_(_d.delivered_at.is_not(None), _d.gave_up_at.is_not(None))
    waits = event.kind is Kind.REDACTED_AUDIO and not await connection.scalar(
        sa.select(first_is_over).where(_d.webhook_id == webhook.id, _d.event == Kind.TRANSCRIPT.value)
    )
    new = await _insert(connection, webhook, transcript, event, now, due=None if waits else now)
    told = sa.update(webhooks).where(_c.id == webhook.id, _c.told_at.is_(None))
    await connection.execute(told.values(told_at=now))
    return new


async def _insert(
    connection: AsyncConnection,
    webhook: Webhook,
    transcript: Transcript,
    event: Event,
    now: datetime,
    *,
    due: datetime | None,
) -> bool:
    values = {
        "webhook_id": webhook.id,
        "owner": webhook.owner,
        "key_hash": webhook.key_hash,
        "transcript_id": transcript.id,
        "event": event.kind.value,
        "body": dict(event.body),
        "created_at": now,
        "next_attempt_at": due,
    }
    return await insert_new(connection, webhook_deliveries, values)


async def untold(connection: AsyncConnection, settled_before: datetime) -> list[tuple[Webhook, Transcript]]:
    """Webhooks whose job was settled before a moment, and of which nothing was heard."""
    query = (
        sa.select(_c.id)
        .join(intents, intents.c.id == _c.intent_id)
        .join(jobs, sa.and_(jobs.c.region == _c.region, jobs.c.id == intents.c.transcript_id))
        .where(_c.told_at.is_(None), jobs.c.settled_at < settled_before)
        .order_by(_c.created_at)
        .limit(100)
    )
    found = [await get(connection, webhook_id) for webhook_id in await connection.scalars(query)]
    return [(one[0], one[1]) for one in found if one is not None and one[1] is not None]


def _webhook_of(row: sa.RowMapping) -> Webhook:
    values: dict[str, Any] = {name: row[name] for name in _c.keys()}  # noqa: SIM118 - no mapping
    return Webhook(**{**values, "region": Region(row["region"])})

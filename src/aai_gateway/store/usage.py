"""The ledger: one row for each job or completion, with its line items, booked once and charged with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.store import notices
from aai_gateway.store._budgets import accounts, save
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.schema import usage, usage_tags

Group = Literal["team_id", "key_hash", "service", "region", "model", "day"]

_c = usage.c


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one job cost. `source_id` is the transcript's id, or the completion's, unique in its region.

    `items` are line items as JSON takes them, prices as decimal text. `priced_as` names the model whose price
    stood in for an unknown one. A failed job has status "error" and costs 0; a completion whose answer never
    came has status "unknown" and costs 0, with what was held for it in its one item. `global_region` says
    that a completion ran at list price. `id` is given by the store.
    """

    service: Literal["speech", "chat"]
    source_id: str
    region: Region
    owner: str
    micros: int
    items: Sequence[Mapping[str, Any]] = ()
    team_id: str | None = None
    key_hash: str | None = None
    model: str | None = None
    priced_as: str | None = None
    status: Literal["completed", "error", "unknown"] = "completed"
    audio_seconds: int = 0
    channels: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tags: tuple[str, ...] = ()
    end_user: str | None = None
    created_at: datetime = field(default_factory=utc_now)
    global_region: bool | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """Sums over the usage rows that agree in `keys`; micro-dollars, whole seconds, tokens."""

    keys: Mapping[str, str | None]
    micros: int
    jobs: int
    audio_seconds: int
    prompt_tokens: int
    completion_tokens: int


async def record(connection: AsyncConnection, row: UsageRow) -> bool:
    """Book a row and charge it to the budgets of its key, its team and the gateway. Needs `Store.write`.

    False, and nothing is charged, when the same service, region and source_id is booked already; but a row of
    status "unknown" gives way to one that knows. A budget whose period has ended by `created_at` begins its
    next one. The charge that spends a soft budget leaves a notice, once in each period.
    """
    if not await insert_new(connection, usage, _values(row)) and not await _replace_unknown(connection, row):
        return False
    for tag in dict.fromkeys(row.tags):
        await connection.execute(sa.insert(usage_tags).values(usage_id=_id_of(row), tag=tag))
    async for account in accounts(connection, row.key_hash, row.team_id, row.created_at):
        budget = replace(account.budget, spent_micros=account.budget.spent_micros + row.micros)
        if budget.is_past_soft and not budget.warned:
            budget = replace(budget, warned=True)
            await notices.add_soft_budget(connection, account.scope, account.name, budget, row.created_at)
        await save(connection, account, budget, charged_micros=row.micros)
    return True


async def _replace_unknown(connection: AsyncConnection, row: UsageRow) -> bool:
    """Write over a row that was booked at nothing because nobody knew how it ended."""
    if row.status == "unknown":
        return False
    is_it = sa.and_(_is_source(row), _c.status == "unknown")
    await connection.execute(
        sa.delete(usage_tags).where(usage_tags.c.usage_id.in_(sa.select(_c.id).where(is_it)))
    )
    changed = await connection.execute(sa.update(usage).where(is_it).values(_values(row)))
    return changed.rowcount == 1


def _is_source(row: UsageRow) -> sa.ColumnElement[bool]:
    source = (_c.service == row.service, _c.region == row.region.value, _c.source_id == row.source_id)
    return sa.and_(*source)


def _id_of(row: UsageRow) -> sa.ScalarSelect[int]:
    return sa.select(_c.id).where(_is_source(row)).scalar_subquery()


async def micros_of(connection: AsyncConnection, service: str, region: Region, source_id: str) -> int | None:
    """What one job cost; None when it is not booked."""
    is_it = (_c.service == service, _c.region == region.value, _c.source_id == source_id)
    found: int | None = await connection.scalar(sa.select(_c.micros).where(*is_it))
    return found


async def list_rows(
    connection: AsyncConnection,
    *,
    team_id: str | None = None,
    key_hash: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[UsageRow]:
    """Usage rows, newest first, from `since` up to but not including `until`.

    `before` is the id of the last row of the page before.
    """
    query = sa.select(usage).where(*_filters(team_id, key_hash, since, until))
    if before is not None:
        last = sa.select(_c.created_at, _c.id).where(_c.id == before).scalar_subquery()
        query = query.where(sa.tuple_(_c.created_at, _c.id) < last)
    rows = await connection.execute(query.order_by(_c.created_at.desc(), _c.id.desc()).limit(limit))
    return [_usage_of(row) for row in rows.mappings()]


async def summary(
    connection: AsyncConnection,
    by: Sequence[Group],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    team_id: str | None = None,
    key_hash: str | None = None,
) -> list[SummaryRow]:
    """Sums for each combination of the `by` columns, in their order. `day` is a UTC day, YYYY-MM-DD."""
    columns = [_c[name] for name in by]
    query = _sums(*columns).where(*_filters(team_id, key_hash, since, until)).group_by(*columns)
    rows = [_summary_of(row, by) for row in (await connection.execute(query)).mappings()]
    return sorted(rows, key=lambda row: [(value is None, value or "") for value in row.keys.values()])


async def total(
    connection: AsyncConnection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    team_id: str | None = None,
    key_hash: str | None = None,
) -> SummaryRow:
    """The sum over all rows of a time, team or key; zeros when there are none."""
    query = _sums().where(*_filters(team_id, key_hash, since, until))
    return _summary_of((await connection.execute(query)).mappings().one(), ())


def _sums(*columns: sa.Column[Any]) -> sa.Select[Any]:
    summed = (_c.micros, _c.audio_seconds, _c.prompt_tokens, _c.completion_tokens)
    sums = [sa.func.coalesce(sa.func.sum(column), 0).label(f"sum_{column.name}") for column in summed]
    return sa.select(*columns, sa.func.count(_c.id).label("jobs"), *sums)


def _filters(
    team_id: str | None, key_hash: str | None, since: datetime | None, until: datetime | None
) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = []
    if team_id is not None:
        filters.append(_c.team_id == team_id)
    if key_hash is not None:
        filters.append(_c.key_hash == key_hash)
    if since is not None:
        filters.append(_c.created_at >= since)
    if until is not None:
        filters.append(_c.created_at < until)
    return filters


def _values(row: UsageRow) -> dict[str, Any]:
    return {
        "service": row.service,
        "region": row.region.value,
        "source_id": row.source_id,
        "status": row.status,
        "owner": row.owner,
        "team_id": row.team_id,
        "key_hash": row.key_hash,
        "model": row.model,
        "priced_as": row.priced_as,
        "micros": row.micros,
        "items": [dict(item) for item in row.items],
        "audio_seconds": row.audio_seconds,
        "channels": row.channels,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "tags": list(row.tags),
        "end_user": row.end_user,
        "created_at": row.created_at,
        "global_region": row.global_region,
        "day": f"{row.created_at.astimezone(timezone.utc):%Y-%m-%d}",
    }


def _usage_of(row: sa.RowMapping) -> UsageRow:
    values = {name: value for name, value in row.items() if name != "day"}
    values |= {"region": Region(row["region"]), "items": tuple(row["items"]), "tags": tuple(row["tags"])}
    return UsageRow(**values)


def _summary_of(row: sa.RowMapping, by: Sequence[str]) -> SummaryRow:
    return SummaryRow(
        keys={name: row[name] for name in by},
        micros=int(row["sum_micros"]),
        jobs=int(row["jobs"]),
        audio_seconds=int(row["sum_audio_seconds"]),
        prompt_tokens=int(row["sum_prompt_tokens"]),
        completion_tokens=int(row["sum_completion_tokens"]),
    )

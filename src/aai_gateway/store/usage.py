"""The ledger: one row for each job or completion, with its line items, booked once and charged with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.regions import Region
from aai_gateway.core.usage_rows import Service
from aai_gateway.core.usage_rows import UsageRow as UsageRow
from aai_gateway.store import holds, notices, usage_sums
from aai_gateway.store._budgets import accounts, save
from aai_gateway.store._usage_filter import ALL, conditions
from aai_gateway.store._usage_filter import UsageFilter as UsageFilter
from aai_gateway.store.dialect import insert_new
from aai_gateway.store.holds import Hold
from aai_gateway.store.schema import UtcDateTime, usage, usage_tags

Group = Literal[
    "team_id", "key_hash", "service", "region", "model", "day", "month", "tag", "end_user", "status"
]

PAGE = 1000
"""Rows that are read, and in memory, at once."""

_c = usage.c
_GROUPS: dict[str, sa.ColumnElement[Any]] = {
    **{name: _c[name] for name in ("team_id", "key_hash", "service", "region", "model", "day")},
    # Written out: Postgres takes two bound parameters for two different months.
    "month": sa.func.substr(_c.day, sa.literal_column("1"), sa.literal_column("7")),
    "tag": usage_tags.c.tag,
    "end_user": _c.end_user,
    "status": _c.status,
}


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """Sums over the usage rows that agree in `keys`; micro-dollars, whole seconds, tokens.

    Of its `jobs`, `failed` ones were free, `flagged` ones charged at the fallback price, and `unknown` ones
    are completions whose answer never came.
    """

    keys: Mapping[str, str | None]
    micros: int
    jobs: int
    audio_seconds: int
    prompt_tokens: int
    completion_tokens: int
    failed: int = 0
    flagged: int = 0
    unknown: int = 0


async def record(connection: AsyncConnection, row: UsageRow, held: Hold | None = None) -> bool:
    """Book a row and charge it to the budgets of its key, its team and the gateway. Needs `Store.write`.

    `held` was taken from `holds` for it, and is given back with the charge, or without one.

    False, and nothing is charged, when the same service, region and source_id is booked already; but a row of
    status "unknown" gives way to one that knows. A budget whose period has ended by `created_at` begins its
    next one. The charge that spends a soft budget leaves a notice, once in each period.
    """
    before: UsageRow | None = None
    if not await insert_new(connection, usage, _values(row)):
        before = await _replace_unknown(connection, row)
        if before is None:
            if held is not None:
                await holds.give_back(connection, held, row.created_at)
            return False
    released = 0
    if held is not None and (held.key_hash, held.team_id) == (row.key_hash, row.team_id):
        released = held.micros
    elif held is not None:
        await holds.give_back(connection, held, row.created_at)
    for tag in dict.fromkeys(row.tags):
        await connection.execute(sa.insert(usage_tags).values(usage_id=_id_of(row), tag=tag))
    async for account in accounts(connection, row.key_hash, row.team_id, row.created_at):
        budget = account.budget.holding(-released).charged(row.micros)
        if budget.warned and not account.budget.warned:
            await notices.add_soft_budget(connection, account.scope, account.name, budget, row.created_at)
        await save(connection, account, budget, charged_micros=row.micros)
    # Last: whoever writes sums has the gateway's budget locked, so no two wait for each other's.
    if before is None:
        await usage_sums.add(connection, row)
    else:
        await usage_sums.replace(connection, before, row)
    return True


async def _replace_unknown(connection: AsyncConnection, row: UsageRow) -> UsageRow | None:
    """Write over a row that was booked at nothing because nobody knew how it ended; the row as it was."""
    if row.status == "unknown":
        return None
    is_it = sa.and_(_is_source(row), _c.status == "unknown")
    found = (await connection.execute(sa.select(usage).where(is_it).with_for_update())).mappings().first()
    if found is None:
        return None
    before = usage_of(found)
    await connection.execute(sa.delete(usage_tags).where(usage_tags.c.usage_id == before.id))
    await connection.execute(sa.update(usage).where(_c.id == before.id).values(_values(row)))
    return before


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


async def audio_seconds_of(connection: AsyncConnection, region: Region, transcript_id: str) -> int | None:
    """How many seconds of audio a transcript was booked with; None when it is not booked."""
    is_it = (_c.service == "speech", _c.region == region.value, _c.source_id == transcript_id)
    found: int | None = await connection.scalar(sa.select(_c.audio_seconds).where(*is_it))
    return found


async def get(
    connection: AsyncConnection, service: Service, region: Region, source_id: str
) -> UsageRow | None:
    """The row of one job, completion or request; None when it is not booked."""
    is_it = (_c.service == service, _c.region == region.value, _c.source_id == source_id)
    row = (await connection.execute(sa.select(usage).where(*is_it))).mappings().first()
    return None if row is None else usage_of(row)


async def list_rows(
    connection: AsyncConnection,
    where: UsageFilter = ALL,
    *,
    limit: int = 100,
    after: UsageRow | None = None,
    oldest_first: bool = False,
) -> list[UsageRow]:
    """Usage rows, newest first unless told otherwise; `after` is the last row of the page before."""
    place = sa.tuple_(_c.created_at, _c.id)
    query = sa.select(usage).where(*conditions(where))
    if after is not None:
        last = sa.tuple_(sa.literal(after.created_at, UtcDateTime()), sa.literal(after.id))
        query = query.where(place > last if oldest_first else place < last)
    order = (_c.created_at, _c.id) if oldest_first else (_c.created_at.desc(), _c.id.desc())
    rows = await connection.execute(query.order_by(*order).limit(limit))
    return [usage_of(row) for row in rows.mappings()]


async def pages(
    connection: AsyncConnection,
    where: UsageFilter = ALL,
    *,
    oldest_first: bool = False,
    limit: int | None = None,
) -> AsyncIterator[list[UsageRow]]:
    """The rows of `list_rows`, all of them or the first `limit`, a page at a time however many there are."""
    last: UsageRow | None = None
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = await list_rows(connection, where, limit=size, after=last, oldest_first=oldest_first)
        if page:
            yield page
        if len(page) < size:
            return
        last, left = page[-1], None if left is None else left - size


async def summary(
    connection: AsyncConnection, by: Sequence[Group], where: UsageFilter = ALL
) -> list[SummaryRow]:
    """Sums for each combination of the `by` groups, in their order.

    `day` is a UTC day, YYYY-MM-DD, `month` a UTC month. A row with several tags counts under each of them,
    one without under None: by `tag` the sums may be more than the total.
    """
    groups = [_GROUPS[name].label(f"by_{name}") for name in by]
    tagged = usage.outerjoin(usage_tags, usage_tags.c.usage_id == _c.id)
    query = _sums(*groups).select_from(tagged if "tag" in by else usage).where(*conditions(where))
    query = query.group_by(*(_GROUPS[name] for name in by))
    rows = [_summary_of(row, by) for row in (await connection.execute(query)).mappings()]
    return sorted(rows, key=lambda row: [(value is None, value or "") for value in row.keys.values()])


async def total(connection: AsyncConnection, where: UsageFilter = ALL) -> SummaryRow:
    """The sum over all rows that are meant, each counted once; zeros when there are none."""
    query = _sums().where(*conditions(where))
    return _summary_of((await connection.execute(query)).mappings().one(), ())


def _sums(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    sums = [
        sa.func.coalesce(sa.func.sum(what), 0).label(f"sum_{name}")
        for name, what in (
            ("micros", _c.micros),
            ("audio_seconds", _c.audio_seconds),
            ("prompt_tokens", _c.prompt_tokens),
            ("completion_tokens", _c.completion_tokens),
            ("failed", sa.case((_c.status == "error", 1), else_=0)),
            ("flagged", sa.case((_c.priced_as.is_not(None), 1), else_=0)),
            ("unknown", sa.case((_c.status == "unknown", 1), else_=0)),
        )
    ]
    return sa.select(*columns, sa.func.count(_c.id).label("jobs"), *sums)


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
        "priced_at": row.priced_at,
        "day": f"{row.created_at.astimezone(timezone.utc):%Y-%m-%d}",
    }


def usage_of(row: sa.RowMapping | Mapping[str, Any]) -> UsageRow:
    """A usage row from a row of its table's columns."""
    values = {name: value for name, value in row.items() if name != "day"}
    values |= {"region": Region(row["region"]), "items": tuple(row["items"]), "tags": tuple(row["tags"])}
    return UsageRow(**values)


def _summary_of(row: sa.RowMapping, by: Sequence[str]) -> SummaryRow:
    return SummaryRow(
        keys={name: row[f"by_{name}"] for name in by},
        micros=int(row["sum_micros"]),
        jobs=int(row["jobs"]),
        audio_seconds=int(row["sum_audio_seconds"]),
        prompt_tokens=int(row["sum_prompt_tokens"]),
        completion_tokens=int(row["sum_completion_tokens"]),
        failed=int(row["sum_failed"]),
        flagged=int(row["sum_flagged"]),
        unknown=int(row["sum_unknown"]),
    )

"""Which rows of the ledger a question is about: one type for lists, sums, exports and statements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from aai_gateway.core.regions import Region
from aai_gateway.core.usage_rows import Service
from aai_gateway.store.schema import usage, usage_tags

_c = usage.c


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """The rows that agree with all that is given, from `since` up to but not including `until`.

    `no_team` means the rows that belong to no team: those of the master key, and of keys without one.
    """

    team_id: str | None = None
    no_team: bool = False
    key_hash: str | None = None
    service: Service | None = None
    region: Region | None = None
    model: str | None = None
    tag: str | None = None
    end_user: str | None = None
    since: datetime | None = None
    until: datetime | None = None


ALL = UsageFilter()
"""Every row."""


def conditions(where: UsageFilter) -> list[sa.ColumnElement[bool]]:
    """`where` as SQL takes it."""
    region = None if where.region is None else where.region.value
    equal = (
        (_c.team_id, where.team_id),
        (_c.key_hash, where.key_hash),
        (_c.service, where.service),
        (_c.region, region),
        (_c.model, where.model),
        (_c.end_user, where.end_user),
    )
    found: list[sa.ColumnElement[bool]] = [column == value for column, value in equal if value is not None]
    if where.no_team:
        found.append(_c.team_id.is_(None))
    if where.tag is not None:
        tagged = sa.select(usage_tags.c.usage_id).where(usage_tags.c.tag == where.tag)
        found.append(_c.id.in_(tagged))
    if where.since is not None:
        found.append(_c.created_at >= where.since)
    if where.until is not None:
        found.append(_c.created_at < where.until)
    return found

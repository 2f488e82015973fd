"""Limit columns, the same for keys and teams."""

from __future__ import annotations

from dataclasses import fields

import sqlalchemy as sa

from aai_gateway.core.limits import Limits

_NAMES = tuple(limit.name for limit in fields(Limits))


def limits_of(row: sa.RowMapping, table: sa.Table) -> Limits:
    """The limits in a row of teams or keys."""
    return Limits(**{name: row[table.c[name]] for name in _NAMES})

"""Whether the store's sums agree: what accounts say is held and was ever spent, with holds and ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.store.schema import gateway_budget, holds, teams, usage, virtual_keys


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A sum that is not the sum of its rows; micro-dollars. `name` is what people call the account."""

    what: Literal["held", "spent"]
    name: str
    recorded_micros: int
    expected_micros: int


async def disagreements(connection: AsyncConnection) -> list[Disagreement]:
    """Accounts whose held money is not that of their holds, or whose spend is not that of their usage rows.

    Each question is one statement, which sees one moment: jobs under way make no difference. What a key or
    team of the same name spent before this one was made is not this one's; but where the clock was set back,
    this one's own rows are older than it is, and all rows of the name are its own.
    """
    found: list[Disagreement] = []
    for query in _QUESTIONS:
        for what, name, recorded, expected in await connection.execute(query):
            found.append(Disagreement(what, name, int(recorded), int(expected)))
    return found


def _question(
    what: str,
    name: sa.ColumnElement[Any],
    recorded: sa.Column[Any],
    expected: sa.Select[Any],
    or_else: sa.Select[Any] | None = None,
) -> sa.Select[Any]:
    is_so = expected.scalar_subquery()
    columns = (sa.literal(what).label("what"), name.label("name"), recorded.label("recorded"))
    asked = sa.select(*columns, is_so.label("expected")).where(recorded != is_so).order_by(name)
    return asked if or_else is None else asked.where(recorded != or_else.scalar_subquery())


def _sum_of(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.func.coalesce(sa.func.sum(table.c.micros), 0)).where(*conditions)


_TEAM = sa.literal("Team ") + teams.c.alias
_KEY = sa.literal("Key ") + sa.func.coalesce(virtual_keys.c.alias, virtual_keys.c.masked)
_GATEWAY = sa.literal("The gateway")

_QUESTIONS = (
    _question(
        "held",
        _TEAM,
        teams.c.held_micros,
        _sum_of(holds, holds.c.team_id == teams.c.id).correlate(teams),
    ),
    _question(
        "held",
        _KEY,
        virtual_keys.c.held_micros,
        _sum_of(holds, holds.c.key_hash == virtual_keys.c.hash).correlate(virtual_keys),
    ),
    _question("held", _GATEWAY, gateway_budget.c.held_micros, _sum_of(holds)),
    _question(
        "spent",
        _TEAM,
        teams.c.lifetime_micros,
        _sum_of(usage, usage.c.team_id == teams.c.id, usage.c.created_at >= teams.c.created_at).correlate(
            teams
        ),
        _sum_of(usage, usage.c.team_id == teams.c.id).correlate(teams),
    ),
    _question(
        "spent",
        _KEY,
        virtual_keys.c.lifetime_micros,
        _sum_of(
            usage,
            usage.c.key_hash == virtual_keys.c.hash,
            usage.c.created_at >= virtual_keys.c.created_at,
        ).correlate(virtual_keys),
        _sum_of(usage, usage.c.key_hash == virtual_keys.c.hash).correlate(virtual_keys),
    ),
    _question("spent", _GATEWAY, gateway_budget.c.lifetime_micros, _sum_of(usage)),
)

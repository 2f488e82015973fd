"""Teams. Functions take a connection of `Store.read` or `Store.write`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.audit_details import changes as changes_of
from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.limits import Limits
from aai_gateway.core.owners import MASTER, team_owner
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.errors import StoreError
from aai_gateway.store import audit_log, ownership
from aai_gateway.store._budgets import budget_of, changed_values, locked, new_values
from aai_gateway.store._limits import limits_of
from aai_gateway.store.schema import holds, teams, virtual_keys

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TeamChanges(TypedDict, total=False):
    """What `update` may change. `budget` sets limits and duration; `spent_micros` what is spent."""

    alias: str
    regions: tuple[Region, ...]
    models: tuple[str, ...]
    budget: Budget
    spent_micros: int
    blocked: bool
    metadata: Mapping[str, Any]
    limits: Limits


async def create(connection: AsyncConnection, team: Team) -> Team:
    """Add a team and return it as stored.

    Raises StoreError when its id or alias is taken, or still has transcripts of a deleted team's.
    """
    created_at = team.created_at or utc_now()
    await ownership.begin(connection, team_owner(team.id))
    values = {
        "id": team.id,
        "alias": team.alias,
        "regions": [region.value for region in team.regions],
        "models": list(team.models),
        **new_values(team.budget, created_at, holds.c.team_id == team.id),
        "blocked": team.blocked,
        "created_at": created_at,
        "metadata": dict(team.metadata),
        **asdict(team.limits),
    }
    try:
        await connection.execute(sa.insert(teams).values(values))
    except IntegrityError:
        raise StoreError(f"There is already a team with the id {team.id} or the name {team.alias}.") from None
    made = await _existing(connection, team.id)
    _audit(connection, "create", None, made)
    return made


async def get(connection: AsyncConnection, id_or_alias: str) -> Team | None:
    """The team with this id, else the one with this alias."""
    is_id = teams.c.id == id_or_alias
    query = sa.select(teams).where(is_id | (teams.c.alias == id_or_alias)).order_by(is_id.desc()).limit(1)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else team_of(row)


async def by_id(connection: AsyncConnection, team_id: str) -> Team | None:
    """The team with this id."""
    row = (await connection.execute(sa.select(teams).where(teams.c.id == team_id))).mappings().first()
    return None if row is None else team_of(row)


async def locked_by_id(connection: AsyncConnection, team_id: str) -> Team | None:
    """The team with this id, which nobody else changes until the transaction ends."""
    row = await locked(connection, teams, teams.c.id == team_id)
    return None if row is None else team_of(row)


async def list_all(connection: AsyncConnection) -> list[Team]:
    """Every team, by alias."""
    rows = await connection.execute(sa.select(teams).order_by(teams.c.alias))
    return [team_of(row) for row in rows.mappings()]


@dataclass(frozen=True, slots=True)
class TeamBudget:
    """A team as a table of all teams shows it."""

    id: str
    alias: str
    blocked: bool
    budget: Budget


async def list_budgets(connection: AsyncConnection) -> list[TeamBudget]:
    """Every team's budget, by alias. Hundreds are read in a third of `list_all`'s time."""
    c = teams.c
    budget = (c.max_micros, c.budget_duration, c.spent_micros, c.budget_resets_at, c.soft_micros)
    query = sa.select(c.id, c.alias, c.blocked, *budget, c.held_micros, c.warned).order_by(c.alias)
    rows = (await connection.execute(query)).all()
    return [TeamBudget(id_, alias, blocked, Budget(*sums)) for id_, alias, blocked, *sums in rows]


async def update(connection: AsyncConnection, team_id: str, **changes: Unpack[TeamChanges]) -> Team:
    """Change a team and return it. Raises StoreError for one that is not there, or an alias that is taken."""
    before = await locked(connection, teams, teams.c.id == team_id)
    values: dict[str, Any] = dict(changes)
    if "limits" in changes:
        values |= asdict(values.pop("limits"))
    if values.keys() & {"budget", "spent_micros"}:
        values |= await changed_values(
            connection,
            teams,
            teams.c.id == team_id,
            utc_now(),
            limits=values.pop("budget", None),
            spent_micros=values.pop("spent_micros", None),
        )
    if values:
        try:
            await connection.execute(sa.update(teams).where(teams.c.id == team_id).values(values))
        except IntegrityError:
            raise StoreError(f"There is already a team with the name {changes.get('alias')}.") from None
    after = await _existing(connection, team_id)
    _audit(connection, "update", None if before is None else team_of(before), after)
    return after


async def delete(connection: AsyncConnection, team_id: str, heir: str = MASTER) -> bool:
    """Remove a team and its keys; usage stays. Whether there was one.

    Its transcripts become its heir's (`ownership.leave`): kept for the master key unless told otherwise.
    """
    owners = await ownership.owners_of_team(connection, team_id)
    # Keys first, as jobs lock them: a job that waits for its team would hold up the team's deletion for ever.
    its_keys = sa.delete(virtual_keys).where(virtual_keys.c.team_id == team_id)
    named = its_keys.returning(virtual_keys.c.hash, virtual_keys.c.alias)
    keys = [dict(row) for row in (await connection.execute(named)).mappings()]
    gone = sa.delete(teams).where(teams.c.id == team_id).returning(teams)
    row = (await connection.execute(gone)).mappings().first()
    if row is None:
        return False
    _audit(connection, "delete", team_of(row), None, keys=keys, heir=heir)
    await ownership.leave(connection, owners, heir, utc_now())
    return True


def _audit(
    connection: AsyncConnection, action: str, before: Team | None, after: Team | None, **more: Any
) -> None:
    """Note what was done to a team, unless nothing changed."""
    if (team := after or before) and (changed := changes_of(before, after)):
        audit_log.record(
            connection, f"team.{action}", f"team:{team.id}", {**changed, **more}, team_id=team.id
        )


async def lifetime_micros(connection: AsyncConnection) -> dict[str, int]:
    """What each team, by id, has spent since it was made; micro-dollars."""
    rows = await connection.execute(sa.select(teams.c.id, teams.c.lifetime_micros))
    return {row.id: row.lifetime_micros for row in rows}


async def _existing(connection: AsyncConnection, team_id: str) -> Team:
    if (team := await by_id(connection, team_id)) is None:
        raise StoreError(f"There is no team with the id {team_id}.")
    return team


def team_of(row: sa.RowMapping) -> Team:
    """A team from a row that holds every column of its table."""
    return Team(
        id=row[teams.c.id],
        alias=row[teams.c.alias],
        regions=tuple(Region(region) for region in row[teams.c.regions]),
        models=tuple(row[teams.c.models]),
        budget=budget_of(row, teams),
        blocked=row[teams.c.blocked],
        created_at=row[teams.c.created_at],
        metadata=row[teams.c.metadata],
        limits=limits_of(row, teams),
    )

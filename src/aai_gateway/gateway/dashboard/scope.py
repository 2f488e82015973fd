"""Whose things a page shows, and whether the reader may see them.

The master key sees every team. A virtual key sees its team, and no other; one that is narrowed to its own
things, or has no team, sees those alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.owners import key_owner, team_owner
from aai_gateway.core.tenancy import Caller, Team, VirtualKey
from aai_gateway.errors import Refused
from aai_gateway.gateway.dashboard.paths import segment
from aai_gateway.store import keys, teams


@dataclass(frozen=True, slots=True)
class Scope:
    """A team's things or, with `key`, those of one key; `path` is where their pages are."""

    team: Team | None
    key: VirtualKey | None
    path: str

    @property
    def name(self) -> str:
        """What the pages are called."""
        if self.key is not None:
            return self.key.alias or self.key.masked
        assert self.team is not None
        return self.team.alias

    @property
    def team_id(self) -> str | None:
        """The team's id; None without a team."""
        return self.team.id if self.team is not None else None

    @property
    def owner(self) -> str:
        """The owner of what is shown."""
        if self.team is not None:
            return team_owner(self.team.id)
        assert self.key is not None
        return key_owner(self.key.hash)

    @property
    def key_hash(self) -> str | None:
        """The key whose things alone are shown; None: all of the team's."""
        return self.key.hash if self.key is not None else None


def home_of(caller: Caller) -> str:
    """The path, below the dashboard's, of the page that a caller sees first."""
    if caller.is_admin:
        return ""
    if caller.team is not None and caller.narrowed_to is None:
        return team_path(caller.team.id)
    return "/key"


def team_path(team_id: str) -> str:
    """The path of a team's page below the dashboard's."""
    return f"/teams/{segment(team_id)}"


async def scope_of(connection: AsyncConnection, caller: Caller, team_id: str | None) -> Scope:
    """The scope of `/teams/{team_id}`, or with None of `/key`.

    Raises Refused (404) for what is not the caller's: a team that is there is then as one that is not.
    """
    if team_id is None:
        if caller.key is None or home_of(caller) != "/key":
            raise _no_page()
        found = await keys.with_team(connection, caller.key.hash)
        if found is None:
            raise _no_page()
        key, team = found
        return Scope(team, key, "/key")
    if not caller.is_admin and home_of(caller) != team_path(team_id):
        raise _no_page()
    if (team := await teams.by_id(connection, team_id)) is None:
        raise _no_page()
    return Scope(team, None, team_path(team_id))


def _no_page() -> Refused:
    return Refused("There is no such page.", status=404)

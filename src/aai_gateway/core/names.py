"""What people call teams and keys, by id and hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """The names of those that are there; those that are gone have no other name than their id or hash."""

    teams: Mapping[str, str]
    keys: Mapping[str, str]

    def team(self, team_id: str | None) -> str | None:
        """A team's name."""
        return None if team_id is None else self.teams.get(team_id, team_id)

    def key(self, key_hash: str | None) -> str | None:
        """A key's alias, else its masked form."""
        return None if key_hash is None else self.keys.get(key_hash, key_hash)

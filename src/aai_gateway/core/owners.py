"""Owners as the store writes them, and what becomes of a transcript whose owner goes.

`core.tenancy.Caller.owner` says whose everything is that a caller makes. A transcript without a living owner
is the master key's, or nobody's: then it is on its way to be deleted.
"""

from __future__ import annotations

MASTER = "master"
"""The owner of what the master key makes, and of what was kept for it when a team was deleted."""
NOBODY = "deleted"
"""The owner of what is being deleted: no caller is it, so nobody but the master key sees such a
transcript."""

_TEAM, _KEY = "team:", "key:"


def team_owner(team_id: str) -> str:
    """The owner that a team is."""
    return f"{_TEAM}{team_id}"


def key_owner(key_hash: str) -> str:
    """The owner that a key without a team is."""
    return f"{_KEY}{key_hash}"


def team_id_of(owner: str) -> str | None:
    """The id of the team that an owner is; None when it is none."""
    return owner.removeprefix(_TEAM) if owner.startswith(_TEAM) else None

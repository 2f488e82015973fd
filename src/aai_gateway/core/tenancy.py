"""Teams, virtual keys, callers, and who may touch which transcript and upload.

AssemblyAI isolates projects, not the teams behind one account key: every holder of that key can list, read
and delete every transcript (AssemblyAI documentation, "Account management"). These rules are the isolation.
A thing belongs to an *owner*: the team, or the key itself when it has no team.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aai_gateway.core.budgets import Budget, require_left
from aai_gateway.core.limits import NO_LIMITS, Limits
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.spellings import decodings
from aai_gateway.errors import Forbidden, NotFound, Unauthenticated

# `upload_url` is on `cdn.assemblyai.com`; the EU's own host is not documented, so any such host counts.
_UPLOAD_HOST = re.compile(r"cdn\.(?:[a-z0-9-]+\.)*assemblyai\.com")
_AUTHORITY = re.compile(r"(?:[a-z][a-z0-9+.-]*:(?![0-9]))?/*([^/]*)")
_AUTHORITY_END = re.compile(r"[@?#/]")
_LONGEST_URL = 8192


@dataclass(frozen=True, slots=True)
class Team:
    """A team that shares the account. `models` empty means every chat model of its regions."""

    id: str
    alias: str
    regions: tuple[Region, ...] = ALL_REGIONS
    models: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    blocked: bool = False
    created_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """A virtual key as it is stored: hashed. `regions` None and `models` empty mean the team's.

    `hash` is the hash of the key's first secret and stays its id when the secret is rotated. `own_only`
    narrows the key to what it made itself, `read_only` to looking.
    """

    hash: str
    masked: str
    alias: str | None = None
    team_id: str | None = None
    user_id: str | None = None
    regions: tuple[Region, ...] | None = None
    models: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    expires_at: datetime | None = None
    blocked: bool = False
    created_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = NO_LIMITS
    own_only: bool = False
    read_only: bool = False
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret by which a key may be presented, hashed. `expires_at` is the end of its rotation's grace."""

    hash: str
    masked: str
    created_at: datetime
    expires_at: datetime | None = None

    def has_ended(self, now: datetime) -> bool:
        """Whether it was rotated out and its grace is over."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a virtual key with its team, or the master key."""

    key: VirtualKey | None
    team: Team | None
    is_admin: bool = False

    @property
    def owner(self) -> str:
        """The owner of what this caller makes: `team:<id>`, `key:<hash>` or `master`."""
        if self.team is not None:
            return f"team:{self.team.id}"
        return f"key:{self.key.hash}" if self.key is not None else "master"

    @property
    def team_id(self) -> str | None:
        """The team's id, or None without a team."""
        return self.team.id if self.team is not None else None

    @property
    def key_hash(self) -> str | None:
        """The hash of the virtual key, or None for the master key."""
        return self.key.hash if self.key is not None else None

    @property
    def narrowed_to(self) -> str | None:
        """The hash of the key whose things alone are this caller's, or None: they are its team's."""
        return self.key.hash if self.key is not None and self.key.own_only else None

    @property
    def regions(self) -> tuple[Region, ...]:
        """Regions that both the key and its team allow."""
        allowed = self.team.regions if self.team is not None else ALL_REGIONS
        narrowed = self.key.regions if self.key is not None else None
        return allowed if narrowed is None else tuple(r for r in allowed if r in narrowed)

    def may_use_model(self, model: str) -> bool:
        """Whether key and team both allow this LiteLLM model name (lists may hold `prefix/*`)."""
        lists = [holder.models for holder in (self.key, self.team) if holder is not None and holder.models]
        return all(any(_model_matches(pattern, model) for pattern in allowed) for allowed in lists)


MASTER = Caller(key=None, team=None, is_admin=True)


def _model_matches(pattern: str, model: str) -> bool:
    if pattern in ("*", "all-proxy-models", "all-team-models"):
        return True
    return model.startswith(pattern[:-1]) if pattern.endswith("/*") else pattern == model


def new_virtual_key() -> str:
    """A fresh virtual key, `sk-` and 22 random characters or more, as LiteLLM makes them."""
    return f"sk-{secrets.token_urlsafe(24)}"


def hash_key(key: str) -> str:
    """SHA-256 of a virtual key, as hex: the only form that is stored (LiteLLM's own form)."""
    return hashlib.sha256(key.encode()).hexdigest()


def mask_key(key: str) -> str:
    """A key as people may see it: `sk-...Ab3d`."""
    return f"sk-...{key[-4:]}"


def presented_key(header: str | None) -> str | None:
    """The key in an `Authorization` header: bare `sk-…`, `Bearer sk-…`, or None when there is none."""
    if header is None:
        return None
    scheme, _, rest = header.strip().partition(" ")
    key = rest.strip() if scheme.lower() == "bearer" else header.strip()
    return key or None


def require_usable(
    key: VirtualKey | None, team: Team | None, now: datetime, secret: Secret | None = None
) -> Caller:
    """The caller that a stored key makes, when it was presented by `secret`.

    Raises Unauthenticated, or Forbidden for a blocked team.
    """
    if key is None or key.blocked or (key.expires_at is not None and key.expires_at <= now):
        raise Unauthenticated
    if secret is not None and secret.has_ended(now):
        raise Unauthenticated
    if key.team_id is not None and team is None:
        raise Unauthenticated
    if team is not None and team.blocked:
        raise Forbidden(f"Team {team.alias} is blocked.")
    return Caller(key=key, team=team)


def require_budget(caller: Caller, now: datetime) -> None:
    """Raise BudgetExceeded when the key's or the team's budget has nothing left."""
    if caller.key is not None:
        require_left(f"Key {caller.key.alias or caller.key.masked}", caller.key.budget, now)
    if caller.team is not None:
        require_left(f"Team {caller.team.alias}", caller.team.budget, now)


def owns(caller: Caller, owner: str | None, key_hash: str | None) -> bool:
    """Whether a thing of `owner` that the key `key_hash` made is the caller's. Everything is the master's."""
    if caller.is_admin:
        return True
    return owner is not None and owner == caller.owner and caller.narrowed_to in (None, key_hash)


def require_owner(caller: Caller, owner: str | None, key_hash: str | None) -> None:
    """Raise NotFound, as for an id that does not exist, unless the caller owns the thing."""
    if not owns(caller, owner, key_hash):
        raise NotFound


def require_may_write(caller: Caller) -> None:
    """Raise Forbidden for a read-only key: nothing that it asks may change anything or cost."""
    if caller.key is not None and caller.key.read_only:
        raise Forbidden("This key is read-only.")


def is_upload_url(url: str) -> bool:
    """Whether some reader of URLs takes this one to AssemblyAI's upload store, which is the owner's alone.

    Readers differ over `\\`, missing slashes, userinfo, encoded and wide characters, so each way to read the
    host counts. A URL of more than 8192 characters counts too: nothing public is that long.
    """
    return len(url) > _LONGEST_URL or any(_UPLOAD_HOST.fullmatch(host) for host in _possible_hosts(url))


def _possible_hosts(url: str) -> Iterator[str]:
    """Every part of the authority that could be the host, decoded before and after it is cut out."""
    for spelling in decodings(url):
        match = _AUTHORITY.match(spelling)
        for authority in decodings(match[1]) if match else ():
            for part in _AUTHORITY_END.split(authority):
                yield part.partition(":")[0].rstrip(".")

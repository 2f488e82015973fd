"""Virtual keys, stored by their hash. Functions take a connection of `Store.read` or `Store.write`.

A key's id is the hash of its first secret. `rotate` gives it another secret and keeps the id, and with it
budget, usage and ownership. A key is revoked by `update(blocked=True)` or `delete`; both hold from the next
request on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.audit_details import changes as changes_of
from aai_gateway.core.auditing import plain
from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.limits import Limits
from aai_gateway.core.owners import MASTER, key_owner
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Secret, Team, VirtualKey
from aai_gateway.errors import StoreError
from aai_gateway.store import audit_log, ownership
from aai_gateway.store._budgets import budget_of, changed_values, locked, new_values
from aai_gateway.store._limits import limits_of
from aai_gateway.store.schema import holds, key_secrets, teams, virtual_keys
from aai_gateway.store.teams import team_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

# Built once: every request asks these, and building a statement costs more than running it.
_WITH_TEAM = (
    sa.select(virtual_keys, teams)
    .select_from(virtual_keys.outerjoin(teams, teams.c.id == virtual_keys.c.team_id))
    .where(virtual_keys.c.hash == sa.bindparam("hash"))
)
_PRESENTED = (
    sa.select(key_secrets, virtual_keys, teams)
    .select_from(
        key_secrets.join(virtual_keys, virtual_keys.c.hash == key_secrets.c.key_hash).outerjoin(
            teams, teams.c.id == virtual_keys.c.team_id
        )
    )
    .where(key_secrets.c.hash == sa.bindparam("hash"))
)
_at = sa.bindparam("at", type_=virtual_keys.c.last_used_at.type)
_USED = (
    sa.update(virtual_keys)
    .where(
        virtual_keys.c.hash == sa.bindparam("of_hash"),
        virtual_keys.c.last_used_at.is_(None) | (virtual_keys.c.last_used_at < _at),
    )
    .values(last_used_at=_at)
)


@dataclass(frozen=True, slots=True)
class Presented:
    """What a secret stands for: its key, and the key's team."""

    key: VirtualKey
    team: Team | None
    secret: Secret


class KeyChanges(TypedDict, total=False):
    """What `update` may change. `budget` sets limits and duration; `spent_micros` what is spent."""

    alias: str | None
    team_id: str | None
    user_id: str | None
    regions: tuple[Region, ...] | None
    models: tuple[str, ...]
    budget: Budget
    spent_micros: int
    expires_at: datetime | None
    blocked: bool
    metadata: Mapping[str, Any]
    limits: Limits
    own_only: bool
    read_only: bool


async def create(connection: AsyncConnection, key: VirtualKey) -> VirtualKey:
    """Add a key with its first secret, and return it as stored.

    Raises StoreError when its secret or alias is taken, its team is not there, or it still has transcripts
    of a deleted key's.
    """
    created_at = key.created_at or utc_now()
    await ownership.begin(connection, key_owner(key.hash))
    values = {
        "hash": key.hash,
        "masked": key.masked,
        "alias": key.alias,
        "team_id": key.team_id,
        "user_id": key.user_id,
        "regions": None if key.regions is None else [region.value for region in key.regions],
        "models": list(key.models),
        **new_values(key.budget, created_at, holds.c.key_hash == key.hash),
        "expires_at": key.expires_at,
        "blocked": key.blocked,
        "created_at": created_at,
        "metadata": dict(key.metadata),
        **asdict(key.limits),
        "own_only": key.own_only,
        "read_only": key.read_only,
    }
    try:
        await connection.execute(sa.insert(virtual_keys).values(values))
        await _add_secret(connection, key.hash, Secret(key.hash, key.masked, created_at))
    except IntegrityError as error:
        raise StoreError(_refusal(error, key.alias, key.team_id)) from None
    made = await _existing(connection, key.hash)
    _audit(connection, "create", None, made)
    return made


async def by_hash(connection: AsyncConnection, key_hash: str) -> VirtualKey | None:
    """The key with this hash."""
    query = sa.select(virtual_keys).where(virtual_keys.c.hash == key_hash)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else key_of(row)


async def locked_by_hash(connection: AsyncConnection, key_hash: str) -> VirtualKey | None:
    """The key with this hash, which nobody else changes until the transaction ends."""
    row = await locked(connection, virtual_keys, virtual_keys.c.hash == key_hash)
    return None if row is None else key_of(row)


async def with_team(connection: AsyncConnection, key_hash: str) -> tuple[VirtualKey, Team | None] | None:
    """The key with this hash and its team, in one query."""
    row = (await connection.execute(_WITH_TEAM, {"hash": key_hash})).mappings().first()
    if row is None:
        return None
    return key_of(row), None if row[teams.c.id] is None else team_of(row)


async def presented(connection: AsyncConnection, secret_hash: str) -> Presented | None:
    """What the secret with this hash stands for, though it may have ended; in one query."""
    row = (await connection.execute(_PRESENTED, {"hash": secret_hash})).mappings().first()
    if row is None:
        return None
    return Presented(key_of(row), None if row[teams.c.id] is None else team_of(row), _secret_of(row))


async def named(connection: AsyncConnection, key_hash: str, now: datetime) -> VirtualKey | None:
    """The key whose id this is, or one of whose secrets it is that have not ended by `now`."""
    is_it = (virtual_keys.c.hash == key_hash) | _has_secret(key_secrets.c.hash == key_hash, now)
    row = (await connection.execute(sa.select(virtual_keys).where(is_it))).mappings().first()
    return None if row is None else key_of(row)


async def secrets_of(connection: AsyncConnection, key_hash: str) -> list[Secret]:
    """The secrets that a key has and had, newest first."""
    query = sa.select(key_secrets).where(key_secrets.c.key_hash == key_hash)
    rows = await connection.execute(query.order_by(key_secrets.c.created_at.desc(), key_secrets.c.hash))
    return [_secret_of(row) for row in rows.mappings()]


async def list_all(connection: AsyncConnection, team_id: str | None = None) -> list[VirtualKey]:
    """Every key, or a team's, oldest first."""
    query = sa.select(virtual_keys).order_by(virtual_keys.c.created_at, virtual_keys.c.hash)
    if team_id is not None:
        query = query.where(virtual_keys.c.team_id == team_id)
    return [key_of(row) for row in (await connection.execute(query)).mappings()]


async def names_of(connection: AsyncConnection, hashes: Sequence[str]) -> dict[str, tuple[str | None, str]]:
    """Alias and masked form of each of these keys that is still there, by its hash."""
    query = sa.select(*(virtual_keys.c[name] for name in ("hash", "alias", "masked"))).where(
        virtual_keys.c.hash.in_(hashes)
    )
    return {row.hash: (row.alias, row.masked) for row in await connection.execute(query)}


async def find(connection: AsyncConnection, text: str) -> VirtualKey | None:
    """The key with this hash, else this alias, else this masked form (`sk-...Ab3d`) or its ending (`Ab3d`).

    Hash, form and ending may be those of any secret that has not ended. Raises StoreError when several keys
    end so.
    """
    masked, now = text if text.startswith("sk-...") else f"sk-...{text}", utc_now()
    is_hash = (virtual_keys.c.hash == text) | _has_secret(key_secrets.c.hash == text, now)
    is_masked = (virtual_keys.c.masked == masked) | _has_secret(key_secrets.c.masked == masked, now)
    rank = sa.case((is_hash, 0), (virtual_keys.c.alias == text, 1), else_=2)
    matches = is_hash | (virtual_keys.c.alias == text) | is_masked
    query = sa.select(virtual_keys, rank.label("rank")).where(matches).order_by("rank").limit(2)
    rows = (await connection.execute(query)).mappings().all()
    if len(rows) == 2 and rows[0]["rank"] == 2:
        raise StoreError(f"Several keys end in {masked[-4:]}; name one by its alias or hash.")
    return key_of(rows[0]) if rows else None


async def update(connection: AsyncConnection, key_hash: str, **changes: Unpack[KeyChanges]) -> VirtualKey:
    """Change a key and return it.

    Raises StoreError for one that is not there, an alias that is taken, or a team that is not there.
    """
    before = await locked(connection, virtual_keys, virtual_keys.c.hash == key_hash)
    values: dict[str, Any] = dict(changes)
    if "limits" in changes:
        values |= asdict(values.pop("limits"))
    if values.keys() & {"budget", "spent_micros"}:
        values |= await changed_values(
            connection,
            virtual_keys,
            virtual_keys.c.hash == key_hash,
            utc_now(),
            limits=values.pop("budget", None),
            spent_micros=values.pop("spent_micros", None),
        )
    if values:
        try:
            query = sa.update(virtual_keys).where(virtual_keys.c.hash == key_hash)
            await connection.execute(query.values(values))
        except IntegrityError as error:
            raise StoreError(_refusal(error, changes.get("alias"), changes.get("team_id"))) from None
    after = await _existing(connection, key_hash)
    _audit(connection, "update", None if before is None else key_of(before), after)
    return after


async def rotate(
    connection: AsyncConnection, key_hash: str, secret: Secret, old_until: datetime
) -> VirtualKey:
    """Give a key another secret, and return it; the secrets that it had end at `old_until` at the latest.

    Raises StoreError for a key that is not there, or a secret that is or was a key's.
    """
    which = virtual_keys.c.hash == key_hash
    # First, because it locks the key: of two rotations at once one ends the other's secret.
    await connection.execute(sa.update(virtual_keys).where(which).values(masked=secret.masked))
    older = (key_secrets.c.key_hash == key_hash, _lives(old_until))
    await connection.execute(sa.update(key_secrets).where(*older).values(expires_at=old_until))
    key = await _existing(connection, key_hash)
    try:
        await _add_secret(connection, key_hash, secret)
    except IntegrityError:
        raise StoreError("This secret is or was a key's; choose another.") from None
    told = {"after": {"ends_in": secret.masked[-4:], "old_secrets_until": plain(old_until)}}
    audit_log.record(connection, "key.rotate", f"key:{key_hash}", told, team_id=key.team_id)
    return key


async def note_used(connection: AsyncConnection, used: Mapping[str, datetime]) -> set[str]:
    """Note when keys, by their hash, were last used; never earlier than is noted already.

    It waits for nobody: those that another transaction holds are left out and returned. Needs `Store.write`.
    """
    those = virtual_keys.c.hash.in_(list(used))
    query = sa.select(virtual_keys.c.hash).where(those).with_for_update(skip_locked=True)
    free = set(await connection.scalars(query))
    if free:
        values = [{"of_hash": key_hash, "at": used[key_hash]} for key_hash in free]
        await connection.execute(_USED, values)
    if len(free) == len(used):
        return set()
    return set(await connection.scalars(sa.select(virtual_keys.c.hash).where(those))) - free


async def delete(connection: AsyncConnection, key_hash: str, heir: str = MASTER) -> bool:
    """Remove a key; usage stays, and so do its team's transcripts. Whether there was one.

    What it owns itself, without a team, becomes its heir's (`ownership.leave`).
    """
    gone = sa.delete(virtual_keys).where(virtual_keys.c.hash == key_hash).returning(virtual_keys)
    row = (await connection.execute(gone)).mappings().first()
    if row is None:
        return False
    _audit(connection, "delete", key_of(row), None, heir=heir)
    await ownership.leave(connection, [key_owner(key_hash)], heir, utc_now())
    return True


def _audit(
    connection: AsyncConnection,
    action: str,
    before: VirtualKey | None,
    after: VirtualKey | None,
    **more: Any,
) -> None:
    """Note what was done to a key, unless nothing changed."""
    if (key := after or before) and (changed := changes_of(before, after)):
        details = {**changed, **more}
        audit_log.record(connection, f"key.{action}", f"key:{key.hash}", details, team_id=key.team_id)


async def lifetime_micros(connection: AsyncConnection) -> dict[str, int]:
    """What each key, by hash, has spent since it was made; micro-dollars."""
    rows = await connection.execute(sa.select(virtual_keys.c.hash, virtual_keys.c.lifetime_micros))
    return {row.hash: row.lifetime_micros for row in rows}


async def _existing(connection: AsyncConnection, key_hash: str) -> VirtualKey:
    if (key := await by_hash(connection, key_hash)) is None:
        raise StoreError("There is no such key.")
    return key


async def _add_secret(connection: AsyncConnection, key_hash: str, secret: Secret) -> None:
    await connection.execute(sa.insert(key_secrets).values(key_hash=key_hash, **asdict(secret)))


def _lives(moment: datetime) -> sa.ColumnElement[bool]:
    return key_secrets.c.expires_at.is_(None) | (key_secrets.c.expires_at > moment)


def _has_secret(is_it: sa.ColumnElement[bool], now: datetime) -> sa.ColumnElement[bool]:
    return virtual_keys.c.hash.in_(sa.select(key_secrets.c.key_hash).where(is_it, _lives(now)))


def _secret_of(row: sa.RowMapping) -> Secret:
    c = key_secrets.c
    return Secret(row[c.hash], row[c.masked], row[c.created_at], row[c.expires_at])


def _refusal(error: IntegrityError, alias: str | None, team_id: str | None) -> str:
    if "foreign key" in str(error.orig).lower():
        return f"There is no team with the id {team_id}."
    return f"There is already a key with the name {alias}." if alias else "There is already such a key."


def key_of(row: sa.RowMapping) -> VirtualKey:
    """A key from a row that holds every column of its table."""
    table = virtual_keys.c
    regions = row[table.regions]
    return VirtualKey(
        hash=row[table.hash],
        masked=row[table.masked],
        alias=row[table.alias],
        team_id=row[table.team_id],
        user_id=row[table.user_id],
        regions=None if regions is None else tuple(Region(region) for region in regions),
        models=tuple(row[table.models]),
        budget=budget_of(row, virtual_keys),
        expires_at=row[table.expires_at],
        blocked=row[table.blocked],
        created_at=row[table.created_at],
        metadata=row[table.metadata],
        limits=limits_of(row, virtual_keys),
        own_only=row[table.own_only],
        read_only=row[table.read_only],
        last_used_at=row[table.last_used_at],
    )

"""`/key/*`: what the master key asks of virtual keys, on a connection of its own transaction.

Raises BadField for what cannot be done as asked, and StoreError for what contradicts the store's contents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.owners import key_owner
from aai_gateway.core.tenancy import Secret, VirtualKey, hash_key, mask_key, new_virtual_key
from aai_gateway.gateway import management_rows as rows
from aai_gateway.gateway import management_shapes as shapes
from aai_gateway.gateway.management_teams import existing_team, heir
from aai_gateway.store import keys

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

Data = Mapping[str, Any]


async def generate_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Make a key. Its answer is the one that shows it."""
    body = shapes.read(shapes.GenerateKey, data)
    secret = shapes.custom_key(body.key) if body.key else new_virtual_key()
    blank = VirtualKey(hash=hash_key(secret), masked=mask_key(secret), created_at=now)
    if await keys.presented(connection, blank.hash) is not None:
        raise shapes.BadField("key", "This key exists already.")
    changes = shapes.key_changes(body, blank, now)
    await _require_team_allows(connection, blank, changes)
    budget = replace(changes.pop("budget", Budget()), spent_micros=changes.pop("spent_micros", 0))
    key = await keys.create(connection, replace(blank, budget=budget, **changes))
    return rows.generated_json(rows.key_json(key, 0, now), secret)


async def update_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Change what was sent of a key."""
    body = shapes.read(shapes.UpdateKey, data)
    key = await _key_to_update(connection, body)
    changes = shapes.key_changes(body, key, now)
    await _require_team_allows(connection, key, changes)
    return {"key": body.key or key.hash, **await _changed_key(connection, key.hash, now, changes)}


async def regenerate_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Give a key another secret, which the answer shows, and change what was sent."""
    body = shapes.read(shapes.RegenerateKey, data)
    if not body.key:
        raise shapes.BadField("key", "No key passed in.")
    key = await existing_key(connection, body.key)
    secret = shapes.custom_key(body.new_key, "new_key") if body.new_key else new_virtual_key()
    if await keys.presented(connection, hash_key(secret)) is not None:
        raise shapes.BadField("new_key", "This key exists already.")
    old_until = shapes.old_secrets_end(body, now)
    changes = shapes.key_changes(body, key, now)
    await _require_team_allows(connection, key, changes)
    key = await keys.rotate(connection, key.hash, Secret(hash_key(secret), mask_key(secret), now), old_until)
    if changes:
        key = await keys.update(connection, key.hash, **changes)
    spent = await keys.lifetime_micros(connection)
    return rows.generated_json(rows.key_json(key, spent.get(key.hash, 0), now), secret)


async def _key_to_update(connection: AsyncConnection, body: shapes.UpdateKey) -> VirtualKey:
    if body.key:
        return await existing_key(connection, body.key)
    if not body.key_alias:
        raise shapes.BadField("key", "key: either key or key_alias must be provided", status=422)
    return await _key_of_alias(connection, body.key_alias)


async def _require_team_allows(connection: AsyncConnection, key: VirtualKey, changes: dict[str, Any]) -> None:
    """Raise BadField for a team that is not there, or regions that it does not allow."""
    team_id, regions = changes.get("team_id", key.team_id), changes.get("regions", key.regions)
    if team_id is None:
        return
    team = await existing_team(connection, team_id)
    if (
        {"team_id", "regions"} & changes.keys()
        and regions is not None
        and not set(regions) <= {*team.regions}
    ):
        names = " and ".join(region.value for region in team.regions)
        raise shapes.BadField("regions", f"Team {team.alias} is limited to {names}.")


async def _changed_key(
    connection: AsyncConnection, key_hash: str, now: datetime, changes: dict[str, Any]
) -> dict[str, Any]:
    key = await keys.update(connection, key_hash, **changes)
    spent = await keys.lifetime_micros(connection)
    return rows.key_json(key, spent.get(key_hash, 0), now)


async def block_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Refuse a key from its next request on."""
    key = await existing_key(connection, shapes.read(shapes.OneKey, data).key)
    return await _changed_key(connection, key.hash, now, {"blocked": True})


async def unblock_key(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Take a blocked key in again."""
    key = await existing_key(connection, shapes.read(shapes.OneKey, data).key)
    return await _changed_key(connection, key.hash, now, {"blocked": False})


async def delete_keys(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """Delete keys; of those without a team it must be said what becomes of their transcripts."""
    body = shapes.read(shapes.DeleteKeys, data)
    if body.keys:
        found = [await existing_key(connection, key) for key in body.keys]
    elif body.key_aliases:
        found = [await _key_of_alias(connection, alias) for alias in body.key_aliases]
    else:
        text = "keys: At least one of 'keys' or 'key_aliases' must be provided."
        raise shapes.BadField("keys", text, status=422)
    to = await heir(connection, [key_owner(key.hash) for key in found], body.transcripts)
    for key in found:
        await keys.delete(connection, key.hash, to)
    return {"deleted_keys": body.keys or body.key_aliases}


async def key_info(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """One key."""
    named = shapes.read(shapes.OneKey, data, strict_fields=False).key
    key = await existing_key(connection, named)
    spent = await keys.lifetime_micros(connection)
    row = rows.key_json(key, spent.get(key.hash, 0), now)
    del row["token"]
    return {"key": named, "info": {**row, "status": rows.key_status(key, now)}}


async def list_keys(connection: AsyncConnection, data: Data, now: datetime) -> Any:
    """A page of keys."""
    query = shapes.read(shapes.ListKeys, data, strict_fields=False)
    spent = await keys.lifetime_micros(connection)
    found = [key for key in await keys.list_all(connection, query.team_id) if rows.matches(key, query, now)]
    answers = [rows.key_json(key, spent.get(key.hash, 0), now) for key in found]
    answers.sort(key=rows.sort_value(query.sort_by or "created_at"), reverse=query.sort_order == "desc")
    page = answers[(query.page - 1) * query.size : query.page * query.size]
    return {
        "keys": page
        if query.return_full_object or query.expand == "user"
        else [row["token"] for row in page],
        "total_count": len(answers),
        "current_page": query.page,
        "total_pages": -(-len(answers) // query.size),
    }


async def existing_key(connection: AsyncConnection, named: str) -> VirtualKey:
    """The key that is named by itself, its id or a secret that still works. Raises BadField."""
    if (key := await keys.named(connection, shapes.key_hash_of(named), utc_now())) is None:
        raise shapes.BadField("key", "Key not found in database", status=404)
    return key


async def _key_of_alias(connection: AsyncConnection, alias: str) -> VirtualKey:
    for key in await keys.list_all(connection):
        if key.alias == alias:
            return key
    raise shapes.BadField("key_alias", f"Key not found in database, passed key_alias={alias}", status=404)

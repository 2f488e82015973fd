"""What LiteLLM's `/key/*` and `/team/*` answer (1.106.2): rows of keys and teams, and the filters of lists.

Amounts are USD as JSON numbers, moments ISO 8601 in UTC. `spend` is the current budget period's,
`total_spend` everything since the key was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from aai_gateway.core.budgets import MICROS_PER_DOLLAR
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.gateway.management_shapes import ListKeys


def to_dollars(micros: int | None) -> float | None:
    """Micro-dollars as LiteLLM's JSON has them: USD, a number that prints exactly."""
    return None if micros is None else float(Decimal(micros) / MICROS_PER_DOLLAR)


def iso(moment: datetime | None) -> str | None:
    """A moment as LiteLLM's JSON has it: ISO 8601 in UTC with a Z."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def key_status(key: VirtualKey, now: datetime) -> str:
    """`active`, `expired` or `revoked`, as LiteLLM derives it."""
    if key.blocked:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def matches(key: VirtualKey, query: ListKeys, now: datetime) -> bool:
    """Whether a key passes the filters of `/key/list`; exact, or part of it with `substring_matching`."""

    def agrees(wanted: str | None, actual: str | None) -> bool:
        if not wanted or wanted == actual:
            return True
        return query.substring_matching and wanted.lower() in (actual or "").lower()

    found = query.search or ""
    expired = key.expires_at is not None and key.expires_at <= now
    return (
        agrees(query.user_id, key.user_id)
        and agrees(query.key_alias, key.alias)
        and query.key_hash in (None, "", key.hash)
        and (found in ("", key.hash) or found.lower() in (key.alias or "").lower())
        and query.status in (None, key_status(key, now))
        and query.expires in (None, "expired" if expired else "active")
    )


def sort_value(column: str) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """A sort key over rows of `key_json`; rows without a value come first, ties are told apart by hash."""

    def value(row: Mapping[str, Any]) -> tuple[Any, ...]:
        found = row[column]
        return (found is not None, found if found is not None else 0, row["token"])

    return value


def key_json(key: VirtualKey, lifetime_micros: int, now: datetime) -> dict[str, Any]:
    """LiteLLM's row of a key: the fields of `LiteLLM_VerificationToken` that scripts read, and our own.

    `token` is the key's id, which stays when its secret is another. `regions`, `own_only` and `read_only`
    are ours.
    """
    return {
        "token": key.hash,
        "key_name": key.masked,
        "key_alias": key.alias,
        "total_spend": to_dollars(lifetime_micros),
        **_shared_json(key, now),
        "expires": iso(key.expires_at),
        "last_active": iso(key.last_used_at),
        "own_only": key.own_only,
        "read_only": key.read_only,
        "user_id": key.user_id,
        "team_id": key.team_id,
        "regions": None if key.regions is None else [region.value for region in key.regions],
        "allowed_model_region": _single(key.regions),
        "aliases": {},
        "config": {},
        "permissions": {},
        "allowed_cache_controls": [],
        "allowed_routes": [],
        "org_id": None,
        "object_permission": None,
        "litellm_budget_table": None,
        "soft_budget_cooldown": False,
        "created_by": None,
        "updated_by": None,
    }


def team_json(team: Team, now: datetime) -> dict[str, Any]:
    """LiteLLM's row of a team: the fields of `LiteLLM_TeamTable` that scripts read, and `regions`."""
    return {
        "team_id": team.id,
        "team_alias": team.alias,
        **_shared_json(team, now),
        "regions": [region.value for region in team.regions],
        "organization_id": None,
        "admins": [],
        "members": [],
        "members_with_roles": [],
        "team_member_permissions": None,
        "model_id": None,
        "litellm_model_table": None,
        "object_permission": None,
        "router_settings": None,
        "access_group_ids": None,
    }


def generated_json(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    """LiteLLM's answer to `/key/generate` and `/key/regenerate`: the row, and the key, seen only now."""
    return {
        **row,
        "key": key,
        "token_id": row["token"],
        "key_type": None,
        "tags": row["metadata"].get("tags"),
    }


def _shared_json(holder: VirtualKey | Team, now: datetime) -> dict[str, Any]:
    budget = holder.budget.at(now)
    return {
        "models": list(holder.models),
        "spend": to_dollars(budget.spent_micros),
        "max_budget": to_dollars(budget.max_micros),
        "soft_budget": to_dollars(budget.soft_micros),
        "budget_duration": budget.duration,
        "budget_reset_at": iso(budget.resets_at),
        "metadata": dict(holder.metadata),
        "blocked": holder.blocked,
        "tpm_limit": None,
        "rpm_limit": holder.limits.requests_per_minute,
        "max_parallel_requests": None,
        "concurrent_jobs": holder.limits.concurrent_jobs,
        "concurrent_uploads": holder.limits.concurrent_uploads,
        "upload_bytes_per_day": holder.limits.upload_bytes_per_day,
        "model_spend": {},
        "model_max_budget": {},
        "created_at": iso(holder.created_at),
    }


def _single(regions: tuple[Region, ...] | None) -> str | None:
    return regions[0].value if regions is not None and len(regions) == 1 else None

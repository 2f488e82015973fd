"""`aai-gateway keys`: the virtual keys that teams hold instead of the account's."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.admin_options import (
    ConcurrentJobs,
    ConcurrentUploads,
    Json,
    Period,
    Rpm,
    SoftBudget,
    UploadBytes,
    checked_budget,
    checked_name,
    limits_with,
)
from aai_gateway.cli.output import (
    budget_json,
    budget_text,
    limits_text,
    note,
    parse_usd,
    print_json,
    print_table,
)
from aai_gateway.cli.store import existing_team, on_store
from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.durations import after
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key, new_virtual_key
from aai_gateway.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store import Store

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Virtual keys: create, list, update, revoke."
)

Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="Its alias, hash or last characters (`...Ab3d`), or `-` to read the key from stdin.",
    ),
]


@app.command(
    epilog="Example: export AAI_GATEWAY_KEY=$(aai-gateway keys create --team newsroom --expires 30d)"
)
def create(
    team: Annotated[str, typer.Option("--team", metavar="NAME", help="The team that the key belongs to.")],
    alias: Annotated[str | None, typer.Option(help="A name for the key.")] = None,
    region: Annotated[
        list[Region] | None,
        typer.Option(help="A region the key may use, of the team's; repeat for several."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="A chat model the key may use, or `prefix/*`; repeatable."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(metavar="USD", parser=parse_usd, help="The most the key may spend.")
    ] = None,
    soft_budget: SoftBudget = None,
    budget_duration: Period = None,
    expires: Annotated[
        str | None, typer.Option(metavar="30d|12h|1mo", help="How long the key works; for ever unless given.")
    ] = None,
    rpm: Rpm = None,
    concurrent_jobs: ConcurrentJobs = None,
    concurrent_uploads: ConcurrentUploads = None,
    upload_bytes_per_day: UploadBytes = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it, this once: only its hash is kept."""
    secret, now = new_virtual_key(), utc_now()
    key = VirtualKey(
        hash=hash_key(secret),
        masked=mask_key(secret),
        alias=None if alias is None else checked_name(alias, "--alias"),
        regions=tuple(r for r in ALL_REGIONS if r in region) if region else None,
        models=tuple(model or ()),
        budget=checked_budget(Budget(budget, budget_duration, soft_micros=soft_budget)),
        expires_at=None if expires is None else _expiry(now, expires),
        limits=limits_with((rpm, concurrent_jobs, concurrent_uploads, upload_bytes_per_day)),
    )
    made, owner = on_store(lambda store: _create(store, key, team))
    if as_json:
        print_json({"key": secret, **key_json(made, owner, now)})
        return
    typer.echo(secret)
    until = f" until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else ""
    note(f"A key for team {owner.alias}{until}. It is shown only now.")


async def _create(store: Store, key: VirtualKey, team: str) -> tuple[VirtualKey, Team]:
    from dataclasses import replace

    from aai_gateway.store import keys

    async with store.write() as connection:
        owner = await existing_team(connection, team)
        if key.regions is not None and not set(key.regions) <= {*owner.regions}:
            names = " and ".join(region.value for region in owner.regions)
            raise StoreError(f"Team {owner.alias} is limited to {names}.")
        return await keys.create(connection, replace(key, team_id=owner.id)), owner


@app.command("list", epilog="Example: aai-gateway keys list --team newsroom")
def list_keys(
    team: Annotated[str | None, typer.Option("--team", metavar="NAME", help="Only this team's keys.")] = None,
    as_json: Json = False,
) -> None:
    """List keys, oldest first; never the keys themselves."""

    async def work(store: Store) -> tuple[list[VirtualKey], dict[str, Team]]:
        from aai_gateway.store import keys, teams

        async with store.read() as connection:
            wanted = None if team is None else (await existing_team(connection, team)).id
            owners = {owner.id: owner for owner in await teams.list_all(connection)}
            return await keys.list_all(connection, wanted), owners

    (found, owners), now = on_store(work), utc_now()
    if as_json:
        print_json([key_json(key, owners.get(key.team_id or ""), now) for key in found])
    else:
        print_keys(found, owners, now)


@app.command(epilog="Example: aai-gateway keys update newsroom-desk --rpm 60 --upload-bytes-per-day none")
def update(
    key: Key,
    rpm: Rpm = None,
    concurrent_jobs: ConcurrentJobs = None,
    concurrent_uploads: ConcurrentUploads = None,
    upload_bytes_per_day: UploadBytes = None,
    as_json: Json = False,
) -> None:
    """Change a key; what is not given stays. Holds from the next request on."""
    named = sys.stdin.readline().strip() if key == "-" else key
    new_limits = (rpm, concurrent_jobs, concurrent_uploads, upload_bytes_per_day)

    async def work(store: Store) -> tuple[VirtualKey, Team | None]:
        from aai_gateway.store import keys, teams

        async with store.write() as connection:
            found = await _existing_key(connection, named)
            changed = await keys.update(connection, found.hash, limits=limits_with(new_limits, found.limits))
            owner = None if found.team_id is None else await teams.by_id(connection, found.team_id)
            return changed, owner

    (changed, owner), now = on_store(work), utc_now()
    if as_json:
        print_json(key_json(changed, owner, now))
    else:
        print_keys([changed], {} if owner is None else {owner.id: owner}, now)


@app.command(epilog="Example: pass show newsroom-key | aai-gateway keys revoke -")
def revoke(key: Key) -> None:
    """Revoke a key: its next request is refused. What it spent stays on record."""
    named = sys.stdin.readline().strip() if key == "-" else key

    async def work(store: Store) -> VirtualKey:
        from aai_gateway.store import keys

        async with store.write() as connection:
            found = await _existing_key(connection, named)
            return await keys.update(connection, found.hash, blocked=True)

    revoked = on_store(work)
    note(f"Key {revoked.alias or revoked.masked} is revoked.")


async def _existing_key(connection: AsyncConnection, named: str) -> VirtualKey:
    from aai_gateway.store import keys

    if (found := await keys.find(connection, _searchable(named))) is None:
        raise StoreError("There is no such key; `aai-gateway keys list` shows those there are.")
    return found


def _searchable(named: str) -> str:
    """What `store.keys.find` takes: a whole key becomes its hash, a masked one its canonical form."""
    if not named:
        raise ConfigurationError("No key was given.")
    ending = named.removeprefix("sk-").lstrip(".…")
    if ending != named.removeprefix("sk-"):
        return f"sk-...{ending}"
    return hash_key(named) if named.startswith("sk-") else named


def _expiry(now: datetime, expires: str) -> datetime:
    try:
        return after(now, expires)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--expires") from None


def key_json(key: VirtualKey, team: Team | None, now: datetime) -> dict[str, Any]:
    """A key as `--json` prints it: everything but the key."""
    return {
        "hash": key.hash,
        "masked": key.masked,
        "alias": key.alias,
        "team": None if team is None else team.alias,
        "team_id": key.team_id,
        "regions": None if key.regions is None else [region.value for region in key.regions],
        "models": list(key.models),
        "budget": budget_json(key.budget, now),
        "limits": asdict(key.limits),
        "state": _state(key, now),
        "expires_at": key.expires_at,
        "created_at": key.created_at,
        "metadata": dict(key.metadata),
    }


def print_keys(keys: Sequence[VirtualKey], teams: Mapping[str, Team], now: datetime) -> None:
    """Keys as a table on stdout, or a remark that there are none."""
    if not keys:
        note("There are no keys yet. Make one: aai-gateway keys create --team NAME")
        return
    headers = ("Key", "Alias", "Team", "Regions", "Chat models", "Spent", "Limits", "State", "Expires")
    print_table(headers, [_row(key, teams.get(key.team_id or ""), now) for key in keys])


def _row(key: VirtualKey, team: Team | None, now: datetime) -> tuple[str, ...]:
    return (
        key.masked,
        key.alias or "",
        team.alias if team is not None else "",
        "team's" if key.regions is None else " ".join(region.value for region in key.regions),
        " ".join(key.models) or "team's",
        budget_text(key.budget, now),
        limits_text(key.limits),
        _state(key, now),
        f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never",
    )


def _state(key: VirtualKey, now: datetime) -> str:
    if key.blocked:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"

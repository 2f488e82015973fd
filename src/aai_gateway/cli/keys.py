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
    model_patterns,
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
from aai_gateway.core.durations import after, grace_end
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Secret, Team, VirtualKey, hash_key, mask_key, new_virtual_key
from aai_gateway.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store import Store

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Virtual keys: create, list, show, update, rotate, revoke.",
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
    own_only: Annotated[
        bool, typer.Option("--own-only", help="Only what the key made itself is there for it.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="It may look, and change or cost nothing.")
    ] = False,
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
        models=model_patterns(model),
        budget=checked_budget(Budget(budget, budget_duration, soft_micros=soft_budget)),
        expires_at=None if expires is None else _expiry(now, expires),
        own_only=own_only,
        read_only=read_only,
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


@app.command(epilog="Example: aai-gateway keys show laptop")
def show(key: Key, as_json: Json = False) -> None:
    """Show one key, and until when each of its secrets works; never the secrets themselves."""
    named = _searchable(key)

    async def work(store: Store) -> tuple[VirtualKey, Team | None, list[Secret]]:
        from aai_gateway.store import keys

        async with store.read() as connection:
            found = await _existing_key(connection, named)
            return found, await _team_of(connection, found), await keys.secrets_of(connection, found.hash)

    (found, owner, secrets), now = on_store(work), utc_now()
    if as_json:
        print_json({**key_json(found, owner, now), "secrets": [_secret_json(s, now) for s in secrets]})
        return
    print_keys([found], {} if owner is None else {owner.id: owner}, now)
    typer.echo()
    print_table(("Secret", "Made", "Works"), [_secret_row(secret, now) for secret in secrets])


@app.command(epilog="Example: aai-gateway keys update laptop --read-only --rpm 60")
def update(
    key: Key,
    own_only: Annotated[
        bool | None,
        typer.Option("--own-only/--no-own-only", help="Whether only what the key made is there for it."),
    ] = None,
    read_only: Annotated[
        bool | None,
        typer.Option("--read-only/--no-read-only", help="Whether it may only look."),
    ] = None,
    rpm: Rpm = None,
    concurrent_jobs: ConcurrentJobs = None,
    concurrent_uploads: ConcurrentUploads = None,
    upload_bytes_per_day: UploadBytes = None,
    as_json: Json = False,
) -> None:
    """Change a key; what is not given stays. Holds from the next request on."""
    named = _searchable(key)
    given: dict[str, Any] = {"own_only": own_only, "read_only": read_only}
    changes = {field: value for field, value in given.items() if value is not None}
    limits = (rpm, concurrent_jobs, concurrent_uploads, upload_bytes_per_day)
    if not changes and not any(limit is not None for limit in limits):
        raise ConfigurationError(
            "Nothing to change was given; `aai-gateway keys update --help` shows what can be."
        )

    async def work(store: Store) -> tuple[VirtualKey, Team | None]:
        from aai_gateway.store import keys

        async with store.write() as connection:
            found = await _existing_key(connection, named)
            changes["limits"] = limits_with(limits, found.limits)
            return await keys.update(connection, found.hash, **changes), await _team_of(connection, found)

    (changed, owner), now = on_store(work), utc_now()
    if as_json:
        print_json(key_json(changed, owner, now))
    else:
        print_keys([changed], {} if owner is None else {owner.id: owner}, now)


@app.command(epilog="Example: export AAI_GATEWAY_KEY=$(aai-gateway keys rotate laptop --grace 24h)")
def rotate(
    key: Key,
    grace: Annotated[
        str,
        typer.Option(metavar="24h|7d|0", help="How long the secrets that it had go on working; 0: at once."),
    ] = "24h",
    as_json: Json = False,
) -> None:
    """Give a key a new secret and print it, this once; budget, usage and transcripts stay the key's."""
    named, secret, now = _searchable(key), new_virtual_key(), utc_now()
    old_until = _grace_end(now, grace)

    async def work(store: Store) -> tuple[VirtualKey, Team | None]:
        from aai_gateway.store import keys

        async with store.write() as connection:
            found = await _existing_key(connection, named)
            if (state := _state(found, now)) != "active":
                raise StoreError(
                    f"Key {found.alias or found.masked} is {state}: a new secret would not work."
                )
            fresh = Secret(hash_key(secret), mask_key(secret), now)
            return await keys.rotate(connection, found.hash, fresh, old_until), await _team_of(
                connection, found
            )

    rotated, owner = on_store(work)
    if as_json:
        print_json({"key": secret, "old_secrets_until": old_until, **key_json(rotated, owner, now)})
        return
    typer.echo(secret)
    until = f"works until {old_until:%Y-%m-%d %H:%M} UTC" if old_until > now else "works no more"
    note(
        f"A new secret for key {rotated.alias or rotated.masked}. It is shown only now; the old one {until}."
    )


@app.command(epilog="Example: pass show newsroom-key | aai-gateway keys revoke -")
def revoke(key: Key) -> None:
    """Revoke a key: its next request is refused. What it spent stays on record."""
    named = _searchable(key)

    async def work(store: Store) -> VirtualKey:
        from aai_gateway.store import keys

        async with store.write() as connection:
            found = await _existing_key(connection, named)
            return await keys.update(connection, found.hash, blocked=True)

    revoked = on_store(work)
    note(f"Key {revoked.alias or revoked.masked} is revoked.")


async def _existing_key(connection: AsyncConnection, named: str) -> VirtualKey:
    from aai_gateway.store import keys

    if (found := await keys.find(connection, named)) is None:
        raise StoreError("There is no such key; `aai-gateway keys list` shows those there are.")
    return found


async def _team_of(connection: AsyncConnection, key: VirtualKey) -> Team | None:
    from aai_gateway.store import teams

    return None if key.team_id is None else await teams.by_id(connection, key.team_id)


def _searchable(key: str) -> str:
    """What `store.keys.find` takes: a whole key becomes its hash, a masked one its canonical form."""
    named = sys.stdin.readline().strip() if key == "-" else key
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


def _grace_end(now: datetime, grace: str) -> datetime:
    try:
        return grace_end(now, grace)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--grace") from None


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
        "own_only": key.own_only,
        "read_only": key.read_only,
        "budget": budget_json(key.budget, now),
        "limits": asdict(key.limits),
        "state": _state(key, now),
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "created_at": key.created_at,
        "metadata": dict(key.metadata),
    }


def print_keys(keys: Sequence[VirtualKey], teams: Mapping[str, Team], now: datetime) -> None:
    """Keys as a table on stdout, or a remark that there are none."""
    if not keys:
        note("There are no keys yet. Make one: aai-gateway keys create --team NAME")
        return
    headers = (
        *("Key", "Alias", "Team", "Regions", "Chat models", "May", "Spent", "Limits", "State"),
        *("Expires", "Last used"),
    )
    print_table(headers, [_row(key, teams.get(key.team_id or ""), now) for key in keys])


def _row(key: VirtualKey, team: Team | None, now: datetime) -> tuple[str, ...]:
    return (
        key.masked,
        key.alias or "",
        team.alias if team is not None else "",
        "team's" if key.regions is None else " ".join(region.value for region in key.regions),
        " ".join(key.models) or "team's",
        _rights(key),
        budget_text(key.budget, now),
        limits_text(key.limits),
        _state(key, now),
        f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never",
        f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never",
    )


def _rights(key: VirtualKey) -> str:
    may = "read" if key.read_only else "read and write"
    return f"{may} its own" if key.own_only else f"{may} its team's"


def _secret_json(secret: Secret, now: datetime) -> dict[str, Any]:
    return {
        "masked": secret.masked,
        "created_at": secret.created_at,
        "expires_at": secret.expires_at,
        "state": "expired" if secret.has_ended(now) else "active",
    }


def _secret_row(secret: Secret, now: datetime) -> tuple[str, ...]:
    if secret.expires_at is None:
        works = "as long as the key"
    else:
        works = f"{'until' if not secret.has_ended(now) else 'ended'} {secret.expires_at:%Y-%m-%d %H:%M}"
    return secret.masked, f"{secret.created_at:%Y-%m-%d %H:%M}", works


def _state(key: VirtualKey, now: datetime) -> str:
    if key.blocked:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"

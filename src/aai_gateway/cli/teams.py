"""`aai-gateway teams`: who shares the account."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace
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
from aai_gateway.cli.keys import key_json, print_keys
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
from aai_gateway.cli.teams_delete import delete
from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team

if TYPE_CHECKING:
    from aai_gateway.store import Store

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Teams: create, list, show, update, delete."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The team's name or id.")]
Regions = Annotated[
    list[Region] | None, typer.Option("--region", help="A region the team may use; repeat for several.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="PATTERN", help="A chat model the team may use, or `prefix/*`; repeatable."
    ),
]
_HEADERS = ("Team", "Regions", "Chat models", "Spent", "Limits", "State", "Id")
MaxBudget = Annotated[
    int | None, typer.Option("--budget", metavar="USD", parser=parse_usd, help="The most the team may spend.")
]


@app.command(
    epilog="Example: aai-gateway teams create newsroom --region eu --budget 50 --budget-duration 30d"
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the team is called.")],
    region: Regions = None,
    budget: MaxBudget = None,
    soft_budget: SoftBudget = None,
    budget_duration: Period = None,
    model: Models = None,
    rpm: Rpm = None,
    concurrent_jobs: ConcurrentJobs = None,
    concurrent_uploads: ConcurrentUploads = None,
    upload_bytes_per_day: UploadBytes = None,
    as_json: Json = False,
) -> None:
    """Create a team; it may use both regions and every chat model unless limited."""
    team = Team(
        id=str(uuid.uuid4()),
        alias=checked_name(name, "NAME"),
        regions=_in_order(region) or ALL_REGIONS,
        models=model_patterns(model),
        budget=checked_budget(Budget(budget, budget_duration, soft_micros=soft_budget)),
        limits=limits_with((rpm, concurrent_jobs, concurrent_uploads, upload_bytes_per_day)),
    )

    async def work(store: Store) -> Team:
        from aai_gateway.store import teams

        async with store.write() as connection:
            return await teams.create(connection, team)

    made = on_store(work)
    if as_json:
        print_json(team_json(made, utc_now()))
    else:
        typer.echo(made.id)
        note(f"Team {made.alias} is ready. Give it a key: aai-gateway keys create --team {made.alias}")


@app.command("list", epilog="Example: aai-gateway teams list --json")
def list_teams(as_json: Json = False) -> None:
    """List every team, by name."""

    async def work(store: Store) -> list[Team]:
        from aai_gateway.store import teams

        async with store.read() as connection:
            return await teams.list_all(connection)

    found, now = on_store(work), utc_now()
    if as_json:
        print_json([team_json(team, now) for team in found])
    elif found:
        print_table(_HEADERS, [_row(team, now) for team in found])
    else:
        note("There are no teams yet. Make one: aai-gateway teams create NAME")


@app.command(epilog="Example: aai-gateway teams show newsroom")
def show(name: Name, as_json: Json = False) -> None:
    """Show one team and its keys."""

    async def work(store: Store) -> tuple[Team, list[Any]]:
        from aai_gateway.store import keys

        async with store.read() as connection:
            team = await existing_team(connection, name)
            return team, await keys.list_all(connection, team.id)

    (team, found), now = on_store(work), utc_now()
    if as_json:
        print_json({**team_json(team, now), "keys": [key_json(key, team, now) for key in found]})
        return
    print_table(_HEADERS, [_row(team, now)])
    typer.echo()
    print_keys(found, {team.id: team}, now)


@app.command(epilog="Example: aai-gateway teams update newsroom --budget 100 --concurrent-jobs 20 --rpm none")
def update(
    name: Name,
    region: Regions = None,
    budget: MaxBudget = None,
    soft_budget: SoftBudget = None,
    budget_duration: Period = None,
    model: Models = None,
    new_name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    blocked: Annotated[
        bool | None, typer.Option("--block/--unblock", help="Refuse everything that the team's keys ask.")
    ] = None,
    rpm: Rpm = None,
    concurrent_jobs: ConcurrentJobs = None,
    concurrent_uploads: ConcurrentUploads = None,
    upload_bytes_per_day: UploadBytes = None,
    as_json: Json = False,
) -> None:
    """Change a team; what is not given stays. Holds from the next request on."""
    given: dict[str, Any] = {
        "alias": None if new_name is None else checked_name(new_name, "--name"),
        "regions": _in_order(region),
        "models": model_patterns(model) or None,
        "blocked": blocked,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    new_limits = (rpm, concurrent_jobs, concurrent_uploads, upload_bytes_per_day)
    wanted = {"max_micros": budget, "soft_micros": soft_budget, "duration": budget_duration}
    budgeted: dict[str, Any] = {field: value for field, value in wanted.items() if value is not None}

    async def work(store: Store) -> Team:
        from aai_gateway.store import teams

        async with store.write() as connection:
            team = await existing_team(connection, name)
            if budgeted:
                changes["budget"] = checked_budget(replace(team.budget, **budgeted))
            if any(limit is not None for limit in new_limits):
                changes["limits"] = limits_with(new_limits, team.limits)
            return await teams.update(connection, team.id, **changes)

    team, now = on_store(work), utc_now()
    if as_json:
        print_json(team_json(team, now))
    else:
        print_table(_HEADERS, [_row(team, now)])


app.command(epilog="Example: aai-gateway teams delete newsroom --move-to research --yes")(delete)


def team_json(team: Team, now: datetime) -> dict[str, Any]:
    """A team as `--json` prints it."""
    return {
        "id": team.id,
        "name": team.alias,
        "regions": [region.value for region in team.regions],
        "models": list(team.models),
        "budget": budget_json(team.budget, now),
        "limits": asdict(team.limits),
        "blocked": team.blocked,
        "created_at": team.created_at,
        "metadata": dict(team.metadata),
    }


def _row(team: Team, now: datetime) -> tuple[str, ...]:
    return (
        team.alias,
        " ".join(region.value for region in team.regions),
        " ".join(team.models) or "all",
        budget_text(team.budget, now),
        limits_text(team.limits),
        "blocked" if team.blocked else "active",
        team.id,
    )


def _in_order(regions: list[Region] | None) -> tuple[Region, ...] | None:
    return tuple(region for region in ALL_REGIONS if region in regions) if regions else None

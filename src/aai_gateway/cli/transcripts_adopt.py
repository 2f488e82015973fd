"""`aai-gateway transcripts adopt`: transcripts from before the gateway become a team's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.admin_options import Json
from aai_gateway.cli.output import note, print_json
from aai_gateway.cli.store import existing_team, on_store
from aai_gateway.cli.transcript_ids import Count, Ids, read_ids, tell_failures
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from aai_gateway.gateway.adoption import Adopted
    from aai_gateway.store import Store


def adopt(
    team: Annotated[str, typer.Option(metavar="NAME", help="The team that gets them.")],
    ids: Ids = None,
    region: Annotated[
        Region | None, typer.Option(help="Where they are; the team's region when it has just one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hand transcripts that were made without the gateway to a team. They are never charged.

    Each is looked up at AssemblyAI with the account's key. What is done stays done: run it again for the
    rest. Exit status 0: all are the team's now; 1: some are not.
    """
    wanted = read_ids(ids)
    if not wanted:
        raise typer.BadParameter("Name at least one transcript id.", param_hint="ID")
    count = Count(len(wanted), "transcripts")
    found, its, where = on_store(lambda store: _adopt(store, team, region, wanted, count))
    count.close()
    outcomes = Counter(one.outcome for one in found)
    if as_json:
        print_json(
            {
                "team": its.alias,
                "team_id": its.id,
                "region": where.value,
                **{name: outcomes[name] for name in ("adopted", "already", "failed")},
                "transcripts": [
                    {
                        "id": one.id,
                        "outcome": one.outcome,
                        "why": one.why,
                        "created_at": one.created_at,
                        "created_at_is_known": one.is_dated,
                    }
                    for one in found
                ],
            }
        )
    else:
        tell_failures((one.id, one.why or "") for one in found if one.outcome == "failed")
        note(
            f"{outcomes['adopted']:,} transcripts are team {its.alias}'s now, {outcomes['already']:,} were "
            f"already, {outcomes['failed']:,} failed."
        )
        if undated := sum(one.outcome == "adopted" and not one.is_dated for one in found):
            note(f"AssemblyAI's list does not tell when {undated:,} of them were made: they are dated now.")
    if outcomes["failed"]:
        raise typer.Exit(1)


async def _adopt(
    store: Store, name: str, region: Region | None, ids: Sequence[str], count: Count
) -> tuple[list[Adopted], Team, Region]:
    from aai_gateway.gateway.adoption import Adopter
    from aai_gateway.gateway.asking import Pace, PatientJobs
    from aai_gateway.gateway.upstream import Upstream
    from aai_gateway.settings import load_settings

    async with store.read() as connection:
        team = await existing_team(connection, name)
    where = _region(team, region)
    settings = load_settings()
    upstream = Upstream(settings)
    try:
        upstream.account_key(where)
        jobs = PatientJobs(upstream, Pace(settings.settle_rate))
        adopter = Adopter(settings, store, jobs, team, where, lambda _: count.add())
        return await adopter.run(ids), team, where
    finally:
        await upstream.close()


def _region(team: Team, region: Region | None) -> Region:
    """Where to look. Raises ConfigurationError."""
    if region is None:
        if len(team.regions) != 1:
            raise ConfigurationError(f"Team {team.alias} may use several regions: say --region us or eu.")
        return team.regions[0]
    if region not in team.regions:
        raise ConfigurationError(f"Team {team.alias} may not use the {region.value.upper()} region.")
    return region

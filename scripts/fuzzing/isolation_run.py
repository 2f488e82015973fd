"""`scripts/fuzz isolation`: many keys of many teams ask for everything; nobody gets what is another's."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import typer
from gateway_process import GatewayProcess, running_gateway
from rich import box
from rich.console import Console
from rich.table import Table

from aai_gateway.demo.processes import ended_by_signals
from aai_gateway.emulator import EmulatorConfig, running_emulator
from fuzzing.isolation import Isolation, Told
from fuzzing.tenants import OPERATIONS, Holder, Region, Tenants

SHOWN = 5
"""Sentences of each kind of wrong."""
FEWEST_TIMED = 50
"""Refusals of each kind without which nothing is said of their times."""
ENOUGH = 5_000
"""Random requests among which each operation must have been served at least once."""
ANY_NUMBER = "1000000"
"""Keys that are gone are presented all the time: none of this is a guesser who has to wait."""


def main(
    requests: Annotated[int, typer.Option(min=100, help="Random requests, besides the lists.")] = 20_000,
    teams: Annotated[int, typer.Option(min=2, help="Teams, with several keys each.")] = 12,
    seed: Annotated[int, typer.Option(help="Repeats the choice of requests.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="The counts as JSON instead of a table.")] = False,
) -> None:
    """Let many teams' keys ask for their own and each other's things, and judge each answer."""
    with (
        ended_by_signals(),
        TemporaryDirectory(prefix="aai-gateway-fuzz-") as folder,
        running_emulator(EmulatorConfig(job_seconds=0.2)) as emulator,
        running_gateway(emulator, Path(folder), AAI_GATEWAY_UNKNOWN_KEYS_PER_MINUTE=ANY_NUMBER) as gateway,
    ):
        started = time.monotonic()
        told = fuzz(gateway, requests, teams, seed)
        seconds = time.monotonic() - started
    if as_json:
        print(json.dumps(facts(told) | {"wrongs": told.wrongs}))
    else:
        _print(told, seconds)
    sys.exit(1 if told.wrongs else 0)


def fuzz(gateway: GatewayProcess, requests: int, teams: int, seed: int) -> Told:
    """Make the tenants, send the requests; what was seen, and all that was wrong with it."""
    tenants = Tenants(_holders(gateway, teams))
    told = asyncio.run(Isolation(gateway.url, tenants, requests, seed).run())
    for outcome in ("served", "not found", "foreign upload", "forbidden", "unauthenticated"):
        if not told.outcomes[outcome]:
            told.wrongs["nothing is proven"].append(f"no request was to end as {outcome}")
    for operation in told.requests if requests >= ENOUGH else ():
        if operation in OPERATIONS and not told.served[operation]:
            told.wrongs["nothing is proven"].append(f"no {operation} was served")
    for operation, answers in told.refusals.items():
        if len(answers) > 1:
            told.wrongs["refusals that differ"].append(f"{operation}: {sorted(answers)[:3]}")
    return told


def _holders(gateway: GatewayProcess, teams: int) -> list[Holder]:
    """Teams of each kind of regions, with keys of each kind; keys without a team; keys that are no more."""
    holders: list[Holder] = []
    allowed: tuple[list[Region], ...] = (["us", "eu"], ["us", "eu"], ["us"], ["eu"])
    with gateway.admin() as admin:

        def add(owner: int, may_use: Sequence[Region], **body: Any) -> Holder:
            secret = _made(admin, "/key/generate", **body)["key"]
            own_only, read_only = (bool(body.get(name)) for name in ("own_only", "read_only"))
            holder = Holder(len(holders), owner, secret, frozenset(may_use), own_only, read_only)
            holders.append(holder)
            return holder

        for number in range(teams):
            regions = allowed[number % len(allowed)]
            team = _made(admin, "/team/new", team_alias=f"team {number}", regions=regions)["team_id"]
            for kind in (None, "own_only", "own_only", "read_only"):
                add(number, regions, team_id=team, **({kind: True} if kind else {}))
            if len(regions) == 2:
                add(number, ["eu"], team_id=team, regions=["eu"])
        for number in range(3):
            add(teams + number, ["us", "eu"])
        gone = add(0, ["us", "eu"])
        _made(admin, "/key/block", key=gone.secret)
        holders[-1] = replace(gone, state="gone")
        blocked = _made(admin, "/team/new", team_alias="a blocked team")["team_id"]
        turned_away = add(teams + 3, ["us", "eu"], team_id=blocked)
        _made(admin, "/team/block", team_id=blocked)
        holders[-1] = replace(turned_away, state="team blocked")
    return holders


def _made(admin: httpx.Client, path: str, **body: Any) -> Any:
    return admin.post(path, json=body).raise_for_status().json()


def facts(told: Told) -> dict[str, Any]:
    """The counts."""
    return {
        "requests": dict(told.requests),
        "outcomes": dict(told.outcomes),
        "statuses": dict(told.statuses),
        "times": times(told),
    }


def times(told: Told) -> dict[str, float]:
    """How long refusals took for another's transcript and for nobody's: medians in ms, and who was faster.

    `auc` is the chance that a random refusal of another's was slower than one of nobody's: 0.5 says nothing.
    """
    another, nobody = told.seconds["another's"], told.seconds["nobody's"]
    if min(len(another), len(nobody)) < FEWEST_TIMED:
        return {}
    slower = sum((a > n) + 0.5 * (a == n) for a in another for n in nobody)
    return {
        "another's, median ms": round(statistics.median(another) * 1000, 2),
        "nobody's, median ms": round(statistics.median(nobody) * 1000, 2),
        "auc": round(slower / (len(another) * len(nobody)), 3),
    }


def _print(told: Told, seconds: float) -> None:
    console = Console(highlight=False, emoji=False, markup=False)
    for title, counts in (
        ("request", told.requests),
        ("to end as", told.outcomes),
        ("status", told.statuses),
    ):
        table = Table(title, "requests", box=box.SIMPLE_HEAD, pad_edge=False)
        table.columns[1].justify = "right"
        for name, count in sorted(counts.items()):
            table.add_row(name, f"{count:,}")
        table.add_section()
        table.add_row("all", f"{sum(counts.values()):,}")
        console.print(table)
    for name, value in times(told).items():
        console.print(f"a refused GET, {name}: {value}")
    for kind in ("marks of others", "lists of others", "other than expected", "server errors"):
        console.print(f"{kind}: {len(told.wrongs.get(kind, []))}")
    for kind, sentences in told.wrongs.items():
        for sentence in sentences[:SHOWN]:
            console.print(f"WRONG, {kind}: {sentence}", soft_wrap=True)
    console.print(f"{seconds:.0f} seconds")

"""`scripts/fuzz residency`: whatever EU-bound keys ask for, nothing arrives outside the EU.

The proxy is real, its configuration leads out wherever LiteLLM's can, AssemblyAI's EU fails now and then and
answers with redirects to the US. What counts is what arrived: by host in the emulator's log, and at a server
that stands for every other provider and is the proxy's HTTPS proxy. Keys of both regions then ask the same
kind of things and must get out, so that the count could have been another.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import orjson
import typer
from residency_world import ResidencyWorld, residency_world
from rich import box
from rich.console import Console
from rich.table import Table

from aai_gateway.demo.processes import ended_by_signals
from aai_gateway.emulator import EmulatorConfig, Fault, running_emulator
from fuzzing.asking import Ask, Endings, ask_all
from fuzzing.residency_requests import RandomRequests

AT_ONCE = 24
CONTROL_SHARE = 10
"""One request of a key of both regions for so many of the EU-bound ones."""
OUTSIDE = ("us", "llm-us", "another provider")
LOOKS = "LiteLLM's own looks there at lists of models"
"""No client's: `GET /v1/models` without a body, which LiteLLM sends by itself from time to time."""
CLASSES = ("2xx", "3xx", "4xx", "5xx", "none")


@dataclass(frozen=True)
class Round:
    """What some keys asked, and how many requests arrived where meanwhile."""

    endings: Endings
    arrived: Counter[str]
    seconds: float


@dataclass
class Verdict:
    """Both rounds and a sentence for each thing that is wrong."""

    bound: Round
    control: Round
    wrongs: list[str] = field(default_factory=list)


def main(
    requests: Annotated[int, typer.Option(min=100, help="Requests by EU-bound keys.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Repeats the choice of requests.")] = 1,
    chat_share: Annotated[
        float, typer.Option(min=0, max=1, help="The share of requests for LiteLLM's routes.")
    ] = 0.2,
    as_json: Annotated[bool, typer.Option("--json", help="The counts as JSON instead of a table.")] = False,
) -> None:
    """Let EU-bound keys try to reach anything outside the EU, and count what arrived there."""
    with (
        ended_by_signals(),
        TemporaryDirectory(prefix="aai-gateway-fuzz-") as folder,
        running_emulator(EmulatorConfig(job_seconds=0.2)) as emulator,
        residency_world(emulator, Path(folder)) as world,
    ):
        verdict = fuzz(world, requests, seed, chat_share)
    if as_json:
        print(json.dumps(_facts(verdict)))
    else:
        _print(verdict)
    sys.exit(1 if verdict.wrongs else 0)


def fuzz(world: ResidencyWorld, requests: int, seed: int, chat_share: float) -> Verdict:
    """Send `requests` by EU-bound keys and some by others; what is wrong with what arrived."""
    emulator = world.emulator
    trouble = (
        Fault(host="llm-eu", status=503, count=None, probability=0.1),
        Fault(host="llm-eu", status=429, retry_after=1, count=None, probability=0.05),
        Fault(host="llm-eu", status=307, location=f"{emulator.urls.llm_us}/v1/chat/completions", count=None,
              probability=0.05),
        Fault(host="eu", status=302, location=f"{emulator.urls.us}/v2/transcript", count=None,
              probability=0.02),
    )  # fmt: skip
    for fault in trouble:
        emulator.faults.add(fault)
    bound = _round(world, RandomRequests(_bound_keys(world), seed, chat_share), requests)
    emulator.faults.clear()
    other = RandomRequests((world.gateway.team().key,), seed, chat_share)
    control = _round(world, other, max(100, requests // CONTROL_SHARE))
    verdict = Verdict(bound, control)
    for host in OUTSIDE:
        if bound.arrived[host]:
            verdict.wrongs.append(f"{bound.arrived[host]} requests of EU-bound keys arrived at {host}")
        if not control.arrived[host]:
            verdict.wrongs.append(f"no request of a key of both regions arrived at {host}: nothing is proven")
    for host in ("eu", "llm-eu", "a provider in the EU"):
        if not bound.arrived[host]:
            verdict.wrongs.append(f"no request of an EU-bound key arrived at {host}: nothing is proven")
    return verdict


def _bound_keys(world: ResidencyWorld) -> tuple[str, ...]:
    """Keys that lack the US: by their team, by themselves, by both, without any region, with few models."""
    gateway = world.gateway
    with gateway.admin() as admin:

        def key(**body: Any) -> str:
            made = admin.post("/key/generate", json=body).raise_for_status().json()
            return str(made["key"])

        everywhere, narrowed = gateway.team(), gateway.team()
        of_the_us = key(team_id=narrowed.id, regions=["us"])
        change = {"team_id": narrowed.id, "regions": ["eu"]}
        admin.post("/team/update", json=change).raise_for_status()
        return (
            gateway.team(regions=["eu"]).key,
            gateway.team(regions=["eu"], models=["eu.assemblyai/*"]).key,
            key(team_id=everywhere.id, regions=["eu"]),
            of_the_us,
            narrowed.key,
            key(regions=["eu"]),
        )


def _round(world: ResidencyWorld, random_requests: RandomRequests, number: int) -> Round:
    before, started = _arrived(world), time.monotonic()

    def learn(ask: Ask, status: int, body: bytes) -> None:
        try:
            answer = orjson.loads(body)
        except ValueError:
            return
        if isinstance(answer, dict):
            random_requests.learn(ask, status, answer)

    endings = asyncio.run(ask_all(world.gateway.url, number, random_requests, learn, AT_ONCE))
    return Round(endings, _arrived(world) - before, time.monotonic() - started)


def _arrived(world: ResidencyWorld) -> Counter[str]:
    arrived = Counter(request.host for request in world.emulator.requests)
    arrived["another provider"] = len(world.outside.requests)
    arrived["a provider in the EU"] = len(world.inside.requests)
    arrived[LOOKS] = world.outside.looks
    return arrived


def _facts(verdict: Verdict) -> dict[str, Any]:
    return {
        name: {"requests": part.endings.total, "ended": part.endings.counts, "arrived": part.arrived}
        for name, part in (("bound", verdict.bound), ("control", verdict.control))
    } | {"wrongs": verdict.wrongs}


def _print(verdict: Verdict) -> None:
    console = Console(highlight=False, emoji=False, markup=False)
    ended = Table("request", *CLASSES, "all", box=box.SIMPLE_HEAD, pad_edge=False)
    for kind, counter in sorted(verdict.bound.endings.counts.items()):
        ended.add_row(kind, *(f"{counter[c]:,}" for c in CLASSES), f"{sum(counter.values()):,}")
    ended.add_section()
    ended.add_row(
        "by EU-bound keys",
        *(f"{sum(counter[c] for counter in verdict.bound.endings.counts.values()):,}" for c in CLASSES),
        f"{verdict.bound.endings.total:,}",
    )
    arrived = Table(
        "arrived at", "by EU-bound keys", "by keys of both regions", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for host in ("eu", "llm-eu", "a provider in the EU", *OUTSIDE, LOOKS):
        arrived.add_row(host, f"{verdict.bound.arrived[host]:,}", f"{verdict.control.arrived[host]:,}")
    arrived.add_section()
    arrived.add_row("of", f"{verdict.bound.endings.total:,}", f"{verdict.control.endings.total:,}")
    for table in (ended, arrived):
        for column in table.columns[1:]:
            column.justify = "right"
        console.print(table)
    for wrong in verdict.wrongs:
        console.print(f"WRONG: {wrong}")
    console.print(f"{verdict.bound.seconds + verdict.control.seconds:.0f} seconds")

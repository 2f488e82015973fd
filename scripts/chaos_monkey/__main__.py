"""`python -m chaos_monkey`: kill, settle, examine, print one table; exit status 1 when anything is wrong."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from account_books import Verdict
from light_gateway import Nursery
from rich import box
from rich.console import Console
from rich.table import Table

from aai_gateway.demo.processes import Services, emulator_urls, ended_by_signals, explained, start_emulator
from chaos_monkey.gateways import Gateways
from chaos_monkey.monkey import Monkey, Plan, Told

ACCOUNT_KEY = "chaos-account-key"
JOB_SECONDS = 0.5
SHOWN = 5
"""Sentences of each kind of wrong."""


def main(
    kills: Annotated[int, typer.Option(min=1, help="How often to kill.")] = 300,
    seed: Annotated[int, typer.Option(help="Repeats the choice of moments, as far as a machine can.")] = 1,
    workers: Annotated[int, typer.Option(min=2, help="Processes in the rounds with several.")] = 2,
    minutes: Annotated[float | None, typer.Option(help="Stop killing after so long.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The counts as JSON instead of a table.")] = False,
) -> None:
    """Kill gateways under load and examine the ledger against the emulator's invoice."""
    with (
        ended_by_signals(),
        TemporaryDirectory(prefix="aai-gateway-chaos-") as name,
        Services(Path(name)) as services,
        explained(services),
        Nursery(Path(name) / "light.log") as nursery,
    ):
        folder = Path(name)
        urls = emulator_urls(start_emulator(services, account_key=ACCOUNT_KEY, job_seconds=JOB_SECONDS))
        monkey = Monkey(Plan(kills, seed, workers, minutes), Gateways(folder, urls, ACCOUNT_KEY, nursery))
        verdict = asyncio.run(monkey.run())
    facts = _facts(monkey.told, verdict)
    if as_json:
        print(json.dumps({"facts": facts, "wrongs": verdict.wrongs}))
    else:
        _print(facts, verdict)
    sys.exit(0 if verdict.is_clean else 1)


def _facts(told: Told, verdict: Verdict) -> dict[str, Any]:
    """The lines of the table."""
    return {
        "kills": sum(told.kills.values()),
        **{f"  of {kind}": count for kind, count in sorted(told.kills.items())},
        **{f"  at moment: {moment}": count for moment, count in sorted(told.moments.items())},
        **{f"  amid {what}": count for what, count in sorted(told.amid.items())},
        "requests cut off by a kill": told.under_way,
        "troubles at AssemblyAI": told.trouble,
        **verdict.counts,
        "seconds": round(told.seconds),
    }


def _print(facts: dict[str, Any], verdict: Verdict) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, value in facts.items():
        table.add_row(name, f"{value:,}")
    table.add_section()
    for kind, sentences in verdict.wrongs.items():
        table.add_row(kind, f"{len(sentences):,}")
    console = Console(highlight=False, emoji=False, markup=False)
    console.print(table)
    for kind, sentences in verdict.wrongs.items():
        for sentence in sentences[:SHOWN]:
            console.print(f"{kind}: {sentence}", soft_wrap=True)
    console.print(NOTES, soft_wrap=True)


NOTES = (
    "A light gateway is the data plane, settler and store of the gateway as a process of its own, without "
    "LiteLLM's proxy: it starts in a moment, and its settler gives up after seconds instead of minutes. The "
    "proxy is `litellm --config config.yaml`, started and killed whole, with chat."
)

if __name__ == "__main__":
    typer.run(main)

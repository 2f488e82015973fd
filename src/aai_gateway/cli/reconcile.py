"""`aai-gateway reconcile`: AssemblyAI's list of jobs against the ledger."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.moments import parse_moment
from aai_gateway.cli.output import note, print_json, print_table, usd
from aai_gateway.cli.store import on_store
from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.core.regions import Region

if TYPE_CHECKING:
    from aai_gateway.core.reconciling import Finding
    from aai_gateway.gateway.reconcile import Report
    from aai_gateway.store import Store
    from aai_gateway.store.reconciliations import Reconciliation

app = typer.Typer(add_completion=False)

NOT_WHOLE = 3
"""Exit status when something remains that AssemblyAI and the ledger do not agree on."""
MOST_SHOWN = 100
"""Findings that the table shows; `--json` has them all."""


@app.command(epilog="Example: aai-gateway reconcile --region us --since 2026-11-01 --fix")
def reconcile(
    region: Annotated[Region, typer.Option(help="Which of AssemblyAI's regions.")],
    since: Annotated[
        datetime,
        typer.Option(metavar="DATE|7d", parser=parse_moment, help="Jobs submitted from this UTC moment on."),
    ],
    until: Annotated[
        datetime | None,
        typer.Option(metavar="DATE|1d", parser=parse_moment, help="Up to, not including; now by default."),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Book what is missing, each job once, for the team that sent it.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare ids and statuses alone: a request for each 200 jobs.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: micro-dollars, and USD as text.")
    ] = False,
) -> None:
    """Compare AssemblyAI's jobs with the ledger; may run beside a running gateway.

    Exit status 0: they agree, or all that was missing is booked; 3: something differs; 1: it failed.
    """
    until = until or utc_now()
    if until <= since:
        raise typer.BadParameter("--until is not after --since.")
    report = on_store(lambda store: _report(store, region, since, until, fix=fix, quick=quick))
    if as_json:
        print_json(_as_json(report))
    else:
        _print(report)
    if not report.whole:
        raise typer.Exit(NOT_WHOLE)


async def _report(
    store: Store, region: Region, since: datetime, until: datetime, *, fix: bool, quick: bool
) -> Report:
    from aai_gateway.gateway.asking import Pace, PatientJobs
    from aai_gateway.gateway.ledger import Ledger
    from aai_gateway.gateway.prices import Prices
    from aai_gateway.gateway.reconcile import Reconciler
    from aai_gateway.gateway.upstream import Upstream
    from aai_gateway.price_book import load_price_book
    from aai_gateway.settings import load_settings
    from aai_gateway.store import reconciliations

    settings = load_settings()
    prices, upstream = Prices(load_price_book()), Upstream(settings)
    try:
        upstream.account_key(region)
        jobs = PatientJobs(upstream, Pace(settings.settle_rate))
        ledger = Ledger(settings, store, upstream, prices)
        reconciler = Reconciler(settings, store, jobs, ledger, prices, _told)
        report = await reconciler.run(region, since, until, fix=fix, quick=quick)
    finally:
        await upstream.close()
    async with store.write() as connection:
        await reconciliations.record(connection, _outcome(report, quick=quick))
    return report


def _outcome(report: Report, *, quick: bool) -> Reconciliation:
    from aai_gateway.store.reconciliations import Reconciliation

    remaining = _sum(report.findings)
    return Reconciliation(
        region=report.region,
        since=report.since,
        until=report.until,
        quick=quick,
        compared=report.compared,
        findings=remaining["jobs"],
        difference_micros=remaining["micros"],
        without_a_sum=remaining["without_a_sum"],
        fixed=len(report.fixed),
    )


def _told(jobs: int, back_to: datetime) -> None:
    """How far it is, on stderr: a line that is written over on a terminal."""
    end = "\r" if sys.stderr.isatty() else "\n"
    typer.echo(f"{jobs:,} jobs, back to {back_to:%Y-%m-%d %H:%M:%S}{end}", err=True, nl=False)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "region": report.region.value,
        "since": report.since,
        "until": report.until,
        "compared": report.compared,
        "pending": report.pending,
        "adopted": report.adopted,
        "compared_by_length": report.by_length,
        "not_charged": report.not_charged,
        "unknown_completions": {
            "count": report.unknown_completions,
            "held_micros": report.unknown_held_micros,
            "held_usd": usd(report.unknown_held_micros),
        },
        **{kind: [_finding(one) for one in _of(report.findings, kind)] for kind in _KINDS},
        "fixed": [_finding(one) for one in report.fixed],
        "totals": {name: _sum(found) for name, found in _groups(report)},
        "difference": _sum(report.findings),
        "whole": report.whole,
    }


_KINDS = ("missing", "different", "extra")


def _of(findings: Sequence[Finding], kind: str) -> list[Finding]:
    return [finding for finding in findings if finding.kind == kind]


def _groups(report: Report) -> list[tuple[str, Sequence[Finding]]]:
    return [*((kind, _of(report.findings, kind)) for kind in _KINDS), ("fixed", report.fixed)]


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "created": finding.created,
        "team": finding.team_id,
        "why": finding.why,
        "booked_micros": finding.booked_micros,
        "actual_micros": finding.actual_micros,
        "difference_micros": finding.difference,
    }


def _sum(findings: Sequence[Finding]) -> dict[str, Any]:
    """Micro-dollars that the jobs cost more than is booked, and how many have no sum."""
    known = [finding.difference for finding in findings if finding.difference is not None]
    micros = sum(known)
    return {
        "jobs": len(findings),
        "micros": micros,
        "usd": usd(micros),
        "without_a_sum": len(findings) - len(known),
    }


def _print(report: Report) -> None:
    shown = [*report.fixed, *report.findings]
    if shown:
        labelled = [("booked now", one) for one in report.fixed]
        labelled += [(one.kind, one) for one in report.findings]
        rows = [
            [what, one.id, f"{one.created:%Y-%m-%d %H:%M:%S}", one.team_id or "-", _dollars(one), one.why]
            for what, one in labelled[:MOST_SHOWN]
        ]
        print_table(["", "Transcript", "Submitted", "Team", "Difference", "Why"], rows, right=(4,))
    if len(shown) > MOST_SHOWN:
        note(f"{len(shown) - MOST_SHOWN:,} more are not shown; --json has them all.")
    typer.echo(f"{report.compared:,} booked jobs compared, {report.pending:,} jobs have not ended.")
    if report.by_length:
        typer.echo(f"{report.by_length:,} of them are deleted: of these the length alone can be compared.")
    if report.not_charged:
        typer.echo(f"{report.not_charged:,} jobs from outside were handed to a team: they are not charged.")
    for name, found in _groups(report):
        if found:
            total = _sum(found)
            unknown = f", {total['without_a_sum']:,} without a sum" if total["without_a_sum"] else ""
            what = "booked now" if name == "fixed" else name
            typer.echo(f"{what}: {total['jobs']:,} jobs, {dollars(total['micros'])}{unknown}")
    if report.adopted:
        typer.echo(f"{report.adopted:,} jobs that still run have got a row; the settler books them.")
    if report.unknown_completions:
        typer.echo(
            f"{report.unknown_completions:,} completions and the like ended nobody knows how, at most "
            f"{dollars(report.unknown_held_micros)}: AssemblyAI keeps no list of them."
        )
    typer.echo(f"AssemblyAI's figures minus the ledger: {dollars(_sum(report.findings)['micros'])}")


def _dollars(finding: Finding) -> str:
    return "?" if finding.difference is None else dollars(finding.difference)

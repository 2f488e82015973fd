"""`aai-gateway usage export`: the ledger for other people's programs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.files import Output, output_to
from aai_gateway.cli.output import note
from aai_gateway.cli.store import on_store
from aai_gateway.cli.usage_options import Asked, takes_filter
from aai_gateway.core.budgets import dollars
from aai_gateway.core.focus import COLUMNS, focus_charges
from aai_gateway.errors import StoreError

if TYPE_CHECKING:
    from aai_gateway.store import Store

OutputFile = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write to this file, for your eyes only; else to stdout."),
]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


@takes_filter
def export(
    asked: Asked,
    focus: Annotated[
        bool, typer.Option("--focus", help="CSV in the columns of FOCUS 1.2, the FinOps specification.")
    ] = False,
    output: OutputFile = None,
    force: Force = False,
) -> None:
    """Every line item as a charge in FOCUS columns, oldest first; BilledCost adds up to the total exactly."""
    if not focus:
        raise typer.BadParameter("Say in which format: --focus.")
    with output_to(output, force=force) as target:
        charges, micros = on_store(lambda store: _write(store, asked, target))
    note(f"{charges:,} charges, {dollars(micros)}.")


async def _write(store: Store, asked: Asked, target: Output) -> tuple[int, int]:
    """Write the charges one at a time; how many they are, and their sum."""
    from aai_gateway.store import usage
    from aai_gateway.store.names import load_names

    writer = csv.DictWriter(target, COLUMNS, lineterminator="\n")
    charges = micros = 0
    async with store.snapshot() as connection:
        where, names = await asked.resolve(connection), await load_names(connection)
        writer.writeheader()
        async for page in usage.pages(connection, where, oldest_first=True):
            for row in page:
                for charge in focus_charges(row, names.team(row.team_id), names.key(row.key_hash)):
                    writer.writerow(charge)
                    charges += 1
                micros += row.micros
        total = (await usage.total(connection, where)).micros
    if micros != total:
        raise StoreError(f"The charges add up to {dollars(micros)}, the ledger to {dollars(total)}.")
    return charges, micros

"""`scripts/bench quotes`: how fast talk is encoded, and how fast large libraries are filled and searched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from evaluation.tables import write_between_marks

from aai_gateway.demo.processes import ended_by_signals
from aai_gateway.quotes.backends import has_amx
from benchmark import quotes_encoding, quotes_library
from benchmark.workplace import tell, workplace

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def quotes(
    teams: Annotated[int, typer.Option(min=1, metavar="N", help="Teams that share the windows.")] = 200,
    windows: Annotated[int, typer.Option(min=0, metavar="N", help="Windows of all teams.")] = 1_000_000,
    large: Annotated[
        int, typer.Option(min=0, metavar="N", help="Windows of one team more, which Chroma searches.")
    ] = 200_000,
    encoding: Annotated[
        bool, typer.Option(help="Measure encoding too; it is all that is, with --windows 0 --large 0.")
    ] = True,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the filled libraries here, and go on with those that are."),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the tables into docs/performance.md.")] = False,
) -> None:
    """Time encoding beside AssemblyAI's guide and sentence-transformers, and searches of large libraries."""
    tables = []
    with ended_by_signals(), workplace(folder) as place:
        if encoding:
            name = "encoding" if has_amx() else "encoding without AMX"
            tables.append((name, quotes_encoding.measure(tell, place / "models")))
        if windows:
            tables.append(("teams", quotes_library.measure(tell, place, range(teams), windows)))
        if large:
            one = range(teams, teams + 1)
            tables.append(("large team", quotes_library.measure(tell, place, one, large)))
    for name, table in tables:
        print(table.markdown())
        if write:
            write_between_marks(PAGE, name, [table])

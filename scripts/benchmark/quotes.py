"""`scripts/bench quotes`: how fast talk is encoded, and how fast large libraries are filled and searched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from evaluation.tables import write_between_marks

from aai_gateway.demo.processes import ended_by_signals
from benchmark import quotes_encoding, quotes_library

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
    with ended_by_signals(), _folder(folder) as place:
        if encoding:
            tables.append(("encoding", quotes_encoding.measure(_tell, place / "models")))
        if windows or large:
            found = quotes_library.measure(_tell, place, teams=teams, windows=windows, large=large)
            tables.append(("libraries", found))
    for name, table in tables:
        print(table.markdown())
        if write:
            write_between_marks(PAGE, name, [table])


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    with TemporaryDirectory(prefix="aai-gateway-bench-", dir="/var/tmp") as folder:
        yield Path(folder)


def _tell(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)

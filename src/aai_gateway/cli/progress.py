"""How far transcriptions are, on stderr: a line that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aai_gateway.cli.output import note

if TYPE_CHECKING:
    from aai_gateway.speech import Stage

    Report = Callable[[str, Stage, str | None], None]


@contextmanager
def job_progress(sources: Sequence[str]) -> Iterator[Report]:
    """A function to call with a source, its stage, and the transcript's id once it has one."""
    if not sys.stderr.isatty():
        yield lambda source, stage, transcript_id: note(_line(source, stage, transcript_id))
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        # A line of the terminal must hold the id: the file's name will do for its path.
        names = {source: source.rstrip("/").rpartition("/")[2] for source in sources}
        tasks = {source: progress.add_task(name, total=1) for source, name in names.items()}

        def report(source: str, stage: Stage, transcript_id: str | None) -> None:
            done = 1 if stage == "completed" else 0
            progress.update(
                tasks[source], description=_line(names[source], stage, transcript_id), completed=done
            )

        yield report


def _line(source: str, stage: Stage, transcript_id: str | None) -> str:
    return f"{source}: {stage}" + (f" as {transcript_id}" if transcript_id else "")

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
    if not _is_terminal():
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


@contextmanager
def counted(total: int, what: str) -> Iterator[Callable[[], None]]:
    """A function to call for each of `total` that is done: a bar on a terminal, elsewhere a line for each
    tenth. Nothing is shown for a single one."""
    done = 0
    if total < 2:
        yield lambda: None
    elif not _is_terminal():

        def tell() -> None:
            nonlocal done
            done += 1
            if done * 10 // total > (done - 1) * 10 // total:
                note(f"{done:,} of {total:,} {what}")

        yield tell
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda: progress.advance(task)


@contextmanager
def measured(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with how much is done and of how much: a bar on a terminal, elsewhere nothing."""
    if not _is_terminal():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _is_terminal() -> bool:
    """Whether stderr is one; it may be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def _line(source: str, stage: Stage, transcript_id: str | None) -> str:
    return f"{source}: {stage}" + (f" as {transcript_id}" if transcript_id else "")

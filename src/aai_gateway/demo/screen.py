"""What the demo shows: a spinner that becomes a tick on a terminal, a plain line for each step elsewhere."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

INDENT = 5


class Step:
    """One step while it runs. `done` is what its line says when it has succeeded."""

    def __init__(self, doing: str, status: Status | None) -> None:
        self.done = doing
        self._status = status

    def now(self, text: str) -> None:
        """Say beside the spinner what is happening."""
        if self._status is not None:
            self._status.update(Text(text))


class Screen:
    """Prints the demo's story to stdout. Colours by the terminal and NO_COLOR."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that cannot print a tick shall not end the demo.
            sys.stdout.reconfigure(errors="replace")
        self._console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
        self._unicode = self._console.encoding.startswith("utf")

    def title(self, text: str, below: str) -> None:
        """The first lines."""
        self._print(Text(text, style="bold"))
        self._print(Text(below, style="dim"))

    def heading(self, text: str) -> None:
        """A new part of the story."""
        self._print("")
        self._print(Text(text, style="bold cyan"))

    @contextmanager
    def step(self, doing: str) -> Iterator[Step]:
        """Something that takes a moment: a tick and its time when it is done, a cross when it fails."""
        started = time.monotonic()
        status = (
            self._console.status(Text(doing), spinner="dots" if self._unicode else "line")
            if self._console.is_terminal
            else None
        )
        step = Step(doing, status)
        if status is not None:
            status.start()
        try:
            yield step
        except BaseException:
            self._line("✗" if self._unicode else "x", "bold red", started, doing, status)
            raise
        self._line("✓" if self._unicode else "ok", "bold green", started, step.done, status)

    def text(self, text: str, style: str = "") -> None:
        """Words below a step."""
        self._print(Text(text, style=style), indent=INDENT)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str]) -> None:
        """Figures, with a last row of totals; the first column holds names."""
        table = Table(box=box.SIMPLE_HEAD if self._unicode else box.ASCII, pad_edge=False, show_edge=False)
        for index, name in enumerate(headers):
            table.add_column(name, justify="right" if index else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        table.add_section()
        table.add_row(*total, style="bold")
        self._console.print(Padding(table, (0, 0, 0, INDENT)))

    def _line(self, mark: str, style: str, started: float, text: str, status: Status | None) -> None:
        if status is not None:
            status.stop()
        time_taken = f"{time.monotonic() - started:4.1f} s"
        if not self._console.is_terminal:
            self._print(f" {mark} {time_taken}  {text}")
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_row("", Text(mark, style=style), Text(time_taken, style="dim"), Text(text))
        self._console.print(grid)

    def _print(self, text: str | Text, indent: int = 0) -> None:
        if self._console.is_terminal:
            self._console.print(Padding(text, (0, 0, 0, indent)))
        else:
            self._console.print(" " * indent + str(text), soft_wrap=True)

"""Transcript ids as `transcripts adopt` and `move` take them, and how their outcomes are told."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from aai_gateway.cli.output import note
from aai_gateway.errors import ConfigurationError

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID…", help="Transcript ids; `-` reads them from stdin, one in a line."),
]
MOST_SHOWN = 20
"""Failures that are told on a terminal; `--json` has them all."""


def read_ids(ids: Sequence[str] | None) -> list[str]:
    """The ids, each once, in their order; those of stdin where `-` stands. What begins with # is none.

    Raises ConfigurationError.
    """
    found: list[str] = []
    for one in ids or ():
        found += _from_stdin() if one == "-" else [one]
    return [one for one in dict.fromkeys(line.strip() for line in found) if one and one[0] != "#"]


def _from_stdin() -> list[str]:
    if sys.stdin is None:
        raise ConfigurationError("The ids cannot be read: stdin is closed.")
    try:
        return sys.stdin.read().removeprefix("\ufeff").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The ids on stdin cannot be read: {error}") from None


def tell_failures(failures: Iterable[tuple[str, str]]) -> None:
    """Each id that failed, and why, on stderr."""
    every = list(failures)
    for one, why in every[:MOST_SHOWN]:
        note(f"{one}: {why}")
    if len(every) > MOST_SHOWN:
        note(f"{len(every) - MOST_SHOWN:,} more failed; --json has them all.")


class Count:
    """How many of so many are done, on stderr: a line that is written over on a terminal, else now and
    then."""

    def __init__(self, total: int | None, what: str) -> None:
        self._total = "" if total is None else f" of {total:,}"
        self._what = what
        self._done = 0
        self._moves = sys.stderr.isatty()
        self._step = 1 if self._moves else 1000

    def add(self, number: int = 1) -> None:
        """So many more are done."""
        before, self._done = self._done, self._done + number
        if self._done // self._step > before // self._step:
            end = "\r" if self._moves else "\n"
            typer.echo(f"{self._done:,}{self._total} {self._what}{end}", err=True, nl=False)

    def close(self) -> None:
        """Leave the line on a terminal."""
        if self._moves and self._done:
            typer.echo(err=True)

"""`aai-gateway`: each command is a module of this package, imported when it is asked for.

Data goes to stdout, everything else to stderr. Exit status 0: done; 1: it failed, and one sentence says why;
2: the command line is wrong; 3: `reconcile` has found a difference; 130: interrupted.
`AAI_GATEWAY_DEBUG=1` shows tracebacks.
"""

from __future__ import annotations

import atexit
import codecs
import errno
import gc
import io
import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from aai_gateway import __version__
from aai_gateway.errors import GatewayError

COMMANDS = (
    "serve",
    "emulator",
    "teams",
    "keys",
    "transcripts",
    "budget",
    "usage",
    "report",
    "prices",
    "reconcile",
    "audit",
    "webhooks",
    "backup",
    "transcribe",
    "quotes",
    "topics",
    "ask",
    "doctor",
    "demo",
)
"""Modules of this package, in the order of the help; each has a Typer `app`."""
INTERRUPTED = 130


class CommandModules(TyperGroup):
    """Commands that are imported when they are used, so that `aai-gateway` starts fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a module, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = get_command(import_module(f"aai_gateway.cli.{cmd_name}").app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a GatewayError becomes one sentence and exit status 1."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            if _debugging():
                raise
            typer.echo(f"aai-gateway: {error}", err=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=CommandModules,
    no_args_is_help=True,
    add_completion=False,
    help="Share one AssemblyAI account between teams, through one LiteLLM proxy.",
    epilog="Try it without an account: aai-gateway serve --emulator",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script."""
    # To look for garbage among all that is imported takes as long as a search.
    gc.set_threshold(50_000)
    codecs.register_error("as-json", _as_json)
    if isinstance(sys.stdout, io.TextIOWrapper) and codecs.lookup(sys.stdout.encoding).name != "utf-8":
        sys.stdout.reconfigure(errors="as-json")
    ending = QuickEnd()
    atexit.register(ending)
    try:
        get_command(app)(prog_name="aai-gateway")
    except SystemExit as left:
        ending.status = left.code
        if left.code == INTERRUPTED:
            # Python would wait for threads that wait for answers, a minute or more.
            ending()
        raise
    except Exception as error:
        if _debugging():
            raise
        ending.status = 1
        said = _fault_outside(error) or (
            f"unexpected {type(error).__name__}: {error}\nThis is a bug; AAI_GATEWAY_DEBUG=1 shows where."
        )
        typer.echo(f"aai-gateway: {said}", err=True)
        sys.exit(1)


def _as_json(error: UnicodeError) -> tuple[str, int]:
    """What stdout's encoding lacks, as in JSON, so that JSON stays JSON. Raises any other error."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import json

    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _fault_outside(error: Exception) -> str | None:
    """What is wrong outside of this program, where that is what the error shows."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The output cannot be written: {error.strerror}."
    if isinstance(error, UnicodeEncodeError):
        for argument in sys.argv:
            if any("\ud800" <= letter <= "\udfff" for letter in argument):
                return f"An argument is not UTF-8: {argument!r}"
    return None


class QuickEnd:
    """Ends the process without taking all that was imported apart, which takes a tenth of a search.

    Registered with `atexit` before everything else, so it comes last: threads are joined, and what others
    registered has run, unless the command was interrupted. Where the exit status is no number, or output
    cannot be flushed, Python ends as ever.
    """

    def __init__(self) -> None:
        self.status: object = None

    def __call__(self) -> None:
        """Leave with `status`."""
        if not isinstance(self.status, int):
            return
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        except (OSError, ValueError):
            return
        os._exit(self.status)


def _debugging() -> bool:
    return os.environ.get("AAI_GATEWAY_DEBUG", "") not in ("", "0")

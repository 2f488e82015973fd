"""`aai-gateway doctor`: what is set up, what is not, and what to do about it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.checks import Check
from aai_gateway.cli.output import note, print_json
from aai_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from aai_gateway.settings import Settings

app = typer.Typer(add_completion=False)

_MARKS = {
    "ok": ("ok  ", typer.colors.GREEN),
    "warn": ("warn", typer.colors.YELLOW),
    "fail": ("FAIL", typer.colors.RED),
}


@app.command(epilog="Example: aai-gateway doctor --json")
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check settings, versions and connections; exit status 1 when something is broken."""
    checks: list[Check] = []
    for check in _checks():
        checks.append(check)
        if not as_json:
            mark, colour = _MARKS[check.status]
            typer.secho(mark, fg=colour, nl=False)
            typer.echo(f"  {check.name}: {check.text}")
    failed = sum(check.status == "fail" for check in checks)
    if as_json:
        print_json({"ok": not failed, "checks": [dataclasses.asdict(check) for check in checks]})
    if failed:
        note(f"{failed} of {len(checks)} checks failed.")
        raise typer.Exit(1)


def _checks() -> Iterator[Check]:
    from aai_gateway.cli import checks, ledger_checks, probes
    from aai_gateway.settings import load_settings, unknown_settings

    yield checks.python_version()
    yield from checks.packages()
    try:
        settings = load_settings()
    except ConfigurationError as error:
        yield Check("settings", "fail", str(error))
        return
    yield Check("settings", "ok", "all can be used")
    yield from (Check("settings", "warn", text) for text in unknown_settings())
    yield from checks.account_keys(settings)
    yield checks.data_folder(settings)
    yield from checks.disk(settings)
    yield asyncio.run(checks.store(settings))
    yield from asyncio.run(ledger_checks.ledger(settings))
    note("Asking AssemblyAI and the gateway…")
    yield from asyncio.run(probes.probe_all(settings))
    yield _embedding_model(settings)


def _embedding_model(settings: Settings) -> Check:
    from importlib.util import find_spec

    from aai_gateway.errors import IndexUnavailable

    if find_spec("sentence_transformers") is None:
        return Check("embedding model", "warn", "not checked; quotes need: pip install 'aai-gateway[quotes]'")
    note("Loading the embedding model…")
    from aai_gateway.quotes.embedder import load_embedder

    try:
        vectors = load_embedder(
            settings.embedding_model, settings.embedding_backend, settings.cache_dir
        ).encode(["ready"], note)
    except IndexUnavailable as error:
        return Check("embedding model", "fail", str(error))
    return Check("embedding model", "ok", f"{settings.embedding_model} gives {vectors.shape[1]} dimensions")

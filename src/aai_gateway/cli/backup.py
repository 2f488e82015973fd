"""`aai-gateway backup`: a copy of the store that can be put back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from aai_gateway.cli.output import note, print_json

app = typer.Typer(add_completion=False)

REPORT_SECONDS = 2.0


@app.command(epilog="Example: aai-gateway backup /var/backups/aai-gateway-$(date +%F).db")
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The copy to make.")],
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy the SQLite store to FILE while the gateway runs: consistent, checked, for your eyes only.

    To put it back: stop the gateway, move the copy to the store's place (without -wal and -shm files beside
    it), start, and run `aai-gateway reconcile --fix` for each region from the day of the copy on.
    """
    from aai_gateway.settings import load_settings
    from aai_gateway.store.backup import backup_store

    started = reported = time.monotonic()

    def progress(done: int, pages: int) -> None:
        nonlocal reported
        if pages and time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            note(f"{100 * done // pages} % copied")

    url = load_settings().resolved_store_url
    size = backup_store(url, file, overwrite=force, progress=progress)
    if as_json:
        print_json({"file": file, "bytes": size, "seconds": round(time.monotonic() - started, 3)})
    else:
        typer.echo(file)
        note(f"{size:,} bytes, checked. It holds hashes of keys and who said what when: keep it safe.")

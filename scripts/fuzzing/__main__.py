"""`python -m fuzzing NAME`: fuzz, print what was sent and what came of it; exit status 1 for any wrong."""

from __future__ import annotations

import typer

from fuzzing import isolation_run, residency

app = typer.Typer(add_completion=False, no_args_is_help=True)
app.command("residency", epilog="Example: scripts/fuzz residency --requests 20000 --seed 1")(residency.main)
app.command("isolation", epilog="Example: scripts/fuzz isolation --requests 20000 --teams 12")(
    isolation_run.main
)


@app.callback()
def fuzz() -> None:
    """Random requests through the real proxy, judged by what came of them."""


if __name__ == "__main__":
    app()

"""`aai-gateway quotes`: the best quotes of a recording, and search over what was said."""

from __future__ import annotations

import typer

from aai_gateway.cli.quotes_best import best
from aai_gateway.cli.quotes_index import index, sync
from aai_gateway.cli.quotes_report import report
from aai_gateway.cli.quotes_search import search

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="What is worth quoting: best, report, search; and the index of what was said.",
)

app.command(epilog='Example: aai-gateway quotes best interview.mp3 --about "the cost of clean air"')(best)
app.command(epilog="Example: aai-gateway quotes report interview.mp3 -n 8 -o interview.html")(report)
app.command(epilog='Example: aai-gateway quotes search "why the school stayed closed" --since 30d')(search)
app.command(epilog="Example: aai-gateway quotes index 8f6d2c1e-… panel.mp3")(index)
app.command(epilog="Example: aai-gateway quotes sync --region eu --dry-run")(sync)

"""`aai-gateway transcripts`: whose transcripts are whose, and how they change hands."""

from __future__ import annotations

import typer

from aai_gateway.cli.transcripts_adopt import adopt
from aai_gateway.cli.transcripts_list import list_transcripts
from aai_gateway.cli.transcripts_move import move

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Transcripts: list them, hand old ones to a team, move them between teams.",
)

app.command("list", epilog="Example: aai-gateway transcripts list --team newsroom --status error")(
    list_transcripts
)
app.command(epilog="Example: aai-gateway transcripts adopt --team newsroom --region eu - < ids.txt")(adopt)
app.command(epilog="Example: aai-gateway transcripts move --from research --to newsroom --all")(move)

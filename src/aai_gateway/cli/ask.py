"""`aai-gateway ask`: a question about a transcript, or a preset such as a summary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aai_gateway.cli.chat_estimates import priced
from aai_gateway.cli.client_options import (
    ChatModel,
    InRegion,
    Json,
    Key,
    Url,
    open_chat,
    open_speech,
    spent,
)
from aai_gateway.cli.output import note, print_json
from aai_gateway.core.budgets import dollars
from aai_gateway.core.regions import Region

app = typer.Typer(add_completion=False)


@app.command(epilog='Example: aai-gateway ask 8f6d2c1e-… "What did they agree on?"')
def ask(
    transcript_id: Annotated[str, typer.Argument(metavar="TRANSCRIPT_ID", help="A completed transcript.")],
    question: Annotated[str | None, typer.Argument(metavar="QUESTION", help="What to ask.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="summary|feedback|takeaway|action-items", help="A ready question instead."),
    ] = None,
    presets: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="Presets of your own: names and their prompts."),
    ] = None,
    speakers: Annotated[
        bool,
        typer.Option(
            "--speakers/--no-speakers",
            help="Tell the model who said what, where the transcript has speakers.",
        ),
    ] = True,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")] = 1000,
    region: InRegion = Region.US,
    model: ChatModel = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print a chat model's answer to a question about a transcript, as it comes."""
    if (question is None) == (preset is None):
        raise typer.BadParameter("Give either a question or --preset.")
    from aai_gateway import speech
    from aai_gateway.tasks.ask import PRESETS, load_presets
    from aai_gateway.tasks.ask import ask as ask_model
    from aai_gateway.tasks.ask import preset as preset_prompt

    known = PRESETS if presets is None else load_presets(presets)
    prompt = preset_prompt(preset, known) if preset is not None else question or ""
    transcript = speech.fetch(open_speech(url, key, region), transcript_id) if speakers else None
    with open_chat(url, key, region, model) as chat:
        answer = ask_model(
            prompt,
            transcript_id,
            chat=chat,
            turns=(transcript.utterances or ()) if transcript is not None else (),
            max_tokens=max_tokens,
            on_text=None if as_json else _say,
        )
    if as_json:
        print_json(
            {
                "transcript_id": transcript_id,
                "text": answer.text,
                "truncated": answer.truncated,
                "answer": answer.usage(),
            }
        )
        return
    typer.echo()
    if answer.truncated:
        note(f"The answer was cut off at {max_tokens} tokens: --max-tokens allows more.")
    micros = priced(chat.model, region, answer.prompt_tokens, answer.completion_tokens)
    note(f"{spent([answer])}, about {dollars(micros)}")


def _say(piece: str) -> None:
    typer.echo(piece, nl=False)

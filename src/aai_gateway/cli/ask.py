"""`aai-gateway ask`: a question about a transcript, or a preset such as a summary; or about many of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from aai_gateway.cli.ask_many import ask_many
from aai_gateway.cli.chat_estimates import priced
from aai_gateway.cli.client_options import (
    ChatModel,
    ChromaUrl,
    InRegion,
    Json,
    Key,
    Namespace,
    Url,
    open_chat,
    open_speech,
    spent,
)
from aai_gateway.cli.output import note, print_json
from aai_gateway.cli.quote_finding import Access
from aai_gateway.core.budgets import dollars
from aai_gateway.core.regions import Region

app = typer.Typer(add_completion=False)

_LIKE_AN_ID = re.compile(r"[A-Za-z0-9_-]+")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@app.command(epilog='Example: aai-gateway ask 8f6d2c1e-… "What did they agree on?"')
def ask(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[TRANSCRIPT_ID]… QUESTION",
            help="Completed transcripts, and what to ask; no transcript is all that `quotes index` has.",
        ),
    ],
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
    passages: Annotated[
        int, typer.Option(min=1, max=50, help="Of many transcripts: passages that the answer is made from.")
    ] = 12,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")] = 1000,
    region: InRegion = Region.US,
    model: ChatModel = None,
    as_json: Json = False,
    namespace: Namespace = None,
    chroma_url: ChromaUrl = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print a chat model's answer to a question about a transcript, as it comes.

    About several transcripts, or all that are indexed on this machine with your key, passages are searched
    for, and the answer is made from those: each statement is followed by the words that it rests on, which
    were said there, or marked as unsupported.
    """
    ids, question = _ids_and_question(words, preset)
    if len(ids) != 1:
        access = Access(region, model, namespace, chroma_url, url, key)
        ask_many(ids, _prompt(question, preset, presets), passages, max_tokens, access, as_json=as_json)
        return
    (transcript_id,) = ids
    from aai_gateway import speech
    from aai_gateway.tasks.ask import ask as ask_model

    prompt = _prompt(question, preset, presets)
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


def _ids_and_question(words: list[str], preset: str | None) -> tuple[list[str], str | None]:
    """What the arguments are: ids alone with a preset, else ids and a question at the end."""
    if preset is not None:
        if not all(_LIKE_AN_ID.fullmatch(word) for word in words):
            raise typer.BadParameter("Give either a question or --preset.")
        return list(dict.fromkeys(words)), None
    *ids, question = words
    if (_ID if ids else _LIKE_AN_ID).fullmatch(question):
        raise typer.BadParameter("Give either a question or --preset.")
    return list(dict.fromkeys(ids)), question


def _prompt(question: str | None, preset: str | None, presets: Path | None) -> str:
    """The question, or the preset's. Raises ConfigurationError."""
    from aai_gateway.tasks.ask import PRESETS, load_presets
    from aai_gateway.tasks.ask import preset as preset_prompt

    known = PRESETS if presets is None else load_presets(presets)
    return preset_prompt(preset, known) if preset is not None else question or ""


def _say(piece: str) -> None:
    typer.echo(piece, nl=False)

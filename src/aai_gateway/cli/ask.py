"""`aai-gateway ask`: a question or a preset, about one transcript or many, with citations or without."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from aai_gateway.cli.ask_cited import ask_whole
from aai_gateway.cli.ask_many import ask_many
from aai_gateway.cli.chat_estimates import spent_about
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
)
from aai_gateway.cli.output import note, print_json, printable
from aai_gateway.cli.quote_finding import Access
from aai_gateway.core.regions import Region
from aai_gateway.errors import GatewayError

app = typer.Typer(add_completion=False)

_LIKE_AN_ID = re.compile(r"[A-Za-z0-9_-]+")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@app.command(
    epilog='Example: aai-gateway ask 8f6d2c1e-… "What did they agree on?"\n\n'
    "Example: aai-gateway ask 8f6d2c1e-… --preset summary --cite\n\n"
    'Example: aai-gateway ask "Why did the schools close?" --region eu'
)
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
    cite: Annotated[
        bool,
        typer.Option(
            "--cite",
            help="Of one transcript: from all of it, each statement with what was said. "
            "Of many it is always so.",
        ),
    ] = False,
    passages: Annotated[
        int, typer.Option(min=1, max=50, help="Of many transcripts: passages that the answer is made from.")
    ] = 12,
    max_tokens: Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")] = 1000,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream/--no-stream",
            help="Print the answer as it comes; or whole, with the cost that the gateway booked. "
            "JSON is never streamed.",
        ),
    ] = True,
    region: InRegion = Region.US,
    model: ChatModel = None,
    as_json: Json = False,
    namespace: Namespace = None,
    chroma_url: ChromaUrl = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print a chat model's answer to a question about a transcript, as it comes.

    With --cite, and about several transcripts or all that are indexed on this machine with your key, the
    answer is made of statements. Each is followed by the words that it rests on, which were said there, or
    marked as unsupported. For one transcript the model is given all of it, a long one in portions; for many,
    the passages that a search finds.
    """
    ids, question = _ids_and_question(words, preset)
    access = Access(region, model, namespace, chroma_url, url, key)
    prompt = _prompt(question, preset, presets)
    stream = stream and not as_json
    if len(ids) != 1:
        ask_many(ids, prompt, passages, max_tokens, access, stream=stream, as_json=as_json)
    elif cite:
        ask_whole(ids[0], prompt, max_tokens, access, with_speakers=speakers, stream=stream, as_json=as_json)
    else:
        _ask_one(ids[0], prompt, max_tokens, access, with_speakers=speakers, stream=stream, as_json=as_json)


def _ask_one(
    transcript_id: str,
    prompt: str,
    max_tokens: int,
    access: Access,
    *,
    with_speakers: bool,
    stream: bool,
    as_json: bool,
) -> None:
    """Print the answer in the model's own words. Raises what `speech.fetch` and `tasks.ask` do."""
    from aai_gateway import speech
    from aai_gateway.tasks.ask import ask as ask_model

    client = open_speech(access.url, access.key, access.region) if with_speakers else None
    transcript = speech.fetch(client, transcript_id) if client is not None else None
    said: list[str] = []

    def say(piece: str) -> None:
        said.append(piece)
        typer.echo(printable(piece), nl=False)

    with open_chat(access.url, access.key, access.region, access.model) as chat:
        try:
            answer = ask_model(
                prompt,
                transcript_id,
                chat=chat,
                turns=(transcript.utterances or ()) if transcript is not None else (),
                max_tokens=max_tokens,
                on_text=say if stream else None,
            )
        except GatewayError:
            if said:
                typer.echo()  # the error is not part of what was said
            raise
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
    typer.echo("" if stream else printable(answer.text))
    if answer.truncated:
        note(f"The answer was cut off at {max_tokens} tokens: --max-tokens allows more.")
    note(spent_about([answer], chat.model, access.region))


def _ids_and_question(words: list[str], preset: str | None) -> tuple[list[str], str | None]:
    """What the arguments are: ids alone with a preset, else ids and a question at the end."""
    if preset is not None:
        if not all(_LIKE_AN_ID.fullmatch(word) for word in words):
            raise typer.BadParameter("Give either a question or --preset.")
        return list(dict.fromkeys(words)), None
    *ids, question = words
    if (_ID if ids else _LIKE_AN_ID).fullmatch(question):
        raise typer.BadParameter(
            f"What is to be asked? “{question}” reads as a transcript's id. "
            "Give a question of several words, or --preset."
        )
    return list(dict.fromkeys(ids)), question


def _prompt(question: str | None, preset: str | None, presets: Path | None) -> str:
    """The question, or the preset's. Raises ConfigurationError."""
    from aai_gateway.tasks.ask import PRESETS, load_presets
    from aai_gateway.tasks.ask import preset as preset_prompt

    known = PRESETS if presets is None else load_presets(presets)
    return preset_prompt(preset, known) if preset is not None else question or ""

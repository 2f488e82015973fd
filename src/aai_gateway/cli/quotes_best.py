"""`aai-gateway quotes best`: what is worth quoting of a recording, in the forms that are passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from aai_gateway.cli.client_options import (
    ChatModel,
    ChromaUrl,
    InRegion,
    Json,
    Key,
    Namespace,
    Speakers,
    Url,
    namespace_for,
)
from aai_gateway.cli.files import output_to, require_new
from aai_gateway.cli.output import note
from aai_gateway.cli.quote_finding import About, Access, Extractive, Recording, Source, find_best, tell
from aai_gateway.cli.quote_formats import QuoteFormat, audio_of, name_of, print_quotes, rendered
from aai_gateway.cli.quotes_report import page_of, topics_of
from aai_gateway.cli.transcript_formats import to_json
from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError


def best(
    source: Source,
    n: Annotated[int, typer.Option("-n", min=1, max=50, help="How many quotes.")] = 3,
    about: About = None,
    extractive: Extractive = False,
    speakers: Speakers = False,
    form: Annotated[
        QuoteFormat, typer.Option("--format", help="SRT and VTT hold only the quotes; HTML is a page.")
    ] = QuoteFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    clips: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Cut each quote out of the audio, by ffmpeg.")
    ] = None,
    audio: Annotated[
        str | None,
        typer.Option(metavar="AUDIO", help="The audio of a transcript, to cut and to play on the page."),
    ] = None,
    region: InRegion = Region.US,
    model: ChatModel = None,
    as_json: Json = False,
    namespace: Namespace = None,
    chroma_url: ChromaUrl = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print the best quotes of a recording: where, by whom, and how surely those were the words."""
    form = QuoteFormat.JSON if as_json else form
    recorded = audio_of(source, audio)
    _require_ready(recorded, clips, output, force=force)
    recording = find_best(
        source,
        n,
        about,
        speakers=speakers,
        extractive=extractive,
        access=Access(region, model, namespace, chroma_url, url, key),
    )
    quotes = recording.found.quotes
    title = f"Quotes from {name_of(source)}"
    if form is QuoteFormat.TABLE and output is None:
        print_quotes(quotes)
    else:
        with output_to(output, force=force) as target:
            if form is QuoteFormat.JSON:
                target.write(to_json(_as_data(recording)) + "\n")
            elif form is QuoteFormat.HTML:
                topics = topics_of(recording, namespace_for(namespace, key))
                target.write(page_of(recording, title, recorded, topics))
            else:
                target.write(rendered(form, quotes, recording.sentences, title))
    if clips is not None and recorded is not None:
        from aai_gateway.quotes.clips import cut_clips

        for path in cut_clips(recorded, quotes, recording.sentences, clips):
            note(f"cut {path}")
    tell(recording, n)


def _require_ready(recorded: str | None, clips: Path | None, output: Path | None, *, force: bool) -> None:
    """Refuse what could not be written in the end before anything is paid for. Raises ConfigurationError."""
    if output is not None:
        require_new(output, force=force)
    if clips is not None:
        from aai_gateway.quotes.clips import make_folder, require_ffmpeg

        require_ffmpeg()
        if recorded is None:
            raise ConfigurationError("Clips are cut from the audio, which a transcript is not: give --audio.")
        make_folder(clips)


def _as_data(recording: Recording) -> dict[str, Any]:
    found = recording.found
    return {
        "transcript_id": recording.id,
        "quotes": [quote.as_dict() for quote in found.quotes],
        "not_found": [one.as_dict() for one in found.not_found],
        "unread": [{"start": one.start, "end": one.end, "error": one.error} for one in found.unread],
        "answers": [answer.usage() for answer in found.answers],
    }

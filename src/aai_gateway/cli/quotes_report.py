"""`aai-gateway quotes report`: a recording on one page, with its quotes, speakers and topics."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.client_options import (
    ChatModel,
    ChromaUrl,
    InRegion,
    Key,
    Namespace,
    Url,
    namespace_for,
    spent,
)
from aai_gateway.cli.files import output_to, require_new
from aai_gateway.cli.quote_finding import About, Access, Extractive, Recording, Source, find_best, tell
from aai_gateway.cli.quote_formats import audio_of, name_of, playable
from aai_gateway.core.regions import Region

if TYPE_CHECKING:
    from aai_gateway.quotes.report import TopicSpan


def report(
    source: Source,
    n: Annotated[int, typer.Option("-n", min=1, max=50, help="How many quotes.")] = 8,
    about: About = None,
    extractive: Extractive = False,
    speakers: Annotated[
        bool,
        typer.Option("--speakers/--no-speakers", help="Tell speakers apart when audio is transcribed first."),
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The page. Default: SOURCE.quotes.html."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    audio: Annotated[
        str | None, typer.Option(metavar="AUDIO", help="What the page plays, for a transcript.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The page's title. Default: the source's name.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    region: InRegion = Region.US,
    model: ChatModel = None,
    namespace: Namespace = None,
    chroma_url: ChromaUrl = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Write a page: the recording's timeline with quotes, speakers and topics, and a player for each quote.

    Topics are those that `topics --by chapter` gave on this machine, else the transcript's own chapters.
    """
    page = output or Path(f"{Path(name_of(source)).stem}.quotes.html")
    require_new(page, force=force)
    recorded = audio_of(source, audio)
    recording = find_best(
        source,
        n,
        about,
        speakers=speakers,
        extractive=extractive,
        access=Access(region, model, namespace, chroma_url, url, key),
    )
    topics = topics_of(recording, namespace_for(namespace, key))
    with output_to(page, force=force) as target:
        target.write(page_of(recording, title or name_of(source), recorded, topics))
    tell(recording, n)
    typer.echo(page)
    if show:
        webbrowser.open(page.resolve().as_uri())


def page_of(recording: Recording, title: str, audio: str | None, topics: list[TopicSpan]) -> str:
    """The page of a recording."""
    from aai_gateway.quotes.report import Report, Turn, to_html

    found = recording.found
    turns = [Turn(one.speaker, one.start, one.end) for one in recording.sentences if one.speaker is not None]
    paid = f"Quotes proposed by {spent(found.answers)}" if found.answers else ""
    return to_html(
        Report(title, recording.duration, found.quotes, turns, topics, note=paid, audio=playable(audio))
    )


def topics_of(recording: Recording, namespace: str) -> list[TopicSpan]:
    """What its parts are about: as `topics --by chapter` said on this machine, else its own chapters."""
    from aai_gateway.quotes.report import TopicSpan
    from aai_gateway.settings import load_settings
    from aai_gateway.tasks.topic_results import TopicResults

    with TopicResults(load_settings().data_path, namespace) as results:
        labelled = results.chapters_of(recording.id)
    if labelled:
        return [
            TopicSpan(one.topics, one.start, one.end, one.part)
            for one in labelled
            if one.start is not None and one.end is not None
        ]
    return [
        TopicSpan((chapter.gist or chapter.headline,), chapter.start, chapter.end, chapter.headline)
        for chapter in recording.transcript.chapters or ()
    ]

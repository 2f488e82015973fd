"""`aai-gateway quotes search`: passages by meaning and by words, in what the key may still read."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.client_options import (
    Backend,
    ChromaUrl,
    Json,
    Key,
    Namespace,
    Url,
    gateway_url,
    namespace_for,
    open_quotes,
    virtual_key,
)
from aai_gateway.cli.moments import parse_moment
from aai_gateway.cli.output import note, print_json
from aai_gateway.cli.quote_formats import print_quotes
from aai_gateway.core.regions import Region

if TYPE_CHECKING:
    from aai_gateway.quotes.visible_search import IsReadable


def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for: its meaning and its words.")],
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many passages.")] = 5,
    transcript: Annotated[
        list[str] | None,
        typer.Option(metavar="TRANSCRIPT_ID", help="Only in this transcript; repeat for several."),
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only where this speaker speaks, such as A.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="DATE|7d",
            parser=parse_moment,
            help="Made from this UTC moment on, or so long ago.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(metavar="DATE|1d", parser=parse_moment, help="Made up to this UTC moment."),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(metavar="TOPIC", help="Only in transcripts that `topics` gave this topic."),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Do not ask the gateway whether what is found may still be read."),
    ] = False,
    as_json: Json = False,
    namespace: Namespace = None,
    chroma_url: ChromaUrl = None,
    backend: Backend = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Find passages in the transcripts indexed on this machine with your key.

    The gateway is asked whether each transcript in which something is found may still be read; one that was
    deleted, or is another team's now, is removed from the index.
    """
    with open_quotes(namespace, key, chroma_url, backend) as index:
        from aai_gateway.quotes.visible_search import search_visible

        found = search_visible(
            index,
            text,
            n,
            (lambda region, transcript_id: True) if offline else asking(url, key),
            transcript_ids=_chosen(transcript, tag, namespace_for(namespace, key)),
            speaker=speaker,
            since=since,
            until=until,
        )
        stored = index.count()
    for transcript_id in found.removed:
        note(f"{transcript_id} can no longer be read, and is removed from the index.")
    if as_json:
        print_json([quote.as_dict() for quote in found.quotes])
        return
    print_quotes(found.quotes, with_transcript=True)
    if not stored:
        note("Nothing is indexed with this key yet: aai-gateway quotes index TRANSCRIPT_ID")
    elif not found.quotes:
        note("Nothing was found.")


def asking(url: str | None, key: str | None) -> IsReadable:
    """Whether the gateway lets the key read a transcript, given its region and id."""
    from aai_gateway.readable import ReadableTranscripts

    readable = cache(lambda: ReadableTranscripts(gateway_url(url), virtual_key(key)))
    return lambda region, transcript_id: readable().may_read(Region(region), transcript_id)


def _chosen(transcripts: list[str] | None, tag: str | None, namespace: str) -> list[str] | None:
    """The ids of the transcripts to search, None for all. Raises StoreError."""
    if tag is None:
        return transcripts
    from aai_gateway.settings import load_settings
    from aai_gateway.tasks.topic_results import TopicResults

    with TopicResults(load_settings().data_path, namespace) as results:
        tagged = results.transcripts_with(tag)
    if not tagged:
        note(f"No transcript has the topic {tag} yet: aai-gateway topics TRANSCRIPT_ID")
    return sorted(tagged if transcripts is None else tagged.intersection(transcripts))

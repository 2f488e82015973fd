"""`aai-gateway quotes`: the best quotes of a recording, and search over what was said."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.client_options import (
    ChatModel,
    InRegion,
    Json,
    Key,
    Namespace,
    Speakers,
    Url,
    named_transcript,
    namespace_for,
    open_chat,
    open_speech,
    spent,
    timestamp,
)
from aai_gateway.cli.output import note, print_json
from aai_gateway.core.regions import Region

if TYPE_CHECKING:
    from aai_gateway.quotes import Quote

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="What is worth quoting: best, search, index."
)

Source = Annotated[
    str, typer.Argument(metavar="AUDIO|TRANSCRIPT_ID", help="A file, an http(s) URL, or an id.")
]


@app.command(epilog='Example: aai-gateway quotes best interview.mp3 -n 3 --about "the cost of clean air"')
def best(
    source: Source,
    n: Annotated[int, typer.Option("-n", min=1, max=50, help="How many quotes.")] = 3,
    about: Annotated[str | None, typer.Option(metavar="TEXT", help="What they should be about.")] = None,
    speakers: Speakers = False,
    region: InRegion = Region.US,
    model: ChatModel = None,
    as_json: Json = False,
    namespace: Namespace = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print the best quotes of a recording: where, by whom, and how surely those were the words."""
    client = open_speech(url, key, region)
    with open_chat(url, key, region, model) as chat:
        from aai_gateway.quotes import best_quotes, open_index
        from aai_gateway.quotes.windows import numbered
        from aai_gateway.speech import sentences

        transcript = named_transcript(client, source, speakers=speakers)
        spoken = numbered(sentences(client, transcript))
        with open_index(namespace_for(namespace, key)) as index:
            found = best_quotes(
                str(transcript.id), spoken, chat=chat, index=index, n=n, about=about, region=region.value
            )
    if as_json:
        print_json(
            {
                "transcript_id": transcript.id,
                "quotes": [quote.as_dict() for quote in found.quotes],
                "not_found": list(found.not_found),
                "answers": [answer.usage() for answer in found.answers],
            }
        )
        return
    print_quotes(found.quotes)
    if found.not_found:
        note(f"{len(found.not_found)} proposed by the model were not said and are left out.")
    if len(found.quotes) < n:
        note(f"{len(found.quotes)} of {n} were found.")
    if found.answers:
        note(spent(found.answers))


@app.command(epilog='Example: aai-gateway quotes search "why the school stayed closed" -n 5')
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for, by meaning.")],
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many passages.")] = 5,
    transcript: Annotated[
        str | None, typer.Option(metavar="TRANSCRIPT_ID", help="Only in this transcript.")
    ] = None,
    as_json: Json = False,
    namespace: Namespace = None,
    key: Key = None,
) -> None:
    """Find passages by meaning in the transcripts indexed on this machine with your key."""
    place = namespace_for(namespace, key)
    from aai_gateway.quotes import open_index

    with open_index(place) as index:
        found = index.search(text, n, transcript_ids=None if transcript is None else [transcript])
        stored = index.count()
    if as_json:
        print_json([quote.as_dict() for quote in found])
        return
    print_quotes(found, with_transcript=True)
    if not stored:
        note("Nothing is indexed with this key yet: aai-gateway quotes index TRANSCRIPT_ID")
    elif not found:
        note("Nothing was found.")


@app.command("index", epilog="Example: aai-gateway quotes index 8f6d2c1e-… panel.mp3")
def index_transcripts(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="AUDIO|TRANSCRIPT_ID", help="Files, http(s) URLs, or ids."),
    ],
    speakers: Speakers = False,
    region: InRegion = Region.US,
    as_json: Json = False,
    namespace: Namespace = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Add transcripts to the index; those that are there already are brought up to date."""
    client = open_speech(url, key, region)
    from aai_gateway.quotes import open_index
    from aai_gateway.quotes.windows import numbered
    from aai_gateway.speech import sentences

    added = []
    with open_index(namespace_for(namespace, key)) as index:
        for source in sources:
            transcript = named_transcript(client, source, speakers=speakers)
            spoken = numbered(sentences(client, transcript))
            windows = index.add(str(transcript.id), spoken, region=region.value)
            added.append({"transcript_id": transcript.id, "sentences": len(spoken), "windows": windows})
            note(f"{transcript.id}: {len(spoken)} sentences in {windows} windows")
    if as_json:
        print_json(added)


def print_quotes(quotes: Sequence[Quote], *, with_transcript: bool = False) -> None:
    """Two lines for each quote: where, by whom and how surely; and the words."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    say = partial(console.print, soft_wrap=not console.is_terminal)
    for number, quote in enumerate(quotes, start=1):
        head = Text(f"{number}. ").append(f"{timestamp(quote.start)} - {timestamp(quote.end)}", style="bold")
        if quote.speakers:
            head.append(f"  {_speakers(quote.speakers)}", style="cyan")
        head.append(f"  {quote.confidence:.2f}", style="dim")
        if with_transcript:
            head.append(f"  {quote.transcript_id} ({quote.region})", style="dim")
        say(head)
        words = f"“{quote.text}”"
        say(Padding(words, (0, 0, 0, 3)) if console.is_terminal else f"   {words}")


def _speakers(names: Sequence[str]) -> str:
    return f"Speaker{'s' if len(names) > 1 else ''} {', '.join(names)}"

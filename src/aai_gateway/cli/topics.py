"""`aai-gateway topics`: which topic of a list a transcript is about."""

from __future__ import annotations

from typing import Annotated

import typer

from aai_gateway.cli.client_options import ChatModel, InRegion, Json, Key, Url, open_chat, spent
from aai_gateway.cli.output import note, print_json
from aai_gateway.core.regions import Region

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: aai-gateway topics 8f6d2c1e-… --list support")
def topics(
    transcript_id: Annotated[str, typer.Argument(metavar="TRANSCRIPT_ID", help="A completed transcript.")],
    list_name: Annotated[
        str, typer.Option("--list", metavar="news|support|FILE.yaml", help="The topics to choose from.")
    ] = "news",
    region: InRegion = Region.US,
    model: ChatModel = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print the topic that a transcript is most about; one outside the list is an error.

    A list of your own is a YAML file: a mapping of names to descriptions, or a list of names.
    """
    from aai_gateway.tasks.topics import load_topics, tag_topic

    offered = load_topics(list_name)
    with open_chat(url, key, region, model) as chat:
        tag = tag_topic(transcript_id, offered, chat=chat)
    if as_json:
        print_json({"transcript_id": transcript_id, "topic": tag.topic, "answer": tag.answer.usage()})
        return
    typer.echo(tag.topic)
    note(spent([tag.answer]))

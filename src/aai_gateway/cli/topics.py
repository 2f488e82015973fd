"""`aai-gateway topics`: which topics of a list transcripts are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from aai_gateway.cli.chat_estimates import estimated
from aai_gateway.cli.client_options import (
    ChatModel,
    InRegion,
    Json,
    Key,
    Namespace,
    Url,
    namespace_for,
    open_chat,
    open_speech,
    spent,
    timestamp,
)
from aai_gateway.cli.output import note, print_json, printable
from aai_gateway.cli.progress import counted
from aai_gateway.cli.transcript_ids import read_ids, tell_failures
from aai_gateway.core.budgets import dollars, usd
from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError, GatewayError, Refused, UpstreamFailed

if TYPE_CHECKING:
    import assemblyai as aai

    from aai_gateway.tasks.parts import By, Part
    from aai_gateway.tasks.topic_batch import Labeller, Outcome
    from aai_gateway.tasks.topic_results import Labelled

TOKENS_PER_TOPIC = 12

Failure = tuple[str, GatewayError]
"""A transcript's id, and what is wrong with it"""

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: aai-gateway topics --batch ids.txt --list support --max-tags 3 --dry-run")
def topics(
    transcript_ids: Annotated[
        list[str] | None, typer.Argument(metavar="TRANSCRIPT_ID…", help="Completed transcripts.")
    ] = None,
    list_name: Annotated[
        str, typer.Option("--list", metavar="news|support|FILE.yaml", help="The topics to choose from.")
    ] = "news",
    max_tags: Annotated[int, typer.Option(min=1, max=100, help="The most topics of each.")] = 1,
    by: Annotated[
        Literal["chapter", "speaker"] | None,
        typer.Option(metavar="chapter|speaker", help="Label each chapter, or what each speaker said."),
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="More transcripts: ids, one in a line; `-` is stdin."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask about those too that were labelled before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost, and ask no model.")
    ] = False,
    region: InRegion = Region.US,
    model: ChatModel = None,
    as_json: Json = False,
    namespace: Namespace = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Print the topics that transcripts are about; what is not in the list is never one of them.

    A list of your own is a YAML file: a mapping of names to descriptions, or a list of names. Results are
    kept on this machine: a batch that was broken off goes on where it stopped, and `quotes search --tag`
    finds by topic.
    """
    from aai_gateway.settings import load_settings
    from aai_gateway.tasks.topic_batch import Labeller
    from aai_gateway.tasks.topic_results import TopicResults
    from aai_gateway.tasks.topics import load_topics, topics_prompt

    ids = _ids(transcript_ids, batch)
    offered = load_topics(list_name)
    client = open_speech(url, key, region)
    results = TopicResults(load_settings().data_path, namespace_for(namespace, key))
    with open_chat(url, key, region, model) as chat, results:
        labeller = Labeller(
            offered,
            chat=chat,
            results=results,
            max_tags=max_tags,
            by=by,
            parts_of=partial(_parts, client, by) if by is not None else None,
            again=again,
            on_notice=note,
        )
        if dry_run:
            prompts, failures = _prompts(labeller, client, ids, partial(topics_prompt, offered, max_tags))
            _tell_estimate(chat.model, region, prompts, max_tags * TOKENS_PER_TOPIC, as_json)
            _tell_failures(len(ids), failures)
            return
        outcomes = _labelled(labeller, ids)
    _tell(outcomes, len(ids), as_json)


def _ids(given: Sequence[str] | None, batch: Path | None) -> list[str]:
    """The ids of the arguments and of the file, each once. Raises ConfigurationError, BadParameter."""
    listed = list(given or ())
    if batch is not None and str(batch) != "-":
        try:
            # Windows puts a mark before UTF-8.
            listed += batch.expanduser().read_text(encoding="utf-8-sig").splitlines()
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"The list of transcripts {batch} cannot be read: {error}") from None
    elif batch is not None:
        listed.append("-")
    ids = read_ids(listed)
    if not ids:
        raise typer.BadParameter("Give transcript ids, or a file of them with --batch.")
    return ids


def _parts(client: aai.Client, by: By, transcript_id: str) -> list[Part]:
    from aai_gateway import speech
    from aai_gateway.tasks.parts import chapters_of, speakers_of

    transcript = speech.fetch(client, transcript_id)
    if by == "speaker":
        return speakers_of(transcript_id, transcript.utterances or ())
    return chapters_of(transcript_id, transcript.chapters or (), transcript.words or ())


def _labelled(labeller: Labeller, ids: Sequence[str]) -> list[Outcome]:
    """Each transcript's outcome, in the order of `ids`. What would fail for all of them ends it."""
    found: dict[str, Outcome] = {}
    with counted(len(ids), "transcripts") as advance, closing(labeller.label_all(ids)) as outcomes:
        for outcome in outcomes:
            found[outcome.transcript_id] = outcome
            advance()
            if outcome.error is not None and _ends_all(outcome.error):
                break
    if len(found) < len(ids):
        note(f"{len(ids) - len(found):,} were not asked about. The same command goes on from here.")
    return [found[one] for one in ids if one in found]


def _ends_all(error: GatewayError) -> bool:
    """Whether it is of the key or its budget, and not of one transcript."""
    return isinstance(error, Refused) and (
        error.status in (401, 403) or "budget" in error.text.casefold() or isinstance(error, UpstreamFailed)
    )


def _prompts(
    labeller: Labeller, client: aai.Client, ids: Sequence[str], prompt: Callable[[str], str]
) -> tuple[list[str], list[Failure]]:
    """What the model would be asked, with the transcripts' own text; and of which that cannot be told."""
    from aai_gateway import speech

    prompts: list[str] = []
    failures: list[Failure] = []
    with counted(len(ids), "transcripts") as advance:
        for one in ids:
            try:
                for _, part in labeller.todo(one):
                    prompts.append(prompt(part.text if part else speech.fetch(client, one).text or ""))
            except GatewayError as error:
                if _ends_all(error):
                    raise
                failures.append((one, error))
            advance()
    return prompts, failures


def _tell_estimate(
    model: str, region: Region, prompts: Sequence[str], completion_tokens: int, as_json: bool
) -> None:
    tokens, micros = estimated(model, region, prompts, completion_tokens)
    if as_json:
        values = {"requests": len(prompts), "prompt_tokens": tokens, "cost_usd": usd(micros)}
        print_json({"model": model, **values})
        return
    requests = f"{len(prompts):,} request{'s' if len(prompts) != 1 else ''}"
    typer.echo(f"{requests} to {model}, about {tokens:,} tokens in: about {dollars(micros)}")


def _tell(outcomes: Sequence[Outcome], count: int, as_json: bool) -> None:
    """What became of those of `count` transcripts that were asked about."""
    answers = [answer for outcome in outcomes for answer in outcome.answers]
    failures = [(outcome.transcript_id, outcome.error) for outcome in outcomes if outcome.error]
    if as_json:
        data = [_as_dict(outcome) for outcome in outcomes]
        print_json(data)
    else:
        for outcome in outcomes:
            for one in outcome.labelled:
                typer.echo(printable(_line(outcome.transcript_id if count > 1 else None, one)))
    before = sum(not outcome.answers and not outcome.error for outcome in outcomes)
    if before:
        note(f"{before:,} of {len(outcomes):,} were labelled before, at no cost now; --again asks anew.")
    if answers:
        note(spent(answers))
    _tell_failures(count, failures)


def _tell_failures(count: int, failures: Sequence[Failure]) -> None:
    """Which of `count` transcripts failed; that of a single one is raised."""
    if count == 1 and failures:
        raise failures[0][1]
    if failures:
        tell_failures((one, str(error)) for one, error in failures)
        raise typer.Exit(1)


def _line(transcript_id: str | None, labelled: Labelled) -> str:
    """`Health, Politics`, after the transcript's id and the part's place where those are needed."""
    head = [transcript_id] if transcript_id else []
    if labelled.start is not None and labelled.end is not None:
        head.append(f"{timestamp(labelled.start)} - {timestamp(labelled.end)}  {labelled.part}")
    return ": ".join(["  ".join(head), ", ".join(labelled.topics)] if head else [", ".join(labelled.topics)])


def _as_dict(outcome: Outcome) -> dict[str, Any]:
    return {
        "transcript_id": outcome.transcript_id,
        "labelled": [
            {"part": one.part or None, "start": one.start, "end": one.end, "topics": list(one.topics)}
            for one in outcome.labelled
        ],
        "error": None if outcome.error is None else str(outcome.error),
        "answers": [answer.usage() for answer in outcome.answers],
    }

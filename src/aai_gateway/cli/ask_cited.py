"""A question about all of one transcript, answered with citations; and how such answers are told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import typer

from aai_gateway.cli.chat_estimates import spent_about
from aai_gateway.cli.client_options import open_chat, open_speech, timestamp
from aai_gateway.cli.output import note, print_json, printable
from aai_gateway.cli.quote_finding import Access

if TYPE_CHECKING:
    from aai_gateway.quotes.answering import CitedAnswer, Reader, Statement


def ask_whole(
    transcript_id: str,
    question: str,
    max_tokens: int,
    access: Access,
    *,
    with_speakers: bool,
    stream: bool,
    as_json: bool,
) -> None:
    """Print the answer from all of a transcript. Raises what `speech.fetch` and `answer_whole` do."""
    from aai_gateway import speech
    from aai_gateway.quotes.answering import answer_whole
    from aai_gateway.quotes.windows import numbered

    client = open_speech(access.url, access.key, access.region)
    with open_chat(access.url, access.key, access.region, access.model) as chat:
        answer = answer_whole(
            question,
            transcript_id,
            numbered(speech.sentences(client, speech.fetch(client, transcript_id))),
            chat=chat,
            region=access.region.value,
            with_speakers=with_speakers,
            max_tokens=max_tokens,
            reader=printing(with_transcript=False) if stream else None,
        )
    if as_json:
        print_json({"transcript_id": transcript_id, "question": question, **answer.as_dict()})
        return
    tell_cited(answer, access, chat.model, streamed=stream, with_transcript=False)


def printing(*, with_transcript: bool) -> Reader:
    """What prints an answer's statements as they come, and says which of them do not count."""
    from aai_gateway.quotes.answering import Reader

    return Reader(partial(_print_statement, with_transcript=with_transcript), _print_withdrawn)


def tell_cited(
    answer: CitedAnswer, access: Access, model: str, *, streamed: bool, with_transcript: bool = True
) -> None:
    """The statements on stdout, unless they were printed as they came; on stderr what it took."""
    for statement in () if streamed else answer.statements:
        _print_statement(statement, with_transcript=with_transcript)
    if not answer.answered:
        note("The transcripts do not say." if with_transcript else "The transcript does not say.")
    if answer.answers:
        note(spent_about(answer.answers, model, access.region))


def _print_statement(statement: Statement, *, with_transcript: bool) -> None:
    typer.echo(printable(statement.text) + ("" if statement.citations else " (unsupported: nobody said so)"))
    for quote in statement.citations:
        where = [quote.transcript_id] if with_transcript else []
        where += [timestamp(quote.start), *(f"Speaker {name}" for name in quote.speakers)]
        typer.echo(printable(f"   “{quote.text}” {', '.join(where)}"))


def _print_withdrawn(count: int) -> None:
    which = "statement above does" if count == 1 else f"{count} statements above do"
    typer.echo(f"(The {which} not count: the model's answer could not be read to its end as it began.)")

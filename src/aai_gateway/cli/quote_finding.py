"""The best quotes of what a command was given: fetched or transcribed, asked about, and told."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.client_options import (
    named_transcript,
    open_chat,
    open_quotes,
    open_speech,
    spent,
    timestamp,
)
from aai_gateway.cli.output import note
from aai_gateway.cli.progress import measured

if TYPE_CHECKING:
    import assemblyai as aai

    from aai_gateway.chat_client import ChatClient
    from aai_gateway.core.regions import Region
    from aai_gateway.quotes import BestQuotes, QuoteIndex, Sentence

Source = Annotated[
    str, typer.Argument(metavar="AUDIO|TRANSCRIPT_ID", help="A file, an http(s) URL, or an id.")
]
About = Annotated[str | None, typer.Option(metavar="TEXT", help="What they should be about.")]

Extractive = Annotated[
    bool, typer.Option("--extractive", help="Find them without a chat model, at no cost: what is central.")
]


@dataclass(frozen=True, slots=True)
class Access:
    """How the gateway and the index are reached: the options as they were given."""

    region: Region
    model: str | None
    namespace: str | None
    chroma_url: str | None
    url: str | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Recording:
    """A transcript, its sentences, and the best quotes of it."""

    transcript: aai.Transcript
    sentences: list[Sentence]
    found: BestQuotes

    @property
    def id(self) -> str:
        """The transcript's id."""
        return str(self.transcript.id)

    @property
    def duration(self) -> int:
        """How long it is, in ms."""
        ends = [sentence.end for sentence in self.sentences]
        return max([1000 * (self.transcript.audio_duration or 0), *ends])


def find_best(
    source: str, n: int, about: str | None, *, speakers: bool, extractive: bool, access: Access
) -> Recording:
    """Transcribe or fetch `source`, and find its `n` best quotes; `extractive` asks no chat model.

    Raises what `speech.transcribe`, `speech.fetch` and `best_quotes` do.
    """
    client = open_speech(access.url, access.key, access.region)
    # Before anything is paid for: its settings may be wrong.
    chat = None if extractive else open_chat(access.url, access.key, access.region, access.model)
    from aai_gateway.quotes.windows import numbered
    from aai_gateway.speech import sentences

    transcript = named_transcript(client, source, speakers=speakers)
    spoken = numbered(sentences(client, transcript))
    with open_quotes(access.namespace, access.key, access.chroma_url) as index, chat or nullcontext():
        found = _quotes(str(transcript.id), spoken, n, about, chat, index, access.region.value)
    return Recording(transcript, spoken, found)


def _quotes(
    transcript_id: str,
    spoken: list[Sentence],
    n: int,
    about: str | None,
    chat: ChatClient | None,
    index: QuoteIndex,
    region: str,
) -> BestQuotes:
    from aai_gateway.quotes import BestQuotes, best_quotes, extractive_quotes

    with measured("sentences") as report:
        index.add(transcript_id, spoken, region=region, on_progress=report)
    if chat is not None:
        with measured("portions") as report:
            return best_quotes(
                transcript_id,
                spoken,
                chat=chat,
                index=index,
                n=n,
                about=about,
                region=region,
                on_portion=report,
            )
    vectors = index.vectors(transcript_id)
    if vectors is None:
        return BestQuotes(())
    subject = index.embedder.encode([about])[0] if about else None
    quotes = extractive_quotes(transcript_id, spoken, vectors, n, about=subject, region=region)
    return BestQuotes(tuple(quotes))


def tell(recording: Recording, n: int) -> None:
    """What a person should know of how the quotes were found, on stderr; the cost last."""
    found = recording.found
    if found.not_found:
        note(f"{len(found.not_found)} proposed by the model were not said, and are left out:")
        for one in found.not_found:
            note(f"  “{one.claim}”" + (f" (most like {timestamp(one.nearest.start)})" if one.nearest else ""))
    for unread in found.unread:
        note(f"{timestamp(unread.start)} - {timestamp(unread.end)} has no quotes: {unread.error}")
    if len(found.quotes) < n:
        note(f"{len(found.quotes)} of {n} were found.")
    if found.answers:
        note(spent(found.answers))

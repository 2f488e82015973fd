"""The quotes of a recording in the forms in which they are passed on: a table, Markdown, captions, a page."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from enum import Enum
from functools import partial
from io import StringIO
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, TextIO
from urllib.parse import unquote

import typer

from aai_gateway.cli.client_options import timestamp
from aai_gateway.cli.output import printable
from aai_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from aai_gateway.quotes import Quote, Sentence

_URL = re.compile(r"https?://[^/?#]*([^?#]*)", re.IGNORECASE)
"""An address and, in it, the path"""


class QuoteFormat(str, Enum):
    """What is made of quotes."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    SRT = "srt"
    VTT = "vtt"
    HTML = "html"


def print_quotes(
    quotes: Sequence[Quote], *, with_transcript: bool = False, stream: TextIO | None = None
) -> None:
    """Two lines for each quote: where, by whom and how surely; and the words. On stdout, or a stream."""
    # Without rich, which takes longer to load than a search takes.
    say = partial(typer.echo, file=stream, color=False if os.environ.get("NO_COLOR") else None)
    shown = stream or sys.stdout
    width = get_terminal_size().columns if shown is not None and shown.isatty() else None
    for number, quote in enumerate(quotes, start=1):
        facts = [f"{quote.confidence:.2f}"]
        if quote.kind is not None:
            facts.append(quote.kind)
        if with_transcript:
            facts.append(f"{quote.transcript_id} ({quote.region})")
        head = [typer.style(f"{timestamp(quote.start)} - {timestamp(quote.end)}", bold=True)]
        if quote.speakers:
            head.append(typer.style(printable(_speakers(quote.speakers)), fg=typer.colors.CYAN))
        say(f"{number}. {'  '.join([*head, typer.style('  '.join(facts), dim=True)])}")
        say(_indented(f"“{printable(quote.text)}”", width))


def as_table(quotes: Sequence[Quote]) -> str:
    """What `print_quotes` prints, as a file holds it."""
    stream = StringIO()
    print_quotes(quotes, stream=stream)
    return stream.getvalue()


def rendered(form: QuoteFormat, quotes: Sequence[Quote], sentences: Sequence[Sentence], title: str) -> str:
    """The quotes of one transcript as a table, Markdown or captions."""
    from aai_gateway.quotes.captions import captions_of, to_srt, to_vtt
    from aai_gateway.quotes.markdown import to_markdown

    if form is QuoteFormat.MARKDOWN:
        return to_markdown(quotes, title)
    if form is QuoteFormat.SRT:
        return to_srt(captions_of(quotes, sentences))
    if form is QuoteFormat.VTT:
        return to_vtt(captions_of(quotes, sentences))
    return as_table(quotes)


def audio_of(source: str, audio: str | None) -> str | None:
    """What to play and to cut: as given, else the source itself where it is audio; None for a transcript.

    Raises ConfigurationError for a file that is not there.
    """
    from aai_gateway.speech import is_audio

    if audio is not None and not is_audio(audio):
        raise ConfigurationError(f"There is no file {audio}.")
    return audio or (source if is_audio(source) else None)


def name_of(source: str) -> str:
    """A source's name for people: the last part of its path. A query is left out: it may hold a signature."""
    url = _URL.match(source)
    name = Path(unquote(url[1]) if url else source).name or "recording"
    # A file's name may hold bytes that are no text.
    return name.encode(errors="surrogateescape").decode(errors="replace")


def playable(audio: str | None) -> str | None:
    """The address that a page plays audio from."""
    if audio is None or audio.startswith(("http://", "https://")):
        return audio
    return Path(audio).expanduser().resolve().as_uri()


def _indented(text: str, width: int | None) -> str:
    """Text that is set in by three columns; it is broken into lines where `width` says how long they are."""
    if width is None:
        return f"   {text}"
    return fill(
        text,
        width,
        initial_indent="   ",
        subsequent_indent="   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _speakers(names: Sequence[str]) -> str:
    return f"Speaker{'s' if len(names) > 1 else ''} {', '.join(names)}"

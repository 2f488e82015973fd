"""Quotes as Markdown (CommonMark): block quotes with who said it and when. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.report import clock

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!])")
# What begins a list or a heading at the start of a line.
_BEGINS_BLOCK = re.compile(r"^(\d+)([.)])|^([-+=])")


def to_markdown(quotes: Iterable[Quote], title: str | None = None, *, with_transcript: bool = False) -> str:
    """The quotes in their order; with `with_transcript` each names its transcript's id."""
    blocks = [f"# {escaped(title)}"] if title else []
    for quote in quotes:
        by = f"{escaped(', '.join(quote.speakers))}, " if quote.speakers else ""
        place = f"{clock(quote.start)}–{clock(quote.end)}"
        source = f", `{quote.transcript_id}`" if with_transcript else ""
        blocks.append(f"> “{escaped(quote.text)}”\n>\n> — {by}{place}{source}")
    return "\n\n".join(blocks) + "\n" if blocks else ""


def escaped(text: str) -> str:
    """`text` in one line, read as plain text wherever it stands."""
    line = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _BEGINS_BLOCK.sub(lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[3]}", line)

"""A transcript as text, captions, lines with times, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any

from aai_gateway.cli.client_options import timestamp

if TYPE_CHECKING:
    import assemblyai as aai


class Format(str, Enum):
    """What is printed of a transcript."""

    TEXT = "text"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"
    SENTENCES = "sentences"
    PARAGRAPHS = "paragraphs"

    @property
    def suffix(self) -> str:
        """The ending of a file in this format."""
        return self.value if self in (Format.JSON, Format.SRT, Format.VTT) else "txt"


def render(client: aai.Client, transcript: aai.Transcript, form: Format, *, as_json: bool) -> str:
    """A completed transcript in a format. Raises Refused and UpstreamFailed where an export is asked for."""
    from aai_gateway.speech import gateway_errors

    if form is Format.JSON:
        return to_json(transcript.json_response)
    if form is Format.TEXT:
        return spoken_text(transcript)
    with gateway_errors(client):
        if form is Format.SRT:
            return transcript.export_subtitles_srt()
        if form is Format.VTT:
            return transcript.export_subtitles_vtt()
        parts = transcript.get_sentences() if form is Format.SENTENCES else transcript.get_paragraphs()
    if as_json:
        return to_json([part.model_dump(mode="json") for part in parts])
    return timed_lines(parts)


def spoken_text(transcript: aai.Transcript) -> str:
    """The text; a paragraph for each turn, after its speaker, where the transcript has turns."""
    if not transcript.utterances:
        return transcript.text or ""
    return "\n".join(f"{turn.speaker or turn.channel}: {turn.text}" for turn in transcript.utterances)


def timed_lines(parts: Iterable[Any]) -> str:
    """A line for each part: `0:00:01.200  0:00:04.000  A: text`, tab-separated."""
    return "\n".join(
        f"{timestamp(part.start)}\t{timestamp(part.end)}\t{_spoken_by(part)}{part.text}" for part in parts
    )


def to_json(value: Any) -> str:
    """JSON for people and programs."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _spoken_by(part: Any) -> str:
    speaker = getattr(part, "speaker", None) or getattr(part, "channel", None)
    return f"{speaker}: " if speaker else ""

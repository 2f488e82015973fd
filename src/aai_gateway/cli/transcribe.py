"""`aai-gateway transcribe`: audio to text through the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from aai_gateway.cli.client_options import InRegion, Json, Key, Url, open_speech
from aai_gateway.cli.output import note
from aai_gateway.cli.progress import job_progress
from aai_gateway.cli.transcript_formats import Format, render
from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError, GatewayError, TranscriptionFailed

if TYPE_CHECKING:
    import assemblyai as aai

    from aai_gateway.cli.progress import Report

AT_ONCE = 4

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Done:
    """A finished transcription as it will be printed."""

    transcript_id: str
    summary: str
    content: str


@app.command(epilog="Example: aai-gateway transcribe interview.mp3 --speakers --format srt -o interview.srt")
def transcribe(
    audio: Annotated[list[str], typer.Argument(metavar="AUDIO", help="Files or http(s) URLs.")],
    region: InRegion = Region.US,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A speech model; repeat to name others to fall back on."),
    ] = None,
    speakers: Annotated[bool, typer.Option("--speakers", help="Tell speakers apart.")] = False,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="Such as en or de, or auto to have it detected.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    as_json: Json = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to a file; to a folder for several."),
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Transcribe audio and print text, captions or data. Transcript ids and progress go to stderr."""
    if as_json and form in (Format.SRT, Format.VTT):
        raise typer.BadParameter(f"{form.value} captions are not JSON: leave out --json.")
    if as_json and form is Format.TEXT:
        form = Format.JSON
    as_json = as_json or form is Format.JSON
    files = output_files(audio, form, output)
    client = open_speech(url, key, region)
    outcomes = _transcribe_all(client, audio, _config(model, speakers, language), form, as_json)
    for source, file, outcome in zip(audio, files, outcomes, strict=True):
        if isinstance(outcome, Done):
            _deliver(outcome, file, heading=source if len(audio) > 1 and not as_json else None)
            note(f"{source}: {outcome.summary}" + (f", in {file}" if file else ""))
    _raise_failures(audio, outcomes)


def output_files(audio: Sequence[str], form: Format, output: Path | None) -> list[Path | None]:
    """Where each transcript is written; None is stdout. Raises ConfigurationError, before any cost."""
    if output is None:
        return [None] * len(audio)
    if not output.is_dir():
        if len(audio) > 1:
            raise ConfigurationError(f"{output} is no folder: several transcripts are written into one.")
        if not output.parent.is_dir():
            raise ConfigurationError(f"{output} cannot be written: there is no folder {output.parent}.")
        return [output]
    files = [output / f"{_stem(source)}.{form.suffix}" for source in audio]
    if len(set(files)) < len(files):
        raise ConfigurationError("Two of these would be written to the same file: transcribe them in turn.")
    return list(files)


def _stem(source: str) -> str:
    parts = urlsplit(source)
    path = parts.path if parts.scheme in ("http", "https") else source
    return Path(path).stem or "transcript"


def _config(models: list[str] | None, speakers: bool, language: str | None) -> aai.TranscriptionConfig:
    import assemblyai as aai

    config = aai.TranscriptionConfig(speech_models=models or None, speaker_labels=speakers or None)
    if language == "auto":
        config.language_detection = True
    elif language:
        config.language_code = language
    return config


def _transcribe_all(
    client: aai.Client, audio: Sequence[str], config: aai.TranscriptionConfig, form: Format, as_json: bool
) -> list[Done | GatewayError]:
    with job_progress(audio) as report:
        work = partial(_transcribe_one, client, config=config, form=form, as_json=as_json, report=report)
        if len(audio) == 1:
            return [work(audio[0])]
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            return list(pool.map(work, audio))
        finally:
            # Interrupted: start no more; those under way end by themselves.
            pool.shutdown(wait=False, cancel_futures=True)


def _transcribe_one(
    client: aai.Client,
    source: str,
    *,
    config: aai.TranscriptionConfig,
    form: Format,
    as_json: bool,
    report: Report,
) -> Done | GatewayError:
    from aai_gateway import speech

    try:
        transcript = speech.transcribe(client, source, config, on_progress=partial(report, source))
        content = render(client, transcript, form, as_json=as_json)
    except GatewayError as error:
        return error
    summary = f"{transcript.id}, {transcript.audio_duration} s heard by {transcript.speech_model_used}"
    return Done(str(transcript.id), summary, content.rstrip("\n"))


def _deliver(done: Done, file: Path | None, heading: str | None) -> None:
    if file is not None:
        try:
            file.write_text(done.content + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"{file} cannot be written ({error.strerror}); the transcript is {done.transcript_id}."
            ) from None
        return
    if heading is not None:
        typer.echo(f"# {heading}")
    typer.echo(done.content)


def _raise_failures(audio: Sequence[str], outcomes: Sequence[Done | GatewayError]) -> None:
    failures = [
        (source, outcome)
        for source, outcome in zip(audio, outcomes, strict=True)
        if isinstance(outcome, GatewayError)
    ]
    if not failures:
        return
    if len(audio) == 1:
        raise failures[0][1]
    for source, error in failures:
        note(f"{source}: {error}")
    raise TranscriptionFailed(f"{len(failures)} of {len(audio)} were not transcribed.")

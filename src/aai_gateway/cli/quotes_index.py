"""`aai-gateway quotes index` and `quotes sync`: what was said, put where searches find it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from aai_gateway.cli.client_options import (
    Backend,
    ChromaUrl,
    InRegion,
    Json,
    Key,
    Namespace,
    Speakers,
    Url,
    named_transcript,
    open_quotes,
    open_speech,
)
from aai_gateway.cli.output import note, print_json
from aai_gateway.cli.progress import counted, measured
from aai_gateway.cli.transcript_ids import tell_failures
from aai_gateway.core.regions import Region
from aai_gateway.errors import Refused, TranscriptionFailed

if TYPE_CHECKING:
    import assemblyai as aai

    from aai_gateway.quotes import QuoteIndex


def index(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="AUDIO|TRANSCRIPT_ID", help="Files, http(s) URLs, or ids."),
    ],
    speakers: Speakers = False,
    region: InRegion = Region.US,
    as_json: Json = False,
    namespace: Namespace = None,
    chroma_url: ChromaUrl = None,
    backend: Backend = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Add transcripts to the index; those that are there already are brought up to date.

    What was encoded before the command was broken off is kept.
    """
    client = open_speech(url, key, region)
    from aai_gateway.speech import is_audio
    from aai_gateway.speech_listing import created_at

    made_at = created_at(client, [source for source in sources if not is_audio(source)])
    added = []
    with open_quotes(namespace, key, chroma_url, backend) as into:
        for source in sources:
            transcript = named_transcript(client, source, speakers=speakers)
            moment = datetime.now(timezone.utc) if is_audio(source) else made_at.get(str(transcript.id))
            sentences, windows = add_transcript(into, client, transcript, region, moment)
            added.append({"transcript_id": transcript.id, "sentences": sentences, "windows": windows})
            note(f"{transcript.id}: {sentences} sentences in {windows} windows")
    if as_json:
        print_json(added)


def sync(
    region: InRegion = Region.US,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: Json = False,
    namespace: Namespace = None,
    chroma_url: ChromaUrl = None,
    backend: Backend = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Bring the index in step with the gateway: add what is missing, remove what can no longer be read.

    It is about one region's completed transcripts, those that the key may list. The same command goes on
    where it was broken off.
    """
    client = open_speech(url, key, region)
    from aai_gateway import speech, speech_listing

    listed = list(speech_listing.completed(client))
    with open_quotes(namespace, key, chroma_url, backend) as into:
        held = {one.id for one in into.transcripts() if one.region == region.value}
        missing = [one for one in listed if one.id not in held]
        gone = sorted(held - {one.id for one in listed})
        added, failures = [], []
        if not dry_run:
            into.remove(gone)
            with counted(len(missing), "transcripts") as advance:
                for one in missing:
                    try:
                        transcript = speech.fetch(client, one.id)
                        add_transcript(into, client, transcript, region, one.created_at)
                        added.append(one.id)
                    except (Refused, TranscriptionFailed) as error:
                        failures.append((one.id, str(error)))
                    advance()
    done = [one.id for one in missing] if dry_run else added
    if as_json:
        print_json(
            {"added": done, "removed": gone, "unchanged": len(listed) - len(missing), "dry_run": dry_run}
        )
    else:
        would = "to be " if dry_run else ""
        typer.echo(
            f"{region.value}: {len(done):,} {would}added, {len(gone):,} {would}removed, "
            f"{len(listed) - len(missing):,} unchanged"
        )
    if failures:
        tell_failures(failures)
        raise typer.Exit(1)


def add_transcript(
    into: QuoteIndex,
    client: aai.Client,
    transcript: aai.Transcript,
    region: Region,
    created_at: datetime | None,
) -> tuple[int, int]:
    """Index a transcript under a bar; how many sentences and windows it has.

    Raises IndexUnavailable, Refused and UpstreamFailed.
    """
    from aai_gateway.quotes.windows import numbered
    from aai_gateway.speech import sentences

    spoken = numbered(sentences(client, transcript))
    with measured("sentences") as report:
        windows = into.add(
            str(transcript.id), spoken, region=region.value, created_at=created_at, on_progress=report
        )
    return len(spoken), windows

"""Quotes cut out of the recording as audio files, by ffmpeg, padded into the silence around them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from aai_gateway.errors import ConfigurationError
from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.windows import Sentence

PADDING_MS = 400
"""The most silence that is kept on either side."""
MARGIN_MS = 40
"""What is left of a silence for the word beyond it: recognition does not tell a word's edge more exactly."""
SECONDS = 300
"""How long one clip may take to be cut."""


def require_ffmpeg() -> str:
    """ffmpeg's path. Raises ConfigurationError where there is none."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise ConfigurationError(
            "Clips are cut by ffmpeg, which is not installed. On Debian and Ubuntu: apt-get install ffmpeg; "
            "on macOS: brew install ffmpeg."
        )
    return found


def make_folder(folder: Path) -> None:
    """Make the folder unless it is there. Raises ConfigurationError where clips cannot be put into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"The folder {folder} is not yours to write in.")


def padded(quote: Quote, sentences: Sequence[Sentence]) -> tuple[int, int]:
    """From when to when to cut, in ms: the quote and the silence around it, up to the next words."""
    edges = [(place.start, place.end) for sentence in sentences for place in (sentence.words or [sentence])]
    before = max((end for start, end in edges if start < quote.start), default=None)
    after = min((start for start, end in edges if end > quote.end), default=None)
    start = quote.start - PADDING_MS
    end = quote.end + PADDING_MS
    if before is not None:
        start = max(start, min(before + MARGIN_MS, quote.start))
    if after is not None:
        end = min(end, max(after - MARGIN_MS, quote.end))
    return max(0, start), end


def cut_clips(audio: str, quotes: Iterable[Quote], sentences: Sequence[Sentence], folder: Path) -> list[Path]:
    """An AAC file for each quote, named by its number and place, in `folder`, which is made.

    `audio` is a file or an http(s) URL. A file of the same name is replaced, whole or not at all. Raises
    ConfigurationError where ffmpeg is missing or cannot read the audio.
    """
    ffmpeg = require_ffmpeg()
    make_folder(folder)
    made = []
    for number, quote in enumerate(quotes, start=1):
        start, end = padded(quote, sentences)
        target = folder / f"{number:02}-{_place(quote.start)}.m4a"
        _cut(ffmpeg, audio, start, end, quote.text, target)
        made.append(target)
    return made


def _cut(ffmpeg: str, audio: str, start: int, end: int, title: str, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.unfinished")
    length = end - start
    command = [
        *(ffmpeg, "-nostdin", "-v", "error", "-y"),
        *("-ss", f"{start / 1000:.3f}", "-t", f"{length / 1000:.3f}", "-i", _input(audio)),
        # A cut in the middle of a wave clicks.
        *("-map", "0:a:0", "-af", f"afade=d=0.01,afade=t=out:st={max(0, length - 10) / 1000:.3f}:d=0.01"),
        *("-c:a", "aac", "-b:a", "128k", "-map_metadata", "-1", "-metadata", f"title={title}"),
        *("-f", "ipod", str(unfinished)),
    ]
    try:
        ran = subprocess.run(  # noqa: S603 - a list, no shell; the input is marked as a file or is http(s)
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS
        )
        if ran.returncode != 0 or not unfinished.exists():
            said = ran.stderr.strip().splitlines()
            raise ConfigurationError(
                f"ffmpeg cannot cut a clip from {audio}: {said[-1] if said else ran.returncode}"
            )
        unfinished.replace(target)
    except OSError as error:
        raise ConfigurationError(f"ffmpeg cannot make {target}: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"ffmpeg took more than {SECONDS} s to cut a clip from {audio}.") from None
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def _input(audio: str) -> str:
    if audio.startswith(("http://", "https://")):
        return audio
    return f"file:{Path(audio).expanduser().resolve()}"


def _place(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m{seconds:02}s" if hours else f"{minutes}m{seconds:02}s"

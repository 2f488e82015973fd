"""The recordings that the emulator knows by heart: audio files, and the words that are spoken in them.

Made by `scripts/make-samples`. `sample_names()` lists them; `sample_path(name)` is the audio to upload.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "samples"

GUIDE_URLS = {
    "https://assembly.ai/wildfires.mp3": "interview",
    "https://assembly.ai/sports_injuries.mp3": "briefing",
    "https://assemblyaiassets.com/audios/verbatim.mp3": "interview",
    "https://storage.googleapis.com/aai-web-samples/meeting.mp4": "interview",
    "https://example.org/audio.wav": "hello",
    "https://example.com/audio.mp3": "stereo",
}
"""URLs that AssemblyAI's guides use, each answered with one of our own recordings: the emulator has no
network.
"""


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word; start and end in ms, confidence in 0..1, speaker "A"…, channel "1"… of a
    multichannel file.
    """

    text: str
    start: int
    end: int
    confidence: float
    speaker: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard in a recording, and the file itself."""

    words: tuple[Word, ...]
    duration_ms: int
    channels: int
    path: Path


@cache
def _scripts() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.json"))}


def sample_names() -> list[str]:
    """Names of the recordings, sorted."""
    return list(_scripts())


def sample_path(name: str) -> Path:
    """The audio file of a recording. Raises KeyError for an unknown name."""
    return _FOLDER / str(_scripts()[name]["audio"])


@cache
def sample_script(name: str) -> Heard:
    """What is said in a recording. Raises KeyError for an unknown name."""
    script = _scripts()[name]
    words = tuple(Word(**word) for word in script["words"])
    return Heard(words, script["duration_ms"], script["channels"], sample_path(name))


def sample_of_digest(sha256: str) -> str | None:
    """The recording whose audio file has this SHA-256 (hex), if any."""
    return next((name for name, script in _scripts().items() if script["sha256"] == sha256), None)

"""What the emulator hears in a recording.

A known sample: its script. Other WAV audio: pocketsphinx, when it is installed. Anything else: the error
that a job ends with. Addresses outside this machine are never fetched.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from aai_gateway.emulator.sample_audio import GUIDE_URLS, Heard, Word, sample_of_digest, sample_script

_SHORTEST_MS = 160
_MOST_BYTES = 5_000_000_000
_DOWNLOAD_SECONDS = 120
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Unheard:
    """A job's error text."""

    text: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A file on disk and its SHA-256 (hex)."""

    path: Path
    sha256: str


def download_error(url: str) -> Unheard:
    """What a job ends with when its audio cannot be fetched."""
    return Unheard(
        f"Download error, unable to download {url}. "
        "Please make sure the file exists and is accessible from the internet."
    )


def is_loopback(url: str) -> bool:
    """Whether a URL points to this machine: the only ones that the emulator fetches."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


async def fetch(url: str, folder: Path) -> Recording | Unheard:
    """Download a loopback URL into `folder` (no redirects, 5 GB, two minutes)."""
    digest = hashlib.sha256()
    size = 0
    timeout = aiohttp.ClientTimeout(total=_DOWNLOAD_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                return download_error(url)
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > _MOST_BYTES:
                        return download_error(url)
                    digest.update(chunk)
                    file.write(chunk)
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError):
        return download_error(url)
    return Recording(Path(file.name), digest.hexdigest())


def known(url: str, uploads: Mapping[str, Recording]) -> Heard | Unheard | None:
    """What is said at `url` where that needs no listening; None where `hear` must be asked.

    A query behind a URL of the guides changes nothing: a test marks its jobs with it.
    """
    if name := GUIDE_URLS.get(url.partition("?")[0]):
        return sample_script(name)
    if url not in uploads:
        return None if is_loopback(url) else download_error(url)
    name = sample_of_digest(uploads[url].sha256)
    return sample_script(name) if name else None


async def hear(url: str, uploads: Mapping[str, Recording], folder: Path, recognise: bool) -> Heard | Unheard:
    """What is said at `url`: one of `uploads`, a URL of the guides, or a file on this machine."""
    if (at_once := known(url, uploads)) is not None:
        return at_once
    recording = uploads.get(url) or await fetch(url, folder)
    return recording if isinstance(recording, Unheard) else await hear_file(recording, recognise)


async def hear_file(recording: Recording, recognise: bool) -> Heard | Unheard:
    """What is said in a file."""
    if name := sample_of_digest(recording.sha256):
        return sample_script(name)
    with recording.path.open("rb") as file:
        kind = file_type(file.read(4096))
    if not kind.startswith(("audio/", "video/")):
        return Unheard(f"File does not appear to contain audio. File type is {kind}.")
    if kind != "audio/x-wav":
        return Unheard(f"The emulator decodes WAV only, beside its own samples; this file is {kind}.")
    try:
        with wave.open(str(recording.path)) as opened:
            channels, rate, frames = opened.getnchannels(), opened.getframerate(), opened.getnframes()
    except (wave.Error, EOFError):
        return Unheard("The emulator decodes only uncompressed PCM WAV files, beside its own samples.")
    duration = frames * 1000 // max(rate, 1)
    if duration < _SHORTEST_MS:
        return Unheard("Audio duration is too short.")
    if not recognise:
        return Unheard("The emulator does not know this recording, and recognition of others is turned off.")
    if find_spec("pocketsphinx") is None:
        return Unheard(
            "The emulator does not know this recording. To let it recognise others: "
            "pip install aai-gateway[emulator]"
        )
    words = await _recognise(recording.path)
    return words if isinstance(words, Unheard) else Heard(words, duration, channels, recording.path)


async def _recognise(path: Path) -> tuple[Word, ...] | Unheard:
    """Run recognition in a process of its own; it is ended when the job is cancelled."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aai_gateway.emulator.recognise", str(path),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        return Unheard("The emulator could not recognise this recording.")
    return tuple(Word(**word) for word in json.loads(out))


_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"FORM", "audio/x-aiff"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
)


def file_type(head: bytes) -> str:
    """The type of a file by its first bytes, as `file` names it."""
    if not head:
        return "inode/x-empty (empty)"
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/x-wav"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return "audio/mpeg"
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html (HTML document)"
    if start.startswith((b"{", b"[")):
        return "application/json (JSON data)"
    if all(byte in b"\t\n\r\x0c" or 32 <= byte < 127 for byte in head):
        return "text/plain (ASCII text)"
    return "application/octet-stream (data)"

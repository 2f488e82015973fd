from __future__ import annotations

import hashlib
import wave
from importlib.util import find_spec
from pathlib import Path

import pytest

from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.emulator.hearing import Recording, Unheard, fetch, file_type, hear, hear_file, is_loopback
from aai_gateway.emulator.recognise import recognise
from aai_gateway.emulator.sample_audio import GUIDE_URLS, Heard, sample_script


def recorded(path: Path) -> Recording:
    return Recording(path, hashlib.sha256(path.read_bytes()).hexdigest())


def tone(path: Path, ms: int, channels: int = 1) -> Recording:
    """A WAV file of silence: audio that nobody has a script for."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(bytes(32 * ms * channels))
    return recorded(path)


@pytest.mark.parametrize("url", GUIDE_URLS)
async def test_guide_urls_are_samples(url: str, tmp_path: Path):
    assert sample_script(GUIDE_URLS[url]) == await hear(url, {}, tmp_path, True)
    assert sample_script(GUIDE_URLS[url]) == await hear(f"{url}?team=a&n=1", {}, tmp_path, True)


async def test_other_hosts_are_never_fetched(tmp_path: Path):
    url = "https://audio.invalid/a.mp3"
    expected = (
        f"Download error, unable to download {url}. "
        "Please make sure the file exists and is accessible from the internet."
    )
    assert Unheard(expected) == await hear(url, {}, tmp_path, True)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/a", True),
        ("http://[::1]/a", True),
        ("http://localhost/a", True),
        ("http://localhost.evil.example/a", False),
        ("http://127.0.0.1.evil.example/a", False),
        ("http://user@10.0.0.1/a", False),
        ("ftp://127.0.0.1/a", False),
    ],
)
def test_is_loopback(url: str, expected: bool):
    assert expected == is_loopback(url)


async def test_loopback_urls_are_downloaded(tmp_path: Path):
    async with Emulator() as emulator:
        url = f"{emulator.urls.us}/_emulator/samples/briefing.mp3"
        assert sample_script("briefing") == await hear(url, {}, tmp_path, True)
        assert isinstance(await fetch(f"{emulator.urls.us}/_emulator/samples/none", tmp_path), Unheard)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "inode/x-empty (empty)"),
        (b"<!DOCTYPE html><p>no</p>", "text/html (HTML document)"),
        (b'{"a": 1}', "application/json (JSON data)"),
        (b"just words\n", "text/plain (ASCII text)"),
        (bytes(range(256)), "application/octet-stream (data)"),
    ],
)
async def test_no_audio(content: bytes, kind: str, tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(content)
    expected = f"File does not appear to contain audio. File type is {kind}."
    assert Unheard(expected) == await hear_file(recorded(path), True)


def test_file_types_of_audio():
    assert "audio/mpeg" == file_type(sample_path("interview").read_bytes()[:100])
    assert "audio/x-wav" == file_type(sample_path("hello").read_bytes()[:100])
    assert "audio/flac" == file_type(b"fLaC....")
    assert "video/mp4" == file_type(b"\0\0\0\x18ftypisom")


async def test_too_short(tmp_path: Path):
    assert Unheard("Audio duration is too short.") == await hear_file(tone(tmp_path / "a.wav", 159), True)


async def test_unknown_audio_needs_a_recogniser(tmp_path: Path):
    outcome = await hear_file(tone(tmp_path / "a.wav", 500), False)
    assert isinstance(outcome, Unheard)
    assert "does not know this recording" in outcome.text


async def test_audio_that_is_no_wav_is_a_clear_error(tmp_path: Path):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"ID3" + bytes(5000))
    outcome = await hear_file(recorded(path), True)
    assert isinstance(outcome, Unheard)
    assert "decodes WAV only" in outcome.text


@pytest.mark.skipif(find_spec("pocketsphinx") is None, reason="pocketsphinx is not installed")
async def test_unknown_audio_is_recognised_in_another_process(tmp_path: Path):
    """The stereo sample with one sample changed is unknown: both channels are listened to."""
    path = tmp_path / "unknown.wav"
    data = bytearray(sample_path("stereo").read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    outcome = await hear_file(recorded(path), True)
    assert isinstance(outcome, Heard)
    assert (2, sample_script("stereo").duration_ms) == (outcome.channels, outcome.duration_ms)
    assert {"1", "2"} == {word.channel for word in outcome.words}
    assert all(0 <= word.start < word.end <= outcome.duration_ms + 100 for word in outcome.words)
    assert all(0 <= word.confidence <= 1 for word in outcome.words)


@pytest.mark.skipif(find_spec("pocketsphinx") is None, reason="pocketsphinx is not installed")
def test_silence_has_no_words(tmp_path: Path):
    assert [] == recognise(tone(tmp_path / "a.wav", 800).path)

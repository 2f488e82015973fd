from __future__ import annotations

import wave
from pathlib import Path

from aai_gateway.emulator import sample_path
from aai_gateway.emulator.redacted_audio import silenced_mp3, write_silenced


def test_wav_spans_become_silence_and_the_rest_stays(tmp_path: Path):
    target = tmp_path / "out.wav"
    assert write_silenced(sample_path("hello"), target, [(1000, 2000)])
    with wave.open(str(sample_path("hello"))) as before, wave.open(str(target)) as after:
        assert before.getparams() == after.getparams()
        old, new = before.readframes(10**9), after.readframes(10**9)
    assert old[:32_000] == new[:32_000]
    assert bytes(32_000) == new[32_000:64_000]
    assert old[64_002:] == new[64_002:]


def test_mp3_frames_in_the_span_lose_their_side_information():
    data = sample_path("interview").read_bytes()
    silenced = silenced_mp3(data, [(0, 360)])
    changed = [index for index, (a, b) in enumerate(zip(data, silenced, strict=True)) if a != b]
    assert changed
    assert max(changed) < 24_000 // 8 * 396 // 1000  # ten or eleven frames of 36 ms at 24 kbit/s
    assert data == silenced_mp3(data, [])
    everything = silenced_mp3(data, [(0, 10**9)])
    assert everything == silenced_mp3(everything, [(0, 10**9)])


def test_other_files_have_no_copy(tmp_path: Path):
    source = tmp_path / "a.flac"
    source.write_bytes(b"fLaC" + bytes(100))
    assert not write_silenced(source, tmp_path / "b.flac", [(0, 10)])

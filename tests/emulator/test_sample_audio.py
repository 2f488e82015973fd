from __future__ import annotations

import hashlib
import wave

import pytest

from aai_gateway.emulator import sample_names, sample_path
from aai_gateway.emulator.sample_audio import sample_of_digest, sample_script
from aai_gateway.emulator.wording import sentences


@pytest.mark.parametrize("name", sample_names())
def test_script_belongs_to_its_audio(name: str):
    data = sample_path(name).read_bytes()
    assert name == sample_of_digest(hashlib.sha256(data).hexdigest())
    script = sample_script(name)
    text = sample_path(name).with_suffix(".txt").read_text("utf-8")
    assert [part for line in text.splitlines() for part in line[3:].split()] == [w.text for w in script.words]
    assert all(0.85 <= word.confidence <= 0.99 for word in script.words)
    ends = [0, *(word.end for word in script.words)]
    assert all(end <= word.start < word.end for end, word in zip(ends, script.words, strict=False))
    assert ends[-1] <= script.duration_ms


@pytest.mark.parametrize("name", ["hello", "stereo"])
def test_wav_headers_agree(name: str):
    script = sample_script(name)
    with wave.open(str(sample_path(name))) as opened:
        assert script.channels == opened.getnchannels()
        assert abs(script.duration_ms - opened.getnframes() * 1000 // opened.getframerate()) <= 1


def test_the_interview_is_long_enough_to_be_worth_quoting():
    script = sample_script("interview")
    assert 35 <= len(sentences(script.words))
    assert {"A", "B"} == {word.speaker for word in script.words}
    assert 120_000 <= script.duration_ms <= 180_000


def test_samples_are_small():
    assert 1_500_000 > sum(sample_path(name).stat().st_size for name in sample_names())


def test_unknown():
    with pytest.raises(KeyError):
        sample_path("none")
    assert sample_of_digest("0" * 64) is None

from __future__ import annotations

import json
import subprocess

import pytest
from system_packages import require

from aai_gateway.errors import ConfigurationError
from aai_gateway.quotes import clips
from aai_gateway.quotes.clips import MARGIN_MS, PADDING_MS, cut_clips, padded
from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.windows import Sentence, Word

WORDS = (
    Word("First.", 1000, 1500),
    Word("It", 1600, 1700),
    Word("burns.", 1800, 2300),
    Word("So", 5000, 5200),
)
SENTENCES = [
    Sentence(0, "First.", 1000, 1500, "A", WORDS[:1]),
    Sentence(1, "It burns.", 1600, 2300, "A", WORDS[1:3]),
    Sentence(2, "So", 5000, 5200, "B", WORDS[3:]),
]
QUOTE = Quote("t", "us", 1600, 2300, "It burns.", ("A",), 1.0, 1, 1)


def test_a_clip_takes_in_silence_but_no_other_word():
    assert (1500 + MARGIN_MS, 2300 + PADDING_MS) == padded(QUOTE, SENTENCES)


def test_a_clip_never_begins_before_the_recording_or_inside_the_quote():
    first = Quote("t", "us", 100, 900, "x", (), 1.0, 0, 0)
    touching = [Sentence(0, "x", 100, 900), Sentence(1, "y", 890, 2000)]
    assert (0, 900) == padded(first, touching)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    ffmpeg = require("ffmpeg")
    path = tmp_path_factory.mktemp("audio") / "-talk; touch x.wav"
    tone = "sine=frequency=300:duration=8"
    subprocess.run([ffmpeg, "-v", "error", "-f", "lavfi", "-i", tone, f"file:{path}"], check=True)
    return path


def test_clips_are_cut_to_the_padded_length(recording, tmp_path):
    [made] = cut_clips(str(recording), [QUOTE], SENTENCES, tmp_path / "new" / "clips")
    assert "01-0m01s.m4a" == made.name
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_format", "-of", "json", made], capture_output=True, check=True
    )
    told = json.loads(shown.stdout)["format"]
    assert (2300 + PADDING_MS - 1500 - MARGIN_MS) / 1000 == pytest.approx(float(told["duration"]), abs=0.06)
    assert "It burns." == told["tags"]["title"]
    assert [made] == list(made.parent.iterdir())


def test_audio_that_is_none_is_told_and_leaves_nothing(recording, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"not audio")
    folder = tmp_path / "clips"
    with pytest.raises(ConfigurationError, match=r"cannot cut a clip from .*broken\.wav"):
        cut_clips(str(broken), [QUOTE], SENTENCES, folder)
    assert [] == list(folder.iterdir())


def test_a_clip_that_cannot_take_its_name_is_told_and_leaves_nothing(recording, tmp_path):
    in_the_way = tmp_path / "01-0m01s.m4a"
    in_the_way.mkdir()
    with pytest.raises(ConfigurationError, match=r"ffmpeg cannot make .*01-0m01s\.m4a: Is a directory"):
        cut_clips(str(recording), [QUOTE], SENTENCES, tmp_path)
    assert [in_the_way] == list(tmp_path.iterdir())


def test_without_ffmpeg_one_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(clips.shutil, "which", lambda program: None)
    with pytest.raises(ConfigurationError, match="apt-get install ffmpeg"):
        cut_clips("talk.wav", [QUOTE], SENTENCES, tmp_path)

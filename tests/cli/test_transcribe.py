from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from aai_gateway.cli.main import app
from aai_gateway.cli.transcribe import output_files
from aai_gateway.cli.transcript_formats import Format
from aai_gateway.errors import ConfigurationError


def run(*arguments: str):
    return CliRunner().invoke(app, ["transcribe", *arguments])


def test_help_has_an_example():
    result = run("--help")
    assert 0 == result.exit_code
    assert "Example: aai-gateway transcribe" in result.stdout


def test_captions_are_not_json():
    result = run("a.mp3", "--format", "srt", "--json", "--key", "sk-1")
    assert 2 == result.exit_code
    assert "leave out --json" in result.stderr


def test_a_missing_key_is_one_sentence_and_exit_1(monkeypatch):
    monkeypatch.delenv("AAI_GATEWAY_KEY", raising=False)
    result = run("a.mp3")
    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("aai-gateway: There is no virtual key: set AAI_GATEWAY_KEY")


def test_a_missing_file_is_one_sentence_and_exit_1():
    result = run("no-such-file.wav", "--key", "sk-1", "--url", "http://127.0.0.1:9")
    assert (1, "aai-gateway: There is no file no-such-file.wav.\n") == (result.exit_code, result.stderr)


def test_of_several_each_failure_is_named():
    result = run("a.wav", "b.wav", "--key", "sk-1", "--url", "http://127.0.0.1:9")
    assert 1 == result.exit_code
    assert "a.wav: There is no file a.wav." in result.stderr
    assert "aai-gateway: 2 of 2 were not transcribed." in result.stderr


def test_without_an_output_everything_goes_to_stdout():
    assert [None, None] == output_files(["a.mp3", "b.mp3"], Format.SRT, None)


def test_files_are_named_after_the_audio(tmp_path):
    audio = ["/x/a.mp3", "https://example.com/b.mp4?token=1", "https://example.com/"]
    expected = [tmp_path / "a.srt", tmp_path / "b.srt", tmp_path / "transcript.srt"]
    assert expected == output_files(audio, Format.SRT, tmp_path)
    assert [tmp_path / "a.txt"] == output_files(audio[:1], Format.SENTENCES, tmp_path)
    assert [tmp_path / "out.txt"] == output_files(audio[:1], Format.TEXT, tmp_path / "out.txt")


@pytest.mark.parametrize(
    ("audio", "output", "reason"),
    [
        (["a.mp3", "b.mp3"], "new.txt", "no folder"),
        (["a.mp3"], "missing/new.txt", "no folder"),
        (["x/a.mp3", "y/a.wav"], ".", "same file"),
    ],
)
def test_output_that_cannot_be_is_refused_before_anything_is_spent(tmp_path, audio, output, reason):
    with pytest.raises(ConfigurationError, match=reason):
        output_files(audio, Format.TEXT, tmp_path / Path(output))

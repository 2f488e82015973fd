from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aai_gateway.cli.main import app
from aai_gateway.cli.quote_formats import name_of, print_quotes
from aai_gateway.quotes import Quote, Sentence, load_embedder, open_index
from aai_gateway.settings import Settings, get_settings


def run(*arguments: str):
    return CliRunner().invoke(app, ["quotes", *arguments])


@pytest.mark.parametrize("command", ["best", "report", "search", "index", "sync"])
def test_help_has_an_example(command):
    result = run(command, "--help")
    assert 0 == result.exit_code
    assert f"Example: aai-gateway quotes {command}" in result.stdout


def test_quotes_are_printed_for_people_without_being_cut(capsys):
    words = "A sentence that is long enough to need more than one line of a terminal. " * 3
    print_quotes(
        [
            Quote("t-1", "eu", 1500, 62_001, words.strip(), ("A", "B"), 0.876, 3, 4),
            Quote("t-2", "us", 0, 900, "Yes [sic].", (), 1.0, 0, 0),
        ],
        with_transcript=True,
    )
    expected = [
        "1. 0:00:01.500 - 0:01:02.001  Speakers A, B  0.88  t-1 (eu)",
        f"   “{words.strip()}”",
        "2. 0:00:00.000 - 0:00:00.900  1.00  t-2 (us)",
        "   “Yes [sic].”",
    ]
    assert expected == capsys.readouterr().out.splitlines()


def test_what_was_said_does_not_command_the_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    print_quotes([Quote("t-1", "eu", 0, 900, "Red \x1b[31m and \x9b2J", ("A\x07\r",), 1.0, 0, 0)])
    assert "   “Red [31m and 2J”" in capsys.readouterr().out.splitlines()


def test_search_reads_the_namespace_of_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(tmp_path))
    with open_index("ours", Settings()) as index:
        index.add("t-1", [Sentence(0, "The wind turns on Friday.", 100, 2100, "B")])
    result = run("search", "when does the weather change", "--namespace", "ours", "--json", "--offline")
    (found,) = json.loads(result.stdout)
    assert ("t-1", 100, 2100, ["B"]) == (
        found["transcript_id"],
        found["start"],
        found["end"],
        found["speakers"],
    )
    result = run("search", "weather", "--key", "sk-another", "--offline")
    assert (0, "") == (result.exit_code, result.stdout)
    assert "Nothing is indexed with this key yet" in result.stderr


def test_a_search_loads_nothing_that_takes_longer_than_it(tmp_path, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(tmp_path))
    with open_index("ours", Settings()) as index:
        index.add("t-1", [Sentence(0, "The wind turns on Friday.", 100, 2100, "B")])
    code = """
import sys
from aai_gateway.cli.main import main
try:
    main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
    search = ["quotes", "search", "when does the weather change", "--namespace", "ours", "--offline"]
    done = subprocess.run([sys.executable, "-c", code, *search], capture_output=True, text=True, check=True)
    assert "The wind turns on Friday." in done.stdout
    loaded = set(done.stderr.split())
    assert {"onnxruntime", "tokenizers", "sqlite3"} <= loaded
    slow = {"torch", "transformers", "sentence_transformers", "chromadb", "huggingface_hub", "onnx"}
    assert set() == loaded & (slow | {"assemblyai", "httpx", "rapidfuzz", "rich", "sqlalchemy"})


def test_that_the_model_is_converted_is_said_once_and_not_on_stdout(tmp_path, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(tmp_path / "data"))
    with open_index("ours", Settings()) as index:
        index.add("t-1", [Sentence(0, "The wind turns on Friday.", 100, 2100, "B")])
    monkeypatch.setenv("AAI_GATEWAY_CACHE_DIR", str(tmp_path / "cache"))
    get_settings.cache_clear()
    search = ("search", "weather", "--namespace", "ours", "--json", "--offline")
    first = run(*search)
    assert "Converting the embedding model for its first use here: some ten seconds.\n" == first.stderr
    assert "t-1" == json.loads(first.stdout)[0]["transcript_id"]
    load_embedder.cache_clear()
    again = run(*search)
    assert ("", first.stdout) == (again.stderr, again.stdout)


def test_on_a_terminal_quotes_are_broken_into_lines_that_are_set_in(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    quotes = [Quote("t-1", "eu", 0, 900, "Every word of it is to be seen.", ("A",), 1.0, 0, 0)]
    print_quotes(quotes)
    assert [
        "1. \x1b[1m0:00:00.000 - 0:00:00.900\x1b[0m  \x1b[36mSpeaker A\x1b[0m  \x1b[2m1.00\x1b[0m",
        "   “Every word of it is to be",
        "   seen.”",
    ] == capsys.readouterr().out.splitlines()
    monkeypatch.setenv("NO_COLOR", "1")
    print_quotes(quotes)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("count", ["0", "51"])
def test_a_number_of_quotes_that_makes_no_sense_is_refused(count):
    assert 2 == run("best", "t-1", "-n", count).exit_code


def test_what_is_neither_audio_nor_an_id_is_refused():
    result = run("best", "missing/interview.mp3", "--key", "sk-1", "--url", "http://127.0.0.1:9")
    assert 1 == result.exit_code
    assert "'missing/interview.mp3' is neither a file, an http(s) URL nor a transcript id." in result.stderr


def test_the_help_says_what_stands_in_for_an_option():
    assert "$AAI_GATEWAY_KEY" in run("search", "--help").stdout


@pytest.mark.parametrize("url", ["http://[", "nonsense", "file:///etc"])
def test_a_chroma_server_without_an_address_is_refused(url):
    result = run("search", "weather", "--namespace", "ours", "--chroma-url", url)
    assert 1 == result.exit_code
    assert f"{url} is not an http or https address." in result.stderr


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
def test_a_moment_that_cannot_be_is_refused(moment):
    result = run("search", "weather", "--since", moment)
    assert 2 == result.exit_code
    assert "is no date like" in result.stderr


def test_a_search_needs_no_stdout_and_no_terminal_that_has_its_marks(tmp_path, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(tmp_path))
    with open_index("ours", Settings()) as index:
        index.add("t-1", [Sentence(0, "The wind turns on Friday.", 100, 2100, "B")])
    aai_gateway = Path(sys.executable).with_name("aai-gateway")
    command = f"{aai_gateway} quotes search weather --namespace ours --offline"
    closed = subprocess.run(["bash", "-c", f"{command} >&-"], stderr=subprocess.PIPE, text=True)
    assert (0, "") == (closed.returncode, closed.stderr)
    silent = subprocess.run(["bash", "-c", f"{command} 2>&-"], stdout=subprocess.PIPE, text=True)
    assert "The wind turns on Friday." in silent.stdout
    plain = subprocess.run(["bash", "-c", f"PYTHONIOENCODING=ascii {command}"], capture_output=True)
    assert "“The wind turns on Friday.”" in plain.stdout.decode()


def test_a_backend_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(tmp_path))
    with open_index("ours", Settings()) as index:
        index.add("t-1", [Sentence(0, "The wind turns on Friday.", 100, 2100, "B")])
    search = ("search", "weather", "--namespace", "ours", "--offline", "--backend")
    assert "The wind turns" in run(*search, "torch").stdout
    assert 2 == run(*search, "fast").exit_code


def test_what_could_not_be_written_in_the_end_is_refused_before_anything_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda program: program)
    (tmp_path / "file").touch()
    audio, missing, taken = tmp_path / "file", tmp_path / "no" / "such.html", tmp_path / "file"
    for arguments, why in [
        (("best", audio, "-o", missing), "such.html cannot be written: there is no folder"),
        (("best", audio, "-o", tmp_path), "is a folder; name a file in it"),
        (("best", audio, "--clips", taken), "cannot be made: File exists"),
        (("best", audio, "--clips", taken / "clips"), "cannot be made: Not a directory"),
        (("report", audio, "-o", missing), "such.html cannot be written: there is no folder"),
        (("report", "a" * 250), "cannot be written: File name too long"),
    ]:
        result = run(*map(str, arguments), "--key", "sk-1", "--url", "http://127.0.0.1:9")
        assert (1, "") == (result.exit_code, result.stdout)
        assert why in result.stderr


@pytest.mark.parametrize("source", ["a" * 300, "~nobody-of-this-name/x.mp3"])
def test_what_cannot_be_a_file_is_refused_like_any_other(source):
    result = run("best", source, "--key", "sk-1", "--url", "http://127.0.0.1:9")
    assert 1 == result.exit_code
    assert "is neither a file, an http(s) URL nor a transcript id." in result.stderr


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("talks/panel.mp3", "panel.mp3"),
        ("https://host/talks/a%20panel.mp3?signature=s3cret/x.y", "a panel.mp3"),
        ("https://user:s3cret@host/?signature=s3cret", "recording"),
        ("http://[1/panel.mp3", "panel.mp3"),
        ("caf\udce9.mp3", "caf\ufffd.mp3"),
    ],
)
def test_a_title_has_no_signature_and_can_be_written(source, expected):
    assert expected == name_of(source)

"""The client commands as a user runs them: processes, a virtual key, the real gateway, the emulator."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from client_commands import commands

from aai_gateway.emulator import sample_path

INTERVIEW = str(sample_path("interview"))
HELLO = str(sample_path("hello"))


@pytest.fixture(scope="module")
def cli(gateway, tmp_path_factory):
    return commands(gateway, tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def transcript(cli):
    """The interview, heard with speakers."""
    return json.loads(cli("transcribe", INTERVIEW, "--speakers", "--json").stdout)


def test_transcribe_prints_json_and_says_the_id_on_stderr(cli, transcript):
    assert "completed" == transcript["status"]
    assert {"A", "B"} == {turn["speaker"] for turn in transcript["utterances"]}
    done = cli("transcribe", HELLO)
    assert "Hello from the emulator." in done.stdout
    # As what depends on when the first look came.
    assert re.search(r" as [0-9a-f]{8}-[0-9a-f-]{27}\n", done.stderr)
    assert "heard by" in done.stderr


def test_transcribe_several_in_the_eu_as_captions_in_a_folder(cli, tmp_path):
    cli("transcribe", HELLO, INTERVIEW, "--region", "eu", "--format", "vtt", "-o", str(tmp_path))
    assert {"hello.vtt", "interview.vtt"} == {file.name for file in tmp_path.iterdir()}
    assert (tmp_path / "hello.vtt").read_text().startswith("WEBVTT")


def test_sentences_have_times_for_people_and_milliseconds_in_json(cli):
    assert cli("transcribe", HELLO, "--format", "sentences").stdout.startswith("0:00:00.240\t0:00:0")
    first, *_ = json.loads(cli("transcribe", HELLO, "--format", "sentences", "--json").stdout)
    assert 240 == first["start"]


def test_topics_and_ask(cli, transcript):
    assert cli("topics", transcript["id"]).stdout.strip() in {"Environment", "Health"}
    again = cli("topics", transcript["id"])
    assert "labelled before, at no cost now" in again.stderr
    assert re.search(r"\$0\.\d{6}", cli("topics", transcript["id"], "--again").stderr)
    summary = cli("ask", transcript["id"], "--preset", "summary")
    assert summary.stdout.strip()
    assert re.search(r"tokens in, \d+ out, about \$0\.\d{6}", summary.stderr)
    answer = json.loads(cli("ask", transcript["id"], "What about masks?", "--no-speakers", "--json").stdout)
    assert answer["text"].strip()
    assert answer["answer"]["prompt_tokens"] > 500


def test_topics_of_many_cost_what_was_said_and_are_not_asked_for_twice(cli, transcript, tmp_path):
    greeting = json.loads(cli("transcribe", HELLO, "--json").stdout)
    (tmp_path / "ids.txt").write_text(f"{greeting['id']}\n\n{transcript['id']}\n")
    many = ("topics", "--batch", str(tmp_path / "ids.txt"), "--max-tags", "3")
    estimate = json.loads(cli(*many, "--dry-run", "--json").stdout)
    assert 2 == estimate["requests"]

    labelled = json.loads(cli(*many, "--json").stdout)
    assert [greeting["id"], transcript["id"]] == [one["transcript_id"] for one in labelled]
    assert 1 <= len(labelled[1]["labelled"][0]["topics"]) <= 3
    cost = sum(float(answer["cost_usd"]) for one in labelled for answer in one["answers"])
    assert cost / 2 < float(estimate["cost_usd"]) < cost * 2

    again = cli(*many)
    assert "2 of 2 were labelled before, at no cost now" in again.stderr
    assert f"{transcript['id']}: {', '.join(labelled[1]['labelled'][0]['topics'])}" in again.stdout
    assert 0 == json.loads(cli(*many, "--dry-run", "--json").stdout)["requests"]

    told = cli(*many, "no-such-transcript", "--dry-run", "--again", status=1)
    assert told.stdout.startswith("2 requests to ")
    assert "no-such-transcript: Transcript lookup error, transcript id not found in the US\n" in told.stderr
    missing = cli(*many, "no-such-transcript", status=1)
    assert "no-such-transcript: transcript not found\n" in missing.stderr
    assert transcript["id"] in missing.stdout


def test_a_batch_that_is_broken_off_names_each_transcript(cli, gateway, tmp_path):
    own = {"AAI_GATEWAY_KEY": gateway.team().key, "AAI_GATEWAY_DATA_DIR": str(tmp_path)}
    ids = [json.loads(cli("transcribe", HELLO, "--json", **own).stdout)["id"] for _ in range(2)]
    cli("topics", *ids, **own)
    away = cli("topics", *ids, "--again", status=1, **own, AAI_GATEWAY_URL="http://127.0.0.1:9")
    assert "1 were not asked about." in away.stderr
    assert re.search(rf"^({'|'.join(ids)}): Nothing answers", away.stderr, re.M)
    assert re.search(rf"^({'|'.join(ids)}): \w+", away.stdout)


def test_topics_of_each_speaker(cli, transcript):
    lines = cli("topics", transcript["id"], "--by", "speaker").stdout.splitlines()
    assert [" A: ", " B: "] == [re.search(r" [A-Z]: ", line)[0] for line in lines]
    refused = cli("topics", transcript["id"], "--by", "chapter", status=1)
    assert "has no chapters" in refused.stderr


def test_an_eu_team_is_refused_in_the_us_in_one_sentence(cli, gateway):
    key = gateway.team(regions=["eu"]).key
    refused = cli("transcribe", HELLO, status=1, AAI_GATEWAY_KEY=key)
    assert "aai-gateway: This key may not use the US region" in refused.stderr
    assert "Hello" in cli("transcribe", HELLO, "--region", "eu", AAI_GATEWAY_KEY=key).stdout


def test_help_loads_nothing_heavy(cli):
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from aai_gateway.cli.main import app\n"
        "for name in ('transcribe', 'quotes', 'topics', 'ask'):\n"
        "    assert CliRunner().invoke(app, [name, '--help']).exit_code == 0\n"
        "heavy = {'torch', 'chromadb', 'litellm', 'assemblyai', 'httpx', 'numpy', 'sentence_transformers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()

"""`aai-gateway quotes` as a user runs it: processes, a virtual key, the real gateway, the emulator."""

from __future__ import annotations

import json
import re
import subprocess

import assemblyai as aai
import httpx
import pytest
from client_commands import commands
from system_packages import require

from aai_gateway import speech
from aai_gateway.emulator import sample_path

INTERVIEW = str(sample_path("interview"))
HELLO = str(sample_path("hello"))


@pytest.fixture(scope="module")
def cli(gateway, tmp_path_factory):
    return commands(gateway, tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def transcript(cli):
    """The interview, heard with speakers, in the index."""
    heard = json.loads(cli("transcribe", INTERVIEW, "--speakers", "--json").stdout)
    (indexed,) = json.loads(cli("quotes", "index", heard["id"], "--json").stdout)
    assert 15 == indexed["windows"]
    return heard


def found(cli, *arguments, **environment):
    return json.loads(cli("quotes", "search", *arguments, "--json", **environment).stdout)


def test_search_finds_what_was_indexed_for_its_team_alone(cli, gateway, transcript):
    (passage,) = found(cli, "the town library as a refuge", "-n", "1")
    assert transcript["id"] == passage["transcript_id"]
    assert "Ashford" in passage["text"]
    assert found(cli, "smoke", AAI_GATEWAY_KEY=gateway.team().key) == []


def test_search_by_transcript_speaker_time_and_topic(cli, transcript):
    about = ("smoke", "-n", "3")
    assert 3 == len(found(cli, *about, "--transcript", transcript["id"], "--since", "1h", "--speaker", "B"))
    assert found(cli, *about, "--transcript", "another") == []
    assert found(cli, *about, "--until", "1h") == []
    assert found(cli, *about, "--speaker", "Z") == []
    untagged = cli("quotes", "search", *about, "--tag", "Sport")
    assert "" == untagged.stdout
    assert "No transcript has the topic Sport yet" in untagged.stderr
    topic = cli("topics", transcript["id"]).stdout.strip()
    assert 3 == len(found(cli, *about, "--tag", topic.lower()))


def test_what_is_deleted_at_the_gateway_is_found_no_more(cli, gateway):
    mine = gateway.team()
    own = {"AAI_GATEWAY_KEY": mine.key}
    (kept, gone) = json.loads(cli("quotes", "index", HELLO, HELLO, "--json", **own).stdout)
    both = {one["transcript_id"] for one in found(cli, "hello", **own)}
    assert {kept["transcript_id"], gone["transcript_id"]} == both
    url = f"{gateway.url}/assemblyai/v2/transcript/{gone['transcript_id']}"
    assert 200 == httpx.delete(url, headers=mine.bearer).status_code
    told = cli("quotes", "search", "hello", "--json", **own)
    assert f"{gone['transcript_id']} can no longer be read, and is removed from the index." in told.stderr
    assert [kept["transcript_id"]] == [one["transcript_id"] for one in json.loads(told.stdout)]
    assert "" == cli("quotes", "search", "hello", **own).stderr


def test_a_gateway_that_is_away_is_said_and_can_be_done_without(cli, transcript):
    away = {"AAI_GATEWAY_URL": "http://127.0.0.1:9"}
    refused = cli("quotes", "search", "smoke", status=1, **away)
    assert "Nothing answers at http://127.0.0.1:9" in refused.stderr
    assert transcript["id"] in cli("quotes", "search", "smoke", "--offline", **away).stdout


def test_sync_adds_what_is_missing_and_removes_what_is_gone(cli, gateway):
    mine = gateway.team()
    own = {"AAI_GATEWAY_KEY": mine.key}
    ids = [json.loads(cli("transcribe", HELLO, "--json", **own).stdout)["id"] for _ in range(2)]
    assert (
        "us: 2 to be added, 0 to be removed, 0 unchanged\n"
        == cli("quotes", "sync", "--dry-run", **own).stdout
    )
    assert "us: 2 added, 0 removed, 0 unchanged\n" == cli("quotes", "sync", **own).stdout
    url = f"{gateway.url}/assemblyai/v2/transcript/{ids[0]}"
    assert 200 == httpx.delete(url, headers=mine.bearer).status_code
    done = json.loads(cli("quotes", "sync", "--json", **own).stdout)
    assert {"added": [], "removed": [ids[0]], "unchanged": 1, "dry_run": False} == done
    assert "eu: 0 added, 0 removed, 0 unchanged\n" == cli("quotes", "sync", "--region", "eu", **own).stdout


def test_best_quotes_are_printed_with_their_cost(cli, gateway, transcript):
    printed = cli("quotes", "best", transcript["id"], "-n", "3")
    quotes = re.findall("“(.*)”", printed.stdout)
    assert 3 == len(quotes)
    assert all(quote in transcript["text"] for quote in quotes)
    assert re.match(r"1\. 0:0\S+ - 0:0\S+  Speaker [AB]  1\.00  verbatim\n", printed.stdout)
    assert "$0.0" in printed.stderr
    refused = cli("quotes", "best", transcript["id"], status=1, AAI_GATEWAY_KEY=gateway.team().key)
    assert "aai-gateway: Transcript lookup error, transcript id not found in the US\n" == refused.stderr


@pytest.mark.parametrize(
    ("form", "begins"), [("json", "{"), ("markdown", "# Quotes from "), ("srt", "1\n0"), ("vtt", "WEBVTT\n")]
)
def test_best_quotes_in_the_forms_in_which_they_are_passed_on(cli, transcript, tmp_path, form, begins):
    page = tmp_path / "quotes"
    best = ("quotes", "best", transcript["id"], "-n", "2", "--format", form)
    assert "" == cli(*best, "-o", str(page)).stdout
    assert page.read_text().startswith(begins)
    assert f"{page} exists already" in cli(*best, "-o", str(page), status=1).stderr
    assert page.read_text() == cli(*best).stdout


def test_clips_are_cut_from_the_audio_that_is_given(cli, transcript, tmp_path):
    require("ffmpeg")
    best = ("quotes", "best", transcript["id"], "-n", "2", "--clips", str(tmp_path / "clips"))
    refused = cli(*best, status=1)
    assert "aai-gateway: Clips are cut from the audio" in refused.stderr
    told = cli(*best, "--audio", INTERVIEW)
    made = sorted((tmp_path / "clips").iterdir())
    assert ["01-", "02-"] == [path.name[:3] for path in made]
    assert all(f"cut {path}" in told.stderr for path in made)
    for path in made:
        subprocess.run(["ffprobe", "-v", "error", str(path)], check=True)


def test_the_report_is_a_page_with_quotes_speakers_and_topics(cli, gateway, tmp_path):
    mine = gateway.team()
    config = aai.TranscriptionConfig(
        speech_models=["universal-2"], speaker_labels=True, auto_chapters=True, punctuate=True
    )
    heard = speech.transcribe(speech.connect(gateway.url, mine.key), INTERVIEW, config)
    own = {"AAI_GATEWAY_KEY": mine.key}
    page = tmp_path / "page.html"
    report = ("quotes", "report", str(heard.id), "-n", "4", "-o", str(page))
    written = cli(*report, "--audio", INTERVIEW, **own)
    assert f"{page}\n" == written.stdout
    assert "$0.0" in written.stderr
    html = page.read_text()
    assert 4 == html.count("<blockquote ")
    assert "2 speakers · 4 quotes" in html
    assert 'src="file:///' in html
    assert heard.chapters[0].gist in html
    assert f"{page} exists already" in cli(*report, status=1, **own).stderr
    topic = cli("topics", str(heard.id), "--by", "chapter", **own).stdout.splitlines()[0].rpartition(": ")[2]
    cli(*report, "--force", "--title", "Smoke", **own)
    again = page.read_text()
    assert ">Smoke</h1>" in again
    assert f"<span>{topic}</span></div></foreignObject>" in again
    assert "<audio" not in again


def test_quotes_without_a_chat_model_cost_nothing(cli, transcript):
    printed = cli("quotes", "best", transcript["id"], "-n", "3", "--extractive", "--about", "smoke")
    quotes = re.findall("“(.*)”", printed.stdout)
    assert 3 == len(quotes)
    assert all(quote in transcript["text"] for quote in quotes)
    assert "" == printed.stderr


def test_a_question_about_many_is_answered_with_what_was_said(cli, gateway, transcript):
    mine = gateway.team()
    own = {"AAI_GATEWAY_KEY": mine.key}
    empty = cli("ask", "What about masks?", **own)
    assert "" == empty.stdout
    assert "No transcript of us is indexed with this key: aai-gateway quotes sync" in empty.stderr
    asked = ("ask", "What about smoke and children?")
    answer = json.loads(cli(*asked, "--json").stdout)
    assert answer["answered"]
    assert answer["statements"]
    for statement in answer["statements"]:
        assert statement["supported"] is bool(statement["citations"])
        assert all(quote["text"] in transcript["text"] for quote in statement["citations"])
    printed = cli(*asked)
    assert answer["statements"][0]["text"] in printed.stdout
    assert "tokens in" in printed.stderr
    ids = [json.loads(cli("transcribe", HELLO, "--json", **own).stdout)["id"] for _ in range(2)]
    both = json.loads(cli("ask", *ids, "Who is greeted?", "--json", **own).stdout)
    assert 2 == both["passages"]

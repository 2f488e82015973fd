"""`aai-gateway ask` as a user runs it: processes, a virtual key, the real gateway, the emulator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from client_commands import commands, commands_in, environment_for, started
from gateway_process import running_gateway

from aai_gateway.emulator import sample_path

INTERVIEW = str(sample_path("interview"))
HELLO = str(sample_path("hello"))
CITED = re.compile(r"   “(?P<words>.+)” (?:[0-9a-f-]{36}, )?\d:\d\d:\d\d\.\d{3}(?:, Speaker [AB])+")
SECONDS = 0.005
"""From one chunk of the emulator's to the next, unless it is told otherwise."""


@pytest.fixture(scope="module")
def cli(gateway, tmp_path_factory):
    return commands(gateway, tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def transcript(cli):
    """The interview, heard with speakers, in the index."""
    heard = json.loads(cli("transcribe", INTERVIEW, "--speakers", "--json").stdout)
    cli("quotes", "index", heard["id"])
    return heard


@contextmanager
def slow_answers(emulator, seconds: float) -> Iterator[None]:
    """Let streams of the US take so long for each of their chunks."""
    url = f"{emulator.urls.llm_us}/_emulator/chunk-seconds"
    httpx.post(url, json={"seconds": seconds}).raise_for_status()
    try:
        yield
    finally:
        httpx.post(url, json={"seconds": SECONDS}).raise_for_status()


def statements_in(printed):
    """(text, words cited) of each statement that was printed."""
    found = []
    for line in printed.splitlines():
        cited = CITED.fullmatch(line)
        if cited:
            found[-1][1].append(cited["words"])
        else:
            assert not line.startswith("   "), line
            found.append((line, []))
    return found


def test_an_answer_from_many_is_the_same_streamed_whole_and_as_json(cli, transcript):
    asked = ("ask", "What about smoke and children?")
    answer = json.loads(cli(*asked, "--json").stdout)
    expected = [(one["text"], [quote["text"] for quote in one["citations"]]) for one in answer["statements"]]
    assert len(expected) > 1
    assert all(words for _, words in expected)
    streamed, whole = cli(*asked), cli(*asked, "--no-stream")
    assert expected == statements_in(streamed.stdout) == statements_in(whole.stdout)
    assert re.search(r"tokens in, [\d,]+ out, about \$0\.0\d+\n", streamed.stderr)
    assert re.search(r"tokens in, [\d,]+ out, \$0\.0\d+\n", whole.stderr)


def test_the_first_statement_is_read_before_the_last_is_written_and_stays_when_the_gateway_dies(
    emulator, tmp_path
):
    with running_gateway(emulator, tmp_path / "gateway") as mine:
        environment = environment_for(mine, tmp_path / "client")
        cli = commands_in(environment)
        heard = json.loads(cli("transcribe", INTERVIEW, "--speakers", "--json").stdout)
        cli("quotes", "index", heard["id"])
        with (
            slow_answers(emulator, 0.5),
            started(environment, "ask", "What about smoke and children?") as asking,
        ):
            first = asking.stdout.readline()
            mine.kill()
            # Not communicate(): what readline() has read beyond its line would be lost.
            rest, error, status = asking.stdout.read(), asking.stderr.read(), asking.wait(timeout=120)
        ((text, words),) = statements_in(first + rest)
        assert f"{text}\n" == first
        assert words[0] in heard["text"]
        assert 1 == status
        assert re.fullmatch(rf"aai-gateway: {mine.url}\S* broke off the answer.*\.\n", error)


@pytest.mark.parametrize("region", ["us", "eu"])
def test_an_answer_from_all_of_one_transcript_is_cited(cli, region):
    heard = json.loads(cli("transcribe", INTERVIEW, "--speakers", "--json", "--region", region).stdout)
    asked = ("ask", heard["id"], "Who opened the shelters?", "--cite", "--region", region)
    printed = cli(*asked)
    found = statements_in(printed.stdout)
    assert found
    assert all(words in heard["text"] for _, cited in found for words in cited)
    assert all(cited for _, cited in found)
    assert re.search(r", about \$0\.0\d+\n", printed.stderr)
    answer = json.loads(cli(*asked, "--json").stdout)
    assert (heard["id"], True) == (answer["transcript_id"], answer["answered"])
    assert {region} == {quote["region"] for one in answer["statements"] for quote in one["citations"]}
    assert answer["answers"][0]["cost_usd"].startswith("0.0")
    other = {"us": "eu", "eu": "us"}[region]
    assert cli(*asked[:-1], other, status=1).stderr.startswith("aai-gateway: Transcript lookup error")


def test_what_was_printed_of_an_answer_that_was_cut_off_is_said_not_to_count(cli, transcript):
    cut = cli("ask", "What about smoke and children?", "--max-tokens", "150", status=1)
    first, withdrawn, again = re.split(r"(\(.*\)\n)", cut.stdout)
    assert withdrawn.startswith("(The statement above does not count: ")
    assert 1 == len(statements_in(first))
    assert first == again
    assert "was asked twice for a cited answer" in cut.stderr
    assert "(it was cut off at 150 tokens)" in cut.stderr


def test_a_model_that_is_not_streamed_answers_all_the_same(cli, transcript):
    printed = cli("ask", transcript["id"], "What about smoke?", "--cite", "--model", "gpt-oss-120b")
    assert statements_in(printed.stdout)
    assert re.search(r"out, \$0\.0\d+\n", printed.stderr)


def test_a_preset_can_be_cited_and_another_teams_transcript_is_not_there(cli, gateway, transcript):
    summary = ("ask", transcript["id"], "--preset", "summary", "--cite")
    assert statements_in(cli(*summary, "--no-speakers").stdout)
    refused = cli(*summary, status=1, AAI_GATEWAY_KEY=gateway.team().key)
    assert ("", "aai-gateway: Transcript lookup error, transcript id not found in the US\n") == (
        refused.stdout,
        refused.stderr,
    )


def test_an_answer_in_the_models_own_words_streamed_and_whole(cli, transcript):
    asked = ("ask", transcript["id"], "Who opened the shelters?")
    streamed, whole = cli(*asked), cli(*asked, "--no-stream")
    assert streamed.stdout == whole.stdout
    assert "about $0.0" in streamed.stderr
    assert re.search(r"out, \$0\.0\d+\n", whole.stderr)

from __future__ import annotations

import httpx
import pytest

from aai_gateway import speech
from aai_gateway.chat_client import ChatClient
from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.errors import ConfigurationError, ModelAnswerError
from aai_gateway.tasks.topics import load_topics, match_topic, tag_topic

TOPICS = {"World News": "International news.", "Billing & Payments": "", "C++": "A language."}


def test_the_two_lists_of_the_guide_are_there():
    assert (15, 5) == (len(load_topics("news")), len(load_topics("support")))
    assert (
        "Articles focusing on medical news, wellness, and health-related topics."
        == load_topics("news")["Health"]
    )


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "gpt-oss-20b"])
def test_a_recording_gets_a_topic_of_the_list(emulator: Emulator, model):
    client = speech.client_at(emulator.urls.us, emulator.config.account_key, polling_interval=0.05)
    transcript = speech.transcribe(client, sample_path("interview"))
    with ChatClient(f"{emulator.urls.llm_us}/v1", emulator.config.account_key, model) as chat:
        tag = tag_topic(transcript.id, load_topics("news"), chat=chat)
    assert tag.topic in {"Environment", "Health"}
    assert tag.answer.prompt_tokens > 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("World News", "World News"),
        ("  world news.\n", "World News"),
        ('**"World_News"**', "World News"),
        ("World News: International news.", "World News"),
        ("billing & payments", "Billing & Payments"),
        ("News", None),
        ("World News and Billing & Payments", None),
        ("World News, because it speaks of war.", None),
        ("", None),
    ],
)
def test_an_answer_is_matched_whatever_its_case_and_punctuation(text, expected):
    assert expected == match_topic(text, TOPICS)


def test_a_topic_outside_the_list_is_an_error():
    chat = ChatClient("http://gateway/v1", "sk-1", "m")
    body = {"choices": [{"message": {"content": "Gardening"}}]}
    chat._http = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, json=body)))
    with pytest.raises(ModelAnswerError, match="'Gardening', which is no topic of the list"):
        tag_topic("t", TOPICS, chat=chat)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Sun: Light and heat.\nRain:\n", {"Sun": "Light and heat.", "Rain": ""}),
        ("- Sun\n- Rain\n", {"Sun": "", "Rain": ""}),
    ],
)
def test_an_own_list_comes_from_yaml(tmp_path, content, expected):
    (tmp_path / "mine.yaml").write_text(content)
    assert expected == load_topics(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "must be a mapping"),
        ("Sun", "must be a mapping"),
        ("[]", "must be a mapping"),
        ("a: [b", "cannot be read"),
        ("\x00", "cannot be read"),
        ("- No\n- Maybe\n", "False .*put it in quotes"),
        ("Sun: 3\n", "put it in quotes"),
        ("'!!': x\n", "put it in quotes"),
        ("- Sun\n- sun!\n", "'Sun' twice"),
        ("- Sun\n- Sun\n", "'Sun' twice"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(tmp_path, content, reason):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(ConfigurationError, match=reason):
        load_topics(str(tmp_path / "mine.yaml"))


def test_a_list_that_is_not_there_says_what_there_is(tmp_path):
    with pytest.raises(ConfigurationError, match="news, support or a YAML file"):
        load_topics("sports")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_topics(str(tmp_path))

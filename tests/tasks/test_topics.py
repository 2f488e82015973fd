from __future__ import annotations

import re

import pytest
from scripted_chat import Scripted

from aai_gateway import speech
from aai_gateway.chat_client import ChatClient
from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.errors import ConfigurationError, ModelAnswerError
from aai_gateway.tasks.topics import load_topics, match_topic, tag_topics

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
        tags = tag_topics(transcript.id, load_topics("news"), chat=chat)
    (topic,) = tags.topics
    assert topic in {"Environment", "Health"}
    (answer,) = tags.answers
    assert answer.prompt_tokens > 500


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "gpt-oss-20b"])
def test_a_recording_gets_several_topics(emulator: Emulator, model):
    client = speech.client_at(emulator.urls.us, emulator.config.account_key, polling_interval=0.05)
    transcript = speech.transcribe(client, sample_path("interview"))
    news = load_topics("news")
    with ChatClient(f"{emulator.urls.llm_us}/v1", emulator.config.account_key, model) as chat:
        topics = tag_topics(transcript.id, news, chat=chat, max_tags=3).topics
    assert 1 <= len(topics) == len(set(topics)) <= 3
    assert set(topics) <= news.keys()


def test_a_part_is_labelled_from_its_own_text():
    model = Scripted("C++")
    assert ("C++",) == tag_topics("t-1", TOPICS, chat=model.chat, text="Templates, again.").topics
    (asked,) = model.asked
    assert "transcript_id" not in asked
    assert model.prompts[0].endswith("<transcript>\nTemplates, again.\n</transcript>")
    assert "{{ transcript }}" not in model.prompts[0]


def test_several_topics_are_spelled_as_in_the_list_each_once_and_no_more_than_asked_for():
    model = Scripted('{"topics": ["world news", "C++", "World News.", "Billing & Payments"]}')
    tags = tag_topics("t-1", TOPICS, chat=model.chat, max_tags=2)
    assert ("World News", "C++") == tags.topics
    assert "2 at most" in model.prompts[0]
    assert ["World News", "Billing & Payments", "C++"] == (
        model.asked[0]["response_format"]["json_schema"]["schema"]["properties"]["topics"]["items"]["enum"]
    )


@pytest.mark.parametrize(
    ("max_tags", "first", "second"),
    [
        (1, "Gardening", "C++"),
        (3, '{"topics": ["C++", "Gardening"]}', '["C++"]'),
        (3, "C++ and World News", '["C++"]'),
        (3, '{"topics": []}', '["C++"]'),
        (3, '{"topics": [3]}', '["C++"]'),
    ],
)
def test_a_topic_outside_the_list_is_refused_and_asked_for_again(max_tags, first, second):
    model = Scripted(first, second)
    tags = tag_topics("t-1", TOPICS, chat=model.chat, max_tags=max_tags)
    assert (("C++",), 2) == (tags.topics, len(tags.answers))
    assert "t-1" == model.asked[1]["transcript_id"]
    assert re.match(r"('Gardening' is no topic of the list|That cannot be read as JSON)", model.prompts[1])


def test_no_topics_cannot_be_asked_for():
    with pytest.raises(ConfigurationError, match="at least 1"):
        tag_topics("t-1", TOPICS, chat=Scripted().chat, max_tags=0)


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


def test_a_second_topic_outside_the_list_is_an_error():
    model = Scripted("Gardening", "Weeding")
    with pytest.raises(
        ModelAnswerError, match=r"asked twice for a topic\. 'Weeding' is no topic of the list"
    ):
        tag_topics("t", TOPICS, chat=model.chat)


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
        ("- Sun\n- 2026-13-45\n", "cannot be read: month must be in"),
        ("[" * 5000, "cannot be read: it is nested too deeply"),
        ("- No\n- Maybe\n", "False .*put it in quotes"),
        ("Sun: 3\n", "put it in quotes"),
        ("'!!': x\n", "put it in quotes"),
        ("- Sun\n- sun!\n", "'Sun' twice"),
        ("- Sun\n- Sun\n", "'Sun' twice"),
        ("Sun: warm\nRain: wet\nSun: hot\n", "cannot be read: line 3: Sun is written twice"),
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
    with pytest.raises(ConfigurationError, match="cannot be read: Could not determine home directory"):
        load_topics("~nobody-of-this-name/mine.yaml")

from __future__ import annotations

import json
from dataclasses import dataclass

import assemblyai as aai
import httpx
import pytest

from aai_gateway import speech
from aai_gateway.chat_client import ChatClient
from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.errors import ConfigurationError
from aai_gateway.tasks.ask import PRESETS, ask, by_speaker, load_presets, preset


@dataclass
class Turn:
    text: str
    speaker: str | None = None
    channel: str | None = None


TURNS = [
    Turn("Hello. ", "A"),
    Turn(" "),
    Turn("Hi.", "Dr Marsh"),
    Turn("Yes?", "1", "1"),
    Turn("No.", None, "2"),
]


@pytest.fixture
def asked():
    return []


@pytest.fixture
def chat(asked):
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, json={"choices": [{"message": {"content": "An answer."}}]})

    client = ChatClient("http://gateway/v1", "sk-1", "m")
    client._http = httpx.Client(transport=httpx.MockTransport(answer))
    return client


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_answered_from_the_transcript(emulator: Emulator, name):
    client = speech.client_at(emulator.urls.us, emulator.config.account_key, polling_interval=0.05)
    transcript = speech.transcribe(client, sample_path("interview"))
    with ChatClient(f"{emulator.urls.llm_us}/v1", emulator.config.account_key, "claude-sonnet-4-6") as chat:
        assert ask(preset(name), transcript.id, chat=chat).text.strip()


def test_speakers_of_a_real_transcript_reach_the_model(emulator: Emulator, chat, asked):
    client = speech.client_at(emulator.urls.us, emulator.config.account_key, polling_interval=0.05)
    config = aai.TranscriptionConfig(speaker_labels=True)
    transcript = speech.transcribe(client, sample_path("interview"), config)
    ask("Who is the guest?", transcript.id, chat=chat, turns=transcript.utterances)
    prompt = asked[0]["messages"][0]["content"]
    assert "<transcript>\nSpeaker A: Good morning, and welcome to Harbor Radio." in prompt
    assert "\nSpeaker B: " in prompt


def test_without_turns_assemblyai_puts_the_text_in(chat, asked):
    assert "An answer." == ask(" Why? ", "t-1", chat=chat, max_tokens=50).text
    assert {
        "model": "m",
        "max_tokens": 50,
        "transcript_id": "t-1",
        "messages": [{"role": "user", "content": "Why?\n\n{{ transcript }}"}],
    } == asked[0]


def test_with_turns_the_prompt_has_them_and_no_transcript_id(chat, asked):
    ask("In {{ transcript }}, who spoke first?", "t-1", chat=chat, turns=TURNS[:1])
    assert "transcript_id" not in asked[0]
    expected = "In <transcript>\nSpeaker A: Hello.\n</transcript>, who spoke first?"
    assert expected == asked[0]["messages"][0]["content"]


def test_turns_are_named_by_label_name_or_channel():
    expected = "Speaker A: Hello.\nDr Marsh: Hi.\nSpeaker 1: Yes?\nChannel 2: No."
    assert expected == by_speaker(TURNS)


def test_nothing_cannot_be_asked(chat):
    with pytest.raises(ConfigurationError, match="empty"):
        ask("  ", "t-1", chat=chat)


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(ConfigurationError, match="summary, feedback, takeaway, action-items"):
        preset("poem")


def test_own_presets_come_from_a_file_beside_the_guides(tmp_path):
    (tmp_path / "mine.yaml").write_text("poem: Write a poem.\nsummary: In one word.\n")
    presets = load_presets(tmp_path / "mine.yaml")
    assert "Write a poem." == preset("poem", presets)
    assert "In one word." == preset("summary", presets)
    assert PRESETS["takeaway"] == preset("takeaway", presets)
    with pytest.raises(ConfigurationError, match="action-items, poem"):
        preset("song", presets)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "must be a mapping"),
        ("- poem", "must be a mapping"),
        ("a: [b", "cannot be read"),
        ("poem: 3", "'poem' and its prompt must be text"),
        ("poem:", "'poem' and its prompt must be text"),
        ("No: Say no.", "False and its prompt must be text"),
    ],
)
def test_presets_that_cannot_be_used_say_why(tmp_path, content, reason):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(ConfigurationError, match=reason):
        load_presets(tmp_path / "mine.yaml")


def test_a_preset_that_is_written_twice_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text("risks: Name them.\nrisks: Name one.\n")
    with pytest.raises(ConfigurationError, match="cannot be read: risks is written twice"):
        load_presets(tmp_path / "mine.yaml")


def test_presets_that_are_not_there_say_so(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_presets(tmp_path / "none.yaml")

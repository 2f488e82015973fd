from __future__ import annotations

import httpx
import pytest
from scripted_chat import Scripted

from aai_gateway.errors import ModelAnswerError, Refused
from aai_gateway.quotes.proposals import ask_for_quotes, read_quotes


@pytest.mark.parametrize(
    "text",
    [
        '{"quotes": ["One.", "Two."]}',
        '["One.", "Two."]',
        '```json\n{"quotes": ["One.", "Two."]}\n```',
        'Here are the best [two] quotes:\n\n{"quotes": ["One.", "Two."]}\n\nI hope this helps {a lot}!',
        '{"quotes": [{"quote": "One."}, {"text": "“Two.”"}, {"speaker": "A"}, 3, null, ""]}',
        '{"note": "in JSON"} {"quotes": ["One.", "One.", " Two. "]}',
    ],
)
def test_quotes_are_read_from_json_wherever_it_stands(text):
    assert ["One.", "Two."] == read_quotes(text)


@pytest.mark.parametrize(
    "text", ["", "1. One.\n2. Two.", '{"quotes": "One."}', '{"quotes": ["One.", "Tw', "[1, 2]", "{} [3]"]
)
def test_an_answer_without_such_json_has_none(text):
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        read_quotes(text)


def test_an_answer_may_say_that_nothing_is_worth_quoting():
    assert read_quotes('{"quotes": []}') == []


def test_the_model_is_asked_for_json_about_the_transcript():
    model = Scripted('{"quotes": ["One.", "Two.", "Three."]}')
    quotes, answers = ask_for_quotes(model.chat, "Speaker A: One. Two.", 2, "the harvest")
    assert (["One.", "Two."], 1) == (quotes, len(answers))
    (asked,) = model.asked
    assert "json_schema" == asked["response_format"]["type"]
    prompt = asked["messages"][0]["content"]
    assert "2 best quotes about: the harvest\n" in prompt
    assert prompt.endswith("<transcript>\nSpeaker A: One. Two.\n</transcript>")


def test_an_answer_that_cannot_be_read_is_asked_for_once_more():
    model = Scripted("1. One.", '{"quotes": ["One."]}')
    quotes, answers = ask_for_quotes(model.chat, "One.", 3)
    assert (["One."], 2) == (quotes, len(answers))
    assert ["user", "assistant", "user"] == [message["role"] for message in model.asked[1]["messages"]]


def test_a_second_answer_that_cannot_be_read_is_an_error():
    model = Scripted("1. One.", "Sorry, one is all I have.")
    with pytest.raises(ModelAnswerError, match=r"asked twice.*Sorry"):
        ask_for_quotes(model.chat, "One.", 3)


def test_a_model_without_response_format_is_asked_without():
    refusal = httpx.Response(
        400, json={"code": 400, "message": "model model-x does not support response_format"}
    )
    model = Scripted(refusal, '{"quotes": ["One."]}')
    assert ["One."] == ask_for_quotes(model.chat, "One.", 1)[0]
    assert [True, False] == ["response_format" in asked for asked in model.asked]


def test_another_refusal_is_passed_on():
    model = Scripted(httpx.Response(400, json={"error": {"message": "Budget spent"}}))
    with pytest.raises(Refused, match="Budget spent"):
        ask_for_quotes(model.chat, "One.", 1)

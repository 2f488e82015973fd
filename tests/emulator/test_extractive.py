from __future__ import annotations

import json
import time
from itertools import pairwise

import jsonschema
import pytest

from aai_gateway.emulator.extractive import Message, answer, read_prompt, tool_arguments
from aai_gateway.emulator.passages import passages

TALK = (
    "Good morning, and thank you for coming. Our river has been rising for weeks. "
    "Dr. Amara Lindqvist measured the river at four metres on Monday, the highest level since 1998. "
    "Who thought that possible? The city will open the flood gates tonight to protect the harbour. "
    "Climate change brings heavier rain to the river valley every single year. "
    "We need to move the pumping station before the next flood season begins. "
    "People who live near the harbour should keep away from the water this week. "
    "I love this town. The river gave us our trade, and the river can take it away again."
)
TOPICS = {
    "Sports": "News and updates on various athletic events, teams, and sports personalities.",
    "Environment": "News and discussion about environmental issues and sustainability.",
    "Finance": "Information on personal finance, investments, banking, and economic news.",
}
GUIDE_PROMPT = f"""Based on the following transcript, please answer this question:
            Question: What are the 3 best quotes from this video?
            Context: Please provide exactly 3 quotes.
            Transcript: {TALK}
            Please provide a clear and specific answer."""


def ask(text: str, **kwargs) -> str:
    return answer(read_prompt([Message("user", text)]), **kwargs)


def ask_of_talk(instructions: str, **kwargs) -> str:
    messages = [Message("user", f"{instructions}\n\n{TALK}")]
    return answer(read_prompt(messages, TALK), **kwargs)


def json_format(schema):
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema, "strict": True}}


def test_quotes_are_a_numbered_list_of_what_was_said():
    lines = ask(GUIDE_PROMPT).splitlines()
    assert ["1. ", "2. ", "3. "] == [line[:3] for line in lines]
    for line in lines:
        assert line[4:-1] in TALK
        assert line[3] == line[-1] == '"'
        assert 6 <= len(line[4:-1].split()) <= 40


def test_quotes_are_statements_that_do_not_follow_one_another():
    said = [passage.text for passage in passages(TALK)]
    quotes = [line[4:-1] for line in ask_of_talk("Give me the 3 best quotes.").splitlines()]
    places = sorted(said.index(quote) for quote in quotes)
    assert all(later - earlier > 1 for earlier, later in pairwise(places))
    assert not any(quote.endswith("?") for quote in quotes)


@pytest.mark.parametrize(
    ("instructions", "count"),
    [
        ("List the 2 most striking quotes.", 2),
        ("Provide exactly five quotes.", 5),
        ("Which quotes are the best?", 3),
        ("What is the best quote?", 1),
        ("Give 40 quotes", len(passages(TALK))),
    ],
)
def test_as_many_quotes_as_asked_for_and_said(instructions, count):
    assert count == len(ask_of_talk(instructions).splitlines())


def test_the_same_prompt_has_the_same_answer():
    assert ask(GUIDE_PROMPT) == ask(GUIDE_PROMPT)


def test_quotes_as_json_without_a_shape_to_follow():
    body = json.loads(ask_of_talk("Return the 2 best quotes as JSON."))
    assert ["text", "text"] == [name for quote in body["quotes"] for name in quote]
    assert all(quote["text"] in TALK for quote in body["quotes"])


def test_quotes_as_json_in_the_shape_that_the_prompt_shows():
    body = json.loads(ask_of_talk('The 2 best quotes as JSON: [{"quote": "...", "reason": "..."}]'))
    assert [["quote", "reason"], ["quote", "reason"]] == [list(quote) for quote in body]


def test_structured_output_conforms_to_the_schema():
    schema = {
        "type": "object",
        "$defs": {
            "Quote": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
        },
        "properties": {
            "quotes": {"type": "array", "items": {"$ref": "#/$defs/Quote"}, "minItems": 1, "maxItems": 2},
            "summary": {"type": "string", "maxLength": 80},
            "metres": {"type": "integer", "minimum": 2, "maximum": 100},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "mood": {"enum": ["cheerful", "worried about the river"]},
            "urgent": {"type": "boolean"},
            "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "speaker": {"type": ["string", "null"]},
        },
        "required": ["quotes", "summary", "metres", "confidence", "mood", "urgent", "note", "speaker"],
        "additionalProperties": False,
    }
    body = json.loads(ask_of_talk("The 3 best quotes, please.", response_format=json_format(schema)))
    jsonschema.validate(body, schema)
    assert 2 == len(body["quotes"])
    assert all(quote["text"] in TALK for quote in body["quotes"])
    assert "worried about the river" == body["mood"]


def test_a_json_object_takes_the_shape_of_its_task():
    assert ["summary"] == list(json.loads(ask_of_talk("Summarize.", response_format={"type": "json_object"})))


@pytest.mark.parametrize(
    "listed",
    [
        str(TOPICS),
        json.dumps(TOPICS, indent=2),
        "\n".join(f"- {name}: {description}" for name, description in TOPICS.items()),
        str(list(TOPICS)),
    ],
)
def test_a_topic_is_one_name_out_of_the_list(listed):
    prompt = f"Select the most relevant topic and nothing else.\n<topics_list>\n{listed}\n</topics_list>"
    assert "Environment" == ask_of_talk(prompt)


def test_a_topic_as_structured_output():
    schema = {"type": "object", "properties": {"topic": {"enum": list(TOPICS)}}, "required": ["topic"]}
    prompt = f"Choose a topic.\n<topics_list>{TOPICS}</topics_list>"
    assert {"topic": "Environment"} == json.loads(ask_of_talk(prompt, response_format=json_format(schema)))


def test_a_summary_leads_with_the_first_sentence_and_is_short():
    text = ask_of_talk("Provide a brief summary of the transcript.")
    assert text.startswith("Good morning, and thank you for coming. ")
    assert 3 == len(passages(text))


def test_action_items_are_what_should_be_done():
    items = ask_of_talk("Generate a set of action items from this transcript.").splitlines()
    assert [
        "- The city will open the flood gates tonight to protect the harbour.",
        "- We need to move the pumping station before the next flood season begins.",
        "- People who live near the harbour should keep away from the water this week.",
    ] == items


def test_a_question_is_answered_with_the_sentences_that_share_its_words():
    text = ask_of_talk("When does the pumping station move?")
    assert "We need to move the pumping station before the next flood season begins." in text


def test_the_newest_instruction_decides():
    messages = [
        Message("user", f"Summarize this.\n<transcript>{TALK}</transcript>"),
        Message("assistant", "It is about a river."),
        Message("user", "Now give me 2 quotes."),
    ]
    assert 2 == len(answer(read_prompt(messages)).splitlines())


def test_words_of_the_transcript_are_no_instructions():
    said = f'{TALK} She asked for a quote and for JSON: {{"a": 1}}.'
    prompt = read_prompt([Message("user", f"Summarize: {said}")], said)
    assert answer(prompt).startswith("Good morning")


def test_a_system_message_instructs_about_a_bare_transcript():
    messages = [Message("system", "Find the 2 best quotes."), Message("user", TALK * 2)]
    assert 2 == len(answer(read_prompt(messages)).splitlines())


def test_a_tool_result_is_what_is_spoken_of():
    messages = [
        Message("user", "What is the weather in Oslo?"),
        Message("assistant", ""),
        Message("tool", "The weather in Oslo is minus four degrees with snow."),
    ]
    assert "The weather in Oslo is minus four degrees with snow." == answer(read_prompt(messages))


def test_an_empty_transcript_has_an_empty_answer():
    assert "" == answer(read_prompt([Message("user", "Summarize: ")], ""))


def test_tool_arguments_come_from_the_message_and_fit_the_schema():
    parameters = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer"},
            "note": {"type": "string"},
        },
        "required": ["city", "unit", "days"],
    }
    arguments = tool_arguments(parameters, "What is the weather in New York for 3 days, in fahrenheit?")
    assert {"city": "New York", "unit": "fahrenheit", "days": 3} == arguments


def test_action_items_without_obligations_are_what_stands_out() -> None:
    prompt = read_prompt(
        [Message("user", "Generate a set of action items.\n\nTranscript: Knees ache. Rest helps.")]
    )

    assert "" != answer(prompt)


def test_a_long_text_without_an_end_is_answered_at_once():
    started = time.perf_counter()
    answer(read_prompt([Message("user", "a" * 200_000)]))
    assert time.perf_counter() - started < 5

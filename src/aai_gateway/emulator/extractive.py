"""The emulator's chat model: every answer is words of the prompt, chosen by fixed rules, the same every time.

What is asked is read from the instructions (all of the prompt but the transcript): a topic from a
`<topics_list>`, quotes, action items, a summary, or an answer to a question. Asked for JSON, it answers JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aai_gateway.emulator.passages import Passage, central, passages, relevant, summary
from aai_gateway.emulator.schema_fill import Filling, fill, schema_of
from aai_gateway.emulator.topics import TOPICS_LIST, rank_topics, read_topics

Task = Literal["topic", "quotes", "actions", "summary", "question"]

_DEFAULT_COUNT = 3
_MOST_QUOTES = 50
# Words from which on a user message beside a system message is taken for a bare transcript.
_LONG_MESSAGE = 100
_NUMBER_NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {name: number for number, name in enumerate(_NUMBER_NAMES, start=1)}
_COUNT = re.compile(
    rf"\b(?P<number>\d{{1,2}}|{'|'.join(_NUMBERS)})\s+(?:[\w-]+\s+){{0,4}}?(?:quotes?|sentences?|items?)\b",
    re.IGNORECASE,
)
_ONE_QUOTE = re.compile(r"\b(?:a|one|the best|single)\s+(?:[\w-]+\s+)?quote\b", re.IGNORECASE)
_ACTIONS = re.compile(r"\baction items?\b|\bto-?dos?\b|\bnext steps\b", re.IGNORECASE)
_SUMMARY = re.compile(r"\bsummar|\boverview\b|\btl;?dr\b|\btake-?aways?\b|\brecap\b", re.IGNORECASE)
_QUESTION = re.compile(r"Question:\s*(.+)|(?:^|(?<=[.!?\n]))([^.!?\n]+\?)", re.IGNORECASE)
_OBLIGATION = re.compile(r"\b(?:will|should|must|needs? to|has to|have to|let's|going to)\b", re.IGNORECASE)
_TAGGED = re.compile(r"<transcript[^>]*>(.*?)</transcript>", re.DOTALL | re.IGNORECASE)
_INTRODUCED = re.compile(r"\btranscript:\s*(.+)", re.DOTALL | re.IGNORECASE)
_TRAILING_ORDER = re.compile(r"\n\s*(?:Please|Answer|Return|Respond|Provide|Reply|Give|Only)\b[^\n]*\s*\Z")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt, as plain text."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt taken apart: the transcript it speaks of, and the instructions, the newest first."""

    transcript: str
    instructions: tuple[str, ...]


def read_prompt(messages: Sequence[Message], transcript: str | None = None) -> Prompt:
    """Take a prompt apart. `transcript` is the text put in for `{{ transcript }}`, where that was done.

    Otherwise the transcript is a tool's result that the prompt ends with, what stands between `<transcript>`
    tags or after "Transcript:", or else the last user message itself.
    """
    asked = [message.text for message in reversed(messages) if message.role == "user"]
    system = [message.text for message in messages if message.role == "system"]
    if messages and messages[-1].role == "tool":
        return Prompt(messages[-1].text, (*asked, *system))
    for text in (*asked, *system):
        found = transcript if transcript is not None and transcript in text else _transcript_in(text)
        if found is not None:
            return Prompt(found, tuple(other.replace(found, " ", 1) for other in (*asked, *system)))
    last = asked[0] if asked else ""
    is_all_transcript = system and len(last.split()) > _LONG_MESSAGE
    return Prompt(last, (*asked[1:], *system) if is_all_transcript else (*asked, *system))


def answer(prompt: Prompt, response_format: Mapping[str, Any] | None = None) -> str:
    """The model's text. `response_format` is the request's: its schema, or JSON in the prompt's own shape."""
    instructions = "\n".join(prompt.instructions)
    task = _task(prompt)
    filling = _filling(prompt, task)
    schema = _schema(response_format, TOPICS_LIST.sub("", instructions), task)
    if schema is not None:
        return json.dumps(fill(schema, filling), ensure_ascii=False)
    if task == "topic":
        return filling.topic or ""
    texts = [passage.text for passage in filling.chosen]
    if task == "quotes":
        return "\n".join(f'{place}. "{text}"' for place, text in enumerate(texts, start=1))
    if task == "actions":
        return "\n".join(f"- {text}" for text in texts)
    return " ".join(texts)


def tool_arguments(parameters: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Arguments out of `text` for a tool whose JSON schema is `parameters`; names where a word is wanted."""
    wanted = parameters.get("required") or list(parameters.get("properties") or {})
    schema = {
        **parameters,
        "properties": {
            name: part for name, part in (parameters.get("properties") or {}).items() if name in wanted
        },
    }
    names = re.findall(r"(?<=\s)[A-Z][\w'-]*(?:\s[A-Z][\w'-]*)*", text)
    said = passages(text)
    free_text = re.compile(r"query|question|text|prompt|message|content|input|sentence|quote", re.IGNORECASE)
    arguments = fill(schema, Filling(said, _DEFAULT_COUNT, text))
    for name, value in arguments.items():
        if (
            names
            and isinstance(value, str)
            and "enum" not in schema["properties"][name]
            and not free_text.search(name)
        ):
            arguments[name] = names.pop(0)
    return dict(arguments)


def _transcript_in(text: str) -> str | None:
    tagged = _TAGGED.search(text)
    if tagged:
        return tagged[1].strip()
    introduced = _INTRODUCED.search(text)
    return _TRAILING_ORDER.sub("", introduced[1]).strip() if introduced else None


def _task(prompt: Prompt) -> Task:
    """What the newest instruction that says so asks for."""
    for text in prompt.instructions:
        if TOPICS_LIST.search(text):
            return "topic"
        if re.search(r"\bquot", text, re.IGNORECASE):
            return "quotes"
        if _ACTIONS.search(text):
            return "actions"
        if _SUMMARY.search(text):
            return "summary"
        if _QUESTION.search(text):
            return "question"
    return "summary"


def _filling(prompt: Prompt, task: Task) -> Filling:
    instructions = "\n".join(prompt.instructions)
    found = passages(prompt.transcript)
    count = _count(instructions, task)
    topics = TOPICS_LIST.search(instructions)
    offered = read_topics(topics[1]) if topics else {}
    topic = rank_topics(offered, prompt.transcript)[0][0] if offered else None
    return Filling(_choose(found, task, count, instructions), count, prompt.transcript, topic)


def _choose(found: Sequence[Passage], task: Task, count: int, instructions: str) -> list[Passage]:
    if task == "quotes":
        return central(found, count)
    if task == "actions":
        # A recording without obligations is answered with what stands out in it, as a model would.
        owed = [passage for passage in found if _OBLIGATION.search(passage.text)][: max(count, 5)]
        return owed or central(found, count)
    if task == "question":
        asked = _QUESTION.search(instructions)
        return relevant(found, (asked[1] or asked[2]) if asked else instructions, 2)
    return summary(found, count)


def _count(instructions: str, task: Task) -> int:
    number = _COUNT.search(instructions)
    if number:
        word = number["number"].lower()
        return min(_NUMBERS.get(word) or int(word), _MOST_QUOTES)
    return 1 if task == "quotes" and _ONE_QUOTE.search(instructions) else _DEFAULT_COUNT


def _schema(
    response_format: Mapping[str, Any] | None, instructions: str, task: Task
) -> Mapping[str, Any] | None:
    """The schema to answer in: the request's, that of a JSON example in the instructions, or the task's."""
    kind = (response_format or {}).get("type")
    if response_format and kind == "json_schema":
        schema: Mapping[str, Any] = response_format["json_schema"].get("schema") or {}
        return schema
    if kind != "json_object" and not re.search(r"\bjson\b", instructions, re.IGNORECASE):
        return None
    example = _json_example(instructions)
    return _DEFAULT_SHAPES[task] if example is None else schema_of(example)


_DEFAULT_SHAPES: dict[Task, dict[str, Any]] = {
    "topic": schema_of({"topic": ""}),
    "quotes": schema_of({"quotes": [{"text": ""}]}),
    "actions": schema_of({"action_items": [""]}),
    "summary": schema_of({"summary": ""}),
    "question": schema_of({"answer": ""}),
}


def _json_example(text: str) -> dict[str, Any] | list[Any] | None:
    for start in re.finditer(r"[{\[]", text):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, start.start())
        except ValueError:
            continue
        if isinstance(value, dict | list) and value:
            return value
    return None

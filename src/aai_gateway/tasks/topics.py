"""Label a transcript, or a part of one, with topics from a list. What is not in the list is never a result.

Prompt and lists: AssemblyAI documentation, guide "Label content with topic tags using LLM Gateway".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from aai_gateway.chat_client import ChatAnswer, ChatClient, about_text, about_transcript
from aai_gateway.errors import ConfigurationError
from aai_gateway.strict_yaml import load_strictly
from aai_gateway.structured import Form, ask_for, json_values

LIST_NAMES = ("news", "support")
MAX_TOKENS = 500

_SELECT_ONE = "Select the most relevant topic from the list. Return your selection and nothing else."
_SELECT_SEVERAL = (
    "Select the topics from the list that the content is about, the most relevant first, {most} at most. "
    "Return {example} and nothing else."
)
_EXAMPLE = 'JSON like {"topics": ["first topic", "second topic"]}'
_PROMPT = """\
You are a helpful assistant designed to label video content with topic tags.

I will give you a list of topics and definitions. {task}

<topics_list>
{topics}
</topics_list>
"""


@dataclass(frozen=True, slots=True)
class TopicTags:
    """The topics, spelled as in their list, the most relevant first, and the answers that it took."""

    topics: tuple[str, ...]
    answers: tuple[ChatAnswer, ...]


def load_topics(name: str) -> dict[str, str]:
    """Topics and their descriptions: the list `news` or `support`, or a YAML file's.

    A file holds a mapping of names to descriptions, or a list of names. Raises ConfigurationError.
    """
    if name in LIST_NAMES:
        packaged = files("aai_gateway.tasks").joinpath("topics.yaml").read_text(encoding="utf-8")
        return dict(yaml.safe_load(packaged)[name])
    try:
        data = load_strictly(Path(name).expanduser().read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no topic list {name}: give news, support or a YAML file."
        ) from None
    except (OSError, RuntimeError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"The topic list {name} cannot be read: {reason}") from None
    return _checked(data, name)


def tag_topics(
    transcript_id: str,
    topics: Mapping[str, str],
    *,
    chat: ChatClient,
    max_tags: int = 1,
    text: str | None = None,
) -> TopicTags:
    """The topics of `topics` that the transcript is about, 1 to `max_tags` of them.

    With `text` it is about that part of the transcript alone; without, AssemblyAI puts all of its text in. An
    answer that names what is not in the list is refused, and asked for once more. Raises ConfigurationError
    for a `max_tags` below 1, ModelAnswerError when the second answer is no better, Refused, UpstreamFailed.
    """
    if max_tags < 1:
        raise ConfigurationError("The number of topics must be at least 1.")
    found, answers = ask_for(
        chat,
        _form(topics, max_tags),
        topics_prompt(topics, max_tags, text),
        max_tokens=MAX_TOKENS,
        transcript_id=transcript_id if text is None else None,
    )
    return TopicTags(found, answers)


def topics_prompt(topics: Mapping[str, str], max_tags: int, text: str | None) -> str:
    """What the model is asked, with the transcript's place or the text of a part in it."""
    several = _SELECT_SEVERAL.format(most=max_tags, example=_EXAMPLE)
    listed = json.dumps(dict(topics), ensure_ascii=False, indent=1)
    prompt = _PROMPT.format(task=_SELECT_ONE if max_tags == 1 else several, topics=listed)
    return about_transcript(prompt) if text is None else about_text(prompt, text)


def _form(topics: Mapping[str, str], max_tags: int) -> Form[tuple[str, ...]]:
    if max_tags == 1:
        return Form("a topic", "the name of one topic of the list.", partial(_read_one, topics))
    names = {"type": "string", "enum": list(topics)}
    # How many is in the prompt: not every model takes `minItems` and `maxItems`.
    schema = {
        "type": "object",
        "properties": {"topics": {"type": "array", "items": names}},
        "required": ["topics"],
        "additionalProperties": False,
    }
    return Form("topics", _EXAMPLE, partial(_read_several, topics, max_tags), schema)


def _read_one(topics: Mapping[str, str], text: str) -> tuple[str, ...]:
    return (_existing(text, topics),)


def _read_several(topics: Mapping[str, str], max_tags: int, text: str) -> tuple[str, ...]:
    for value in json_values(text):
        items = value.get("topics") if isinstance(value, dict) else value
        if isinstance(items, list) and items and all(isinstance(item, str) for item in items):
            return tuple(dict.fromkeys(_existing(item, topics) for item in items))[:max_tags]
    raise ValueError("That cannot be read as JSON with a list of topics.")


def _existing(text: str, topics: Mapping[str, str]) -> str:
    topic = match_topic(text, topics)
    if topic is None:
        raise ValueError(f"{text.strip()[:80]!r} is no topic of the list.")
    return topic


def match_topic(text: str, topics: Mapping[str, str]) -> str | None:
    """The topic that an answer names, whatever its case and punctuation; None when it names none.

    Models repeat the description after the name at times; no other words may stand beside it.
    """
    wanted = _plain(text)
    for name, description in topics.items():
        if wanted in (_plain(name), _plain(f"{name} {description}")):
            return name
    return None


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold().replace("_", " ")))


def _checked(data: Any, name: str) -> dict[str, str]:
    if isinstance(data, list):
        topics = [(topic, "") for topic in data]
    elif isinstance(data, dict):
        topics = [(topic, "" if text is None else text) for topic, text in data.items()]
    else:
        topics = []
    if not topics:
        raise ConfigurationError(
            f"The topic list {name} must be a mapping of names to descriptions, or a list of names."
        )
    for topic, text in topics:
        # YAML reads a bare No, Yes, On or 2026 as something else than text.
        if not isinstance(topic, str) or not isinstance(text, str) or not _plain(topic):
            raise ConfigurationError(
                f"In the topic list {name}, {topic!r} and its description must be text; put it in quotes."
            )
    _require_distinct((topic for topic, _ in topics), name)
    return dict(topics)


def _require_distinct(topics: Iterable[str], name: str) -> None:
    seen: dict[str, str] = {}
    for topic in topics:
        other = seen.setdefault(_plain(topic), topic)
        if other is not topic:
            raise ConfigurationError(f"The topic list {name} has {other!r} twice.")

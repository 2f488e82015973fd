"""Label a transcript with a topic from a list. A topic that is not in the list is an error, not a result.

Prompt and lists: AssemblyAI documentation, guide "Label content with topic tags using LLM Gateway".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from aai_gateway.chat_client import ChatAnswer, ChatClient, about_transcript
from aai_gateway.errors import ConfigurationError, ModelAnswerError

LIST_NAMES = ("news", "support")
MAX_TOKENS = 500

_PROMPT = """\
You are a helpful assistant designed to label video content with topic tags.

I will give you a list of topics and definitions. Select the most relevant topic from the list. \
Return your selection and nothing else.

<topics_list>
{topics}
</topics_list>
"""


@dataclass(frozen=True, slots=True)
class TopicTag:
    """The topic, spelled as in its list, and the answer that it was read from."""

    topic: str
    answer: ChatAnswer


def load_topics(name: str) -> dict[str, str]:
    """Topics and their descriptions: the list `news` or `support`, or a YAML file's.

    A file holds a mapping of names to descriptions, or a list of names. Raises ConfigurationError.
    """
    if name in LIST_NAMES:
        packaged = files("aai_gateway.tasks").joinpath("topics.yaml").read_text(encoding="utf-8")
        return dict(yaml.safe_load(packaged)[name])
    path = Path(name).expanduser()
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no topic list {name}: give news, support or a YAML file."
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"The topic list {name} cannot be read: {reason}") from None
    return _checked(data, name)


def tag_topic(transcript_id: str, topics: Mapping[str, str], *, chat: ChatClient) -> TopicTag:
    """The one topic of `topics` that the transcript is most about.

    Raises ModelAnswerError when the model answers anything else, Refused and UpstreamFailed.
    """
    prompt = _PROMPT.format(topics=json.dumps(dict(topics), ensure_ascii=False, indent=1))
    messages = [{"role": "user", "content": about_transcript(prompt)}]
    answer = chat.complete(messages, max_tokens=MAX_TOKENS, transcript_id=transcript_id)
    topic = match_topic(answer.text, topics)
    if topic is None:
        raise ModelAnswerError(
            f"{chat.model} answered {answer.text.strip()[:80]!r}, which is no topic of the list."
        )
    return TopicTag(topic, answer)


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

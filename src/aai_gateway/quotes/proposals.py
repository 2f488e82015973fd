"""Ask a chat model which quotes are worth quoting, and read its answer: claims, not facts."""

from __future__ import annotations

from typing import Any

from aai_gateway.chat_client import ChatAnswer, ChatClient, about_text
from aai_gateway.structured import Form, ask_for, json_values

TOKENS_PER_QUOTE = 150
TOKENS_AROUND = 300

_EXAMPLE = 'JSON like {"quotes": ["first quote", "second quote"]}'
_SCHEMA = {
    "type": "object",
    "properties": {"quotes": {"type": "array", "items": {"type": "string"}}},
    "required": ["quotes"],
    "additionalProperties": False,
}


def ask_for_quotes(
    chat: ChatClient, script: str, count: int, about: str | None = None
) -> tuple[list[str], list[ChatAnswer]]:
    """Up to `count` quotes of `script` in the model's wording, best first, and the answers that it took.

    `script` is what was said, a line for each turn. An answer that cannot be read is asked for once more.
    Raises ModelAnswerError when that fails too, Refused and UpstreamFailed as the chat client does.
    """
    quotes, answers = ask_for(
        chat,
        Form("quotes", _EXAMPLE, read_quotes, _SCHEMA),
        about_text(_prompt(count, about), script),
        max_tokens=TOKENS_AROUND + count * TOKENS_PER_QUOTE,
    )
    return quotes[:count], list(answers)


def read_quotes(text: str) -> list[str]:
    """The quotes in an answer: JSON on its own, in a fence or among prose. Raises ValueError without any."""
    for value in json_values(text):
        items = value.get("quotes") if isinstance(value, dict) else value
        if isinstance(items, list):
            quotes = [quote for item in items if (quote := _quote_text(item))]
            if quotes or not items:
                return list(dict.fromkeys(quotes))
    raise ValueError("That cannot be read as JSON.")


def _prompt(count: int, about: str | None) -> str:
    subject = f" about: {about.strip()}" if about and about.strip() else ""
    return (
        f"From the transcript below, choose the {count} best quotes{subject}\n"
        "A good quote stands on its own: a strong statement, a telling number, a vivid image, an emotion. "
        "Copy each one word for word from the transcript: one to three whole sentences of one speaker, "
        "without the speaker's name. Take them from different parts of it. Put the best first. If there are "
        "fewer good ones, give fewer.\n"
        f"Answer with only {_EXAMPLE}"
    )


def _quote_text(item: Any) -> str | None:
    if isinstance(item, dict):
        item = item.get("quote") or item.get("text")
    if not isinstance(item, str):
        return None
    return item.strip().strip('"“”').strip() or None

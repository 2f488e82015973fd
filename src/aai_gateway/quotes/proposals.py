"""Ask a chat model which quotes are worth quoting, and read its answer: claims, not facts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from aai_gateway.chat_client import ChatAnswer, ChatClient, Message, about_transcript
from aai_gateway.errors import ModelAnswerError, Refused

TOKENS_PER_QUOTE = 150
TOKENS_AROUND = 300

_FORM = '{"quotes": ["first quote", "second quote"]}'
_RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "quotes",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"quotes": {"type": "array", "items": {"type": "string"}}},
            "required": ["quotes"],
            "additionalProperties": False,
        },
    },
}


def ask_for_quotes(
    chat: ChatClient, transcript_id: str, count: int, about: str | None = None
) -> tuple[list[str], list[ChatAnswer]]:
    """Up to `count` quotes in the model's wording, best first, and the answers that it took.

    An answer that cannot be read is asked for once more. Raises ModelAnswerError when that fails too, Refused
    and UpstreamFailed as the chat client does.
    """
    messages: list[Message] = [{"role": "user", "content": about_transcript(_prompt(count, about))}]
    answer = _ask(chat, messages, transcript_id, count)
    answers = [answer]
    quotes = read_quotes(answer.text)
    if quotes is None:
        messages += [
            {"role": "assistant", "content": answer.text},
            {
                "role": "user",
                "content": f"That cannot be read as JSON. Answer again with only JSON like {_FORM}",
            },
        ]
        answer = _ask(chat, messages, transcript_id, count)
        answers.append(answer)
        quotes = read_quotes(answer.text)
    if quotes is None:
        cut = ", which was cut off," if answer.truncated else ""
        raise ModelAnswerError(
            f"{chat.model} was asked twice for quotes as JSON; its answer{cut} cannot be read: "
            f"{answer.text[:120]!r}"
        )
    return quotes[:count], answers


def read_quotes(text: str) -> list[str] | None:
    """The quotes in an answer: JSON on its own, in a fence or among prose. None when there is none."""
    for value in _json_values(text):
        items = value.get("quotes") if isinstance(value, dict) else value
        if isinstance(items, list):
            quotes = [quote for item in items if (quote := _quote_text(item))]
            if quotes or not items:
                return list(dict.fromkeys(quotes))
    return None


def _prompt(count: int, about: str | None) -> str:
    subject = f" about: {about.strip()}" if about and about.strip() else ""
    return (
        f"From the transcript below, choose the {count} best quotes{subject}\n"
        "A good quote stands on its own: a strong statement, a telling number, a vivid image, an emotion. "
        "Copy each one word for word from the transcript, one to three whole sentences, and take them from "
        "different parts of it. Put the best first. If there are fewer good ones, give fewer.\n"
        f"Answer with only JSON like {_FORM}"
    )


def _ask(chat: ChatClient, messages: list[Message], transcript_id: str, count: int) -> ChatAnswer:
    max_tokens = TOKENS_AROUND + count * TOKENS_PER_QUOTE
    try:
        return chat.complete(
            messages, max_tokens=max_tokens, transcript_id=transcript_id, response_format=_RESPONSE_FORMAT
        )
    except Refused as refused:
        # Some models take no response_format and say so ("model X does not support response_format").
        if refused.status != 400 or "response_format" not in refused.text:
            raise
    return chat.complete(messages, max_tokens=max_tokens, transcript_id=transcript_id)


def _json_values(text: str) -> Iterator[Any]:
    """Every JSON object or array in `text` that is not inside another, in order."""
    decoder = json.JSONDecoder()
    place = 0
    while starts := [at for at in (text.find("{", place), text.find("[", place)) if at >= 0]:
        place = min(starts)
        try:
            value, place = decoder.raw_decode(text, place)
        except ValueError:
            place += 1
        else:
            yield value


def _quote_text(item: Any) -> str | None:
    if isinstance(item, dict):
        item = item.get("quote") or item.get("text")
    if not isinstance(item, str):
        return None
    return item.strip().strip('"“”').strip() or None

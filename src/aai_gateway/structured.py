"""Answers in JSON: asked for by a schema, read strictly, repaired once, then a clear error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aai_gateway.chat_client import ChatAnswer, ChatClient, Message
from aai_gateway.errors import ModelAnswerError, Refused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """What an answer is to be. `example` shows it in prompts; without a `schema` it is plain text.

    `read` makes a value of the answer's text; it raises ValueError with a sentence that tells the model, and
    in the end the user, what is wrong.
    """

    name: str
    example: str
    read: Callable[[str], T]
    schema: Mapping[str, Any] | None = None


def ask_for(
    chat: ChatClient, form: Form[T], prompt: str, *, max_tokens: int, transcript_id: str | None = None
) -> tuple[T, tuple[ChatAnswer, ...]]:
    """The value, and the answers that it took: what cannot be read is asked for once more.

    Raises ModelAnswerError when that fails too, Refused and UpstreamFailed as the chat client does.
    """
    messages: list[Message] = [{"role": "user", "content": prompt}]
    answers: list[ChatAnswer] = []
    while True:
        answer = _complete(chat, messages, form, max_tokens, transcript_id)
        answers.append(answer)
        try:
            return form.read(answer.text), tuple(answers)
        except ValueError as error:
            if len(answers) == 2:
                cut = " (it was cut off)" if answer.truncated else ""
                raise ModelAnswerError(
                    f"{chat.model} was asked twice for {form.name}. {error}{cut} "
                    f"It answered {answer.text.strip()[:120]!r}."
                ) from None
            messages += [
                {"role": "assistant", "content": answer.text},
                {"role": "user", "content": f"{error} Answer again with only {form.example}"},
            ]


def json_values(text: str) -> Iterator[Any]:
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


def _complete(
    chat: ChatClient,
    messages: list[Message],
    form: Form[T],
    max_tokens: int,
    transcript_id: str | None,
) -> ChatAnswer:
    if form.schema is not None:
        schema = {"name": form.name.replace(" ", "_"), "strict": True, "schema": form.schema}
        try:
            return chat.complete(
                messages,
                max_tokens=max_tokens,
                transcript_id=transcript_id,
                response_format={"type": "json_schema", "json_schema": schema},
            )
        except Refused as refused:
            # Some models take no response_format and say so ("model X does not support response_format").
            if refused.status != 400 or "response_format" not in refused.text:
                raise
    return chat.complete(messages, max_tokens=max_tokens, transcript_id=transcript_id)

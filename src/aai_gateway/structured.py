"""Answers in JSON: asked for by a schema, read strictly, repaired once, then a clear error.

A list in an answer can be read while the answer is still being written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic_core import from_json

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
    chat: ChatClient,
    form: Form[T],
    prompt: str,
    *,
    max_tokens: int,
    transcript_id: str | None = None,
    on_answer: Callable[[], Callable[[str], None]] | None = None,
) -> tuple[T, tuple[ChatAnswer, ...]]:
    """The value, and the answers that it took: what cannot be read is asked for once more.

    With `on_answer` answers are streamed: it is called before each, and what it gives with each piece. Raises
    ModelAnswerError when that fails too, Refused and UpstreamFailed as the chat client does.
    """
    messages: list[Message] = [{"role": "user", "content": prompt}]
    answers: list[ChatAnswer] = []
    while True:
        on_text = on_answer() if on_answer is not None else None
        answer = _complete(chat, messages, form, max_tokens, transcript_id, on_text)
        answers.append(answer)
        try:
            return form.read(answer.text), tuple(answers)
        except ValueError as error:
            if len(answers) == 2:
                cut = f" (it was cut off at {max_tokens} tokens)" if answer.truncated else ""
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
    while (begin := _bracket(text, place)) is not None:
        place = begin
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
        else:
            yield value


class StreamedList:
    """The items of a list in an answer that is still being written, each as soon as it is whole.

    The list is the member `name` of the first object that has such a one, among the `json_values` of the
    text. However the text is cut into pieces, the items are the same: those of the text up to there.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._text = ""
        self._place = 0
        """Where the value begins that is not whole yet; nothing before it is wanted."""
        self._given = 0
        self._is_whole = False

    def feed(self, piece: str) -> list[Any]:
        """The items that are whole now and were not before, in order.

        An item is whole when the text goes on after it: with the next one, or the end of the object.
        """
        self._text += piece
        # Only a bracket can begin a value, end one, or begin the next item of objects.
        if self._is_whole or not any(bracket in piece for bracket in "{}[]"):
            return []
        whole = self._whole_items()
        new = whole[self._given :]
        self._given += len(new)
        return new

    def _whole_items(self) -> list[Any]:
        decoder = json.JSONDecoder()
        while (place := _bracket(self._text, self._place)) is not None:
            self._place = place
            try:
                value, end = decoder.raw_decode(self._text, place)
            except (ValueError, RecursionError):
                try:
                    begun = from_json(self._text[place:], allow_partial=True)
                except ValueError:
                    self._place += 1
                    continue
                # The last may go on: what it has so far would be taken for all of it.
                return (self._items_of(begun) or [])[:-1]
            items = self._items_of(value)
            if items is not None:
                self._is_whole = True
                return items
            self._place = end
        return []

    def _items_of(self, value: Any) -> list[Any] | None:
        items = value.get(self._name) if isinstance(value, dict) else None
        return items if isinstance(items, list) else None


def _bracket(text: str, place: int) -> int | None:
    """Where the next JSON object or array begins, if one does."""
    found = [at for at in (text.find("{", place), text.find("[", place)) if at >= 0]
    return min(found, default=None)


def _complete(
    chat: ChatClient,
    messages: list[Message],
    form: Form[T],
    max_tokens: int,
    transcript_id: str | None,
    on_text: Callable[[str], None] | None,
) -> ChatAnswer:
    if form.schema is not None:
        schema = {"name": form.name.replace(" ", "_"), "strict": True, "schema": form.schema}
        try:
            return chat.complete(
                messages,
                max_tokens=max_tokens,
                transcript_id=transcript_id,
                response_format={"type": "json_schema", "json_schema": schema},
                on_text=on_text,
            )
        except Refused as refused:
            # Some models take no response_format and say so ("model X does not support response_format").
            if refused.status != 400 or "response_format" not in refused.text:
                raise
    return chat.complete(messages, max_tokens=max_tokens, transcript_id=transcript_id, on_text=on_text)

"""Ask a chat model through the gateway's `/v1/chat/completions`, with a virtual key.

`{{ transcript }}` in a prompt is replaced by AssemblyAI with the text of the transcript whose id goes along
(AssemblyAI documentation, "Apply LLM Gateway to audio transcripts"), so that the client need not have it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import TracebackType
from typing import Any, Literal

import httpx

from aai_gateway.core.regions import Region, region_of_model
from aai_gateway.errors import ConfigurationError, ModelAnswerError, Refused, UpstreamFailed
from aai_gateway.retries import delay_before_retry
from aai_gateway.wire_errors import (
    bare_key,
    broken_off,
    error_in,
    own_words,
    too_slow,
    unreachable,
    usable_url,
)

TRANSCRIPT_TAG = "{{ transcript }}"
COST_HEADER = "x-litellm-response-cost"
CONNECT_TIMEOUT = 10.0
ANSWER_TIMEOUT = 180.0

Message = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What a model said, and what it took: tokens, and dollars where the gateway said so."""

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal | None
    truncated: bool

    def usage(self) -> dict[str, Any]:
        """Plain data for JSON: model, tokens, cost in dollars as text, to the micro-dollar, or None."""
        return {
            "model": self.model,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_usd": None if self.cost is None else f"{self.cost:.6f}",
        }


class ChatClient:
    """One chat model at one base URL (which ends in `/v1`). Use it as a context manager, or `close()` it.

    Raises ConfigurationError for an address or a key that cannot be used.
    """

    def __init__(self, base_url: str, key: str, model: str, *, timeout: float = ANSWER_TIMEOUT) -> None:
        self.base_url = usable_url(base_url).rstrip("/")
        self.model = model
        self._key = bare_key(key)
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {self._key}"},
            timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
        )

    def __enter__(self) -> ChatClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 1000,
        transcript_id: str | None = None,
        response_format: Mapping[str, Any] | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> ChatAnswer:
        """The model's answer to `messages`; with `on_text` it is streamed, and called with each piece.

        The cost of a streamed answer is not known. 429 and 503 are asked again as their `Retry-After` says, a
        few times. Raises Refused with the status and text of any other error, UpstreamFailed when the gateway
        cannot be reached or answers with something else than a completion, ModelAnswerError when the model
        said nothing.
        """
        body: dict[str, Any] = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens}
        if transcript_id is not None:
            body["transcript_id"] = transcript_id
        if response_format is not None:
            body["response_format"] = response_format
        if on_text is not None:
            try:
                options = {"stream": True, "stream_options": {"include_usage": True}}
                with self._answered({**body, **options}) as response:
                    return self._streamed(response, on_text)
            except Refused as refused:
                # Some models are not streamed and say so ("model X does not support stream").
                if refused.status != 400 or "support stream" not in refused.text:
                    raise
        with self._answered(body) as response:
            answer = self._read(response)
        if on_text is not None:
            on_text(answer.text)
        return answer

    @contextmanager
    def _answered(self, body: Mapping[str, Any]) -> Iterator[httpx.Response]:
        """A success, of which the body is still to come. Raises what `complete` does."""
        attempt = 1
        while True:
            with (
                self._clear_errors(),
                self._http.stream("POST", f"{self.base_url}/chat/completions", json=body) as response,
            ):
                if response.is_success:
                    yield response
                    return
                response.read()
            delay = delay_before_retry(response.status_code, response.headers.get("retry-after"), attempt)
            if delay is None:
                raise self._refused(response)
            time.sleep(delay)
            attempt += 1

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError:
            raise unreachable(self.base_url) from None
        except httpx.TimeoutException:
            raise too_slow(self.base_url) from None
        except httpx.TransportError as error:
            raise broken_off(self.base_url, error) from None

    def _refused(self, response: httpx.Response) -> Refused:
        text = error_text(response).replace(self._key, "<key>")
        headers = {k: v for k, v in response.headers.items() if k.lower() == "retry-after"}
        return Refused(text, status=response.status_code, headers=headers)

    def _read(self, response: httpx.Response) -> ChatAnswer:
        response.read()
        try:
            data = response.json()
            choice = data["choices"][0]
            text = choice["message"].get("content")
            usage = data.get("usage") or {}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise self._no_completion(error_text(response)) from None
        cost = _dollars(response.headers.get(COST_HEADER))
        return self._answer(text, choice.get("finish_reason"), data.get("model"), usage, cost)

    def _streamed(self, response: httpx.Response, on_text: Callable[[str], None]) -> ChatAnswer:
        """The answer that server-sent events make up (OpenAI's chunks, the usage on the last)."""
        text, reason, model, is_whole = "", None, None, False
        usage: Mapping[str, Any] = {}
        for line in response.iter_lines():
            data = line.removeprefix("data:").strip()
            if data == line or not data:
                continue
            if data == "[DONE]":
                is_whole = True
                break
            try:
                chunk = json.loads(data)
                choices = chunk.get("choices") or []
                piece = (choices[0].get("delta") or {}).get("content") if choices else None
                reason = (choices[0].get("finish_reason") if choices else None) or reason
            except (ValueError, LookupError, TypeError, AttributeError):
                raise self._no_completion(data[:300]) from None
            if "error" in chunk:
                raise UpstreamFailed(f"{self.base_url} broke off the answer: {error_in(chunk) or data[:300]}")
            model, usage = chunk.get("model") or model, chunk.get("usage") or usage
            if isinstance(piece, str) and piece:
                text += piece
                on_text(piece)
        if not is_whole:
            raise UpstreamFailed(f"{self.base_url} broke off the answer.")
        return self._answer(text, reason, model, usage, None)

    def _answer(
        self, text: Any, reason: str | None, model: str | None, usage: Mapping[str, Any], cost: Decimal | None
    ) -> ChatAnswer:
        if not isinstance(text, str) or not text.strip():
            raise ModelAnswerError(f"{self.model} gave an empty answer ({reason}).")
        return ChatAnswer(
            text=text,
            model=model or self.model,
            # AssemblyAI's gateway has answered with either pair of names.
            prompt_tokens=int(usage.get("prompt_tokens") or usage.get("input_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or usage.get("output_tokens") or 0),
            cost=cost,
            truncated=reason in ("length", "max_tokens", "MAX_TOKENS"),
        )

    def _no_completion(self, said: str) -> UpstreamFailed:
        return UpstreamFailed(f"{self.base_url} answered what is not a chat completion: {said}")


def connect_chat(
    url: str, key: str, *, region: Region | Literal["us", "eu"] = Region.US, model: str = "claude-sonnet-4-6"
) -> ChatClient:
    """A chat client for AssemblyAI's `model` through the gateway at `url`, in one region.

    Raises ConfigurationError for a model whose prefix names the other region, and for an address or a key
    that cannot be used.
    """
    region = Region(region)
    named = region_of_model(model)
    if named is not None and named[0] is not region:
        raise ConfigurationError(f"The model {model} is not of the region {region.value}.")
    bare = named[1] if named is not None else model
    return ChatClient(f"{url.rstrip('/')}/v1", key, f"{region.model_prefix}{bare}")


def about_transcript(prompt: str) -> str:
    """`prompt` with the transcript's place after it, unless it has one: only the first is filled in."""
    return prompt if TRANSCRIPT_TAG in prompt else f"{prompt}\n\n{TRANSCRIPT_TAG}"


def about_text(prompt: str, text: str) -> str:
    """`prompt` with `text` where the transcript's place is, or after it."""
    return about_transcript(prompt).replace(TRANSCRIPT_TAG, f"<transcript>\n{text}\n</transcript>", 1)


def error_text(response: httpx.Response) -> str:
    """What an error body says, in OpenAI's shape, either of AssemblyAI's, or none."""
    try:
        data = response.json()
    except ValueError:
        data = None
    found = error_in(data) if isinstance(data, dict) else None
    return (found and own_words(found)) or response.text.strip()[:300] or f"HTTP {response.status_code}"


def _dollars(header: str | None) -> Decimal | None:
    try:
        cost = Decimal(header) if header else None
    except InvalidOperation:
        return None
    return cost if cost is not None and cost.is_finite() else None

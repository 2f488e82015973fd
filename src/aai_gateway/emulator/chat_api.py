"""The emulated LLM Gateway of one region, an aiohttp app: `POST /v1/chat/completions` and `GET /v1/models`.

It refuses what AssemblyAI refuses, with its two error envelopes; answers are extractive (see `extractive`);
each answered completion is charged on the invoice. Under `/_emulator/` tests mark models as failing, choose
the naming scheme of the usage and the pace of streams, and read the bodies that arrived.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from aai_gateway.emulator.chat_answer import (
    PromptCache,
    UsageStyle,
    answer_chat,
    chunks,
    completion_body,
    usage_of,
)
from aai_gateway.emulator.chat_request import (
    ChatError,
    ChatRequest,
    Json,
    attempts,
    check_length,
    read_chat,
    retries,
    with_transcript,
)
from aai_gateway.emulator.invoice import Invoice
from aai_gateway.emulator.llm_envelopes import error_envelopes, json_object, refused, unauthenticated
from aai_gateway.emulator.model_list import models_body
from aai_gateway.emulator.price_changes import Prices
from aai_gateway.emulator.price_list import PriceList
from aai_gateway.emulator.rate_limit import DEFAULT_REQUESTS_PER_MINUTE, RateLimit

_LARGEST_BODY = 32 * 1024 * 1024
_KEPT_BODIES = 1000
_RETRY_SECONDS = 0.5
_CHUNK_SECONDS = 0.005
_SLOWEST_CHUNK = 60.0


@dataclass(slots=True)
class ChatState:
    """What tests may set and read while the app runs; also reachable under `/_emulator/`."""

    failing_models: set[str] = field(default_factory=set)
    """Models whose provider is down: requests fall back, or fail with 503."""
    usage_style: UsageStyle = "both"
    chunk_seconds: float = _CHUNK_SECONDS
    """From one chunk of a streamed answer to the next."""
    chat_bodies: deque[Json] = field(default_factory=lambda: deque(maxlen=_KEPT_BODIES))
    """The newest 1000 bodies of chat requests that carried the account key, as they arrived."""


Bill = Callable[[Json], None]
"""Charges one completion by its usage."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the emulator's middleware knows of the request at hand."""

    at: datetime
    """When it arrived (aware), before anything delayed it: it is charged at that moment's prices."""
    unheard: bool = False
    """That nobody will get the answer: it is made and charged whole, and not streamed."""


ARRIVAL: ContextVar[Arrival | None] = ContextVar("arrival", default=None)
CHAT_STATE: web.AppKey[ChatState] = web.AppKey("chat_state", ChatState)


def chat_app(
    region: str,
    account_key: str,
    transcript_text: Callable[[str], str | None],
    invoice: Invoice,
    prices: Prices,
    *,
    middlewares: Sequence[Middleware] = (),
    requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE,
) -> web.Application:
    """The LLM Gateway of `region` ("us" or "eu").

    `account_key` is taken raw and as `Bearer`. `transcript_text` gives the text of a transcript of this
    region, or None for an unknown id. Beyond `requests_per_minute` to one model, 429 is answered. What tests
    steer is at `app[CHAT_STATE]`.
    """
    app = web.Application(middlewares=[*middlewares, error_envelopes], client_max_size=_LARGEST_BODY)
    app[CHAT_STATE] = state = ChatState()
    limit = RateLimit(requests_per_minute, "llmgw", "chat-completions")
    service = _ChatService(region, account_key, transcript_text, invoice, prices, state, limit)
    app.router.add_post("/v1/chat/completions", service.complete)
    app.router.add_get("/v1/models", service.list_models)
    app.router.add_post("/_emulator/failing-models", service.set_failing_models)
    app.router.add_post("/_emulator/usage-style", service.set_usage_style)
    app.router.add_post("/_emulator/chunk-seconds", service.set_chunk_seconds)
    app.router.add_get("/_emulator/chat-bodies", service.list_chat_bodies)
    return app


@dataclass(frozen=True, slots=True)
class _ChatService:
    region: str
    account_key: str
    transcript_text: Callable[[str], str | None]
    invoice: Invoice
    prices: Prices
    state: ChatState
    limit: RateLimit
    cache: PromptCache = field(default_factory=PromptCache)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        started, request_id = time.perf_counter_ns(), str(uuid.uuid4())
        arrival = ARRIVAL.get() or Arrival(datetime.now(timezone.utc))
        refusal = unauthenticated(request, self.account_key, request_id)
        if refusal is not None:
            return refusal
        try:
            body = await json_object(request)
            self.state.chat_bodies.append(body)
            prices = self.prices.at(arrival.at)
            chat = await self._choose(body, prices)
            headers = self.limit.count(chat.model.id)
            chat = with_transcript(chat, self.transcript_text)
            check_length(chat)
        except ChatError as error:
            return refused(error, request_id)
        bill = partial(self._charge, chat, request_id, prices)
        if chat.stream and not arrival.unheard:
            return await self._stream(request, chat, request_id, headers, bill)
        return self._answer(chat, request_id, headers, started, bill)

    async def list_models(self, request: web.Request) -> web.Response:
        return web.json_response(models_body(self.region, self.prices.now()))

    async def set_failing_models(self, request: web.Request) -> web.Response:
        """Take `{"models": [id, …]}`; these and no others fail from now on."""
        models = (await json_object(request)).get("models")
        if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
            raise ChatError("models must be a list of model ids")
        self.state.failing_models = set(models)
        return web.json_response({"models": sorted(models)})

    async def set_usage_style(self, request: web.Request) -> web.Response:
        """Take `{"style": "both" or "input_output"}`, the naming scheme of the usage from now on."""
        style = (await json_object(request)).get("style")
        if style not in ("both", "input_output"):
            raise ChatError("style must be both or input_output")
        self.state.usage_style = style
        return web.json_response({"style": style})

    async def set_chunk_seconds(self, request: web.Request) -> web.Response:
        """Take `{"seconds": 0 to 60}`, the time between the chunks of a stream from now on."""
        seconds: Any = (await json_object(request)).get("seconds")
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not 0 <= seconds <= _SLOWEST_CHUNK:
            raise ChatError("seconds must be a number from 0 to 60")
        self.state.chunk_seconds = float(seconds)
        return web.json_response({"seconds": self.state.chunk_seconds})

    async def list_chat_bodies(self, request: web.Request) -> web.Response:
        return web.json_response({"bodies": list(self.state.chat_bodies)})

    async def _choose(self, body: Json, prices: PriceList) -> ChatRequest:
        """The first attempt whose model works. A request or fallback that is refused (400) is not rescued."""
        served = prices.served(self.region)
        for place, attempt in enumerate(attempts(body)):
            chat = read_chat(attempt, served)
            if place == 0 and chat.model.id in self.state.failing_models and retries(body):
                await asyncio.sleep(_RETRY_SECONDS)
            if chat.model.id not in self.state.failing_models:
                return chat
        raise ChatError("the model provider is unavailable", status=503)

    def _answer(
        self, chat: ChatRequest, request_id: str, headers: dict[str, str], started: int, bill: Bill
    ) -> web.Response:
        said = answer_chat(chat)
        usage = usage_of(chat, said.tokens, self.cache.use(chat))
        bill(usage)
        body = completion_body(
            chat,
            said,
            usage,
            request_id=request_id,
            created=int(time.time()),
            nanoseconds=time.perf_counter_ns() - started,
            style=self.state.usage_style,
        )
        return web.json_response(body, headers=headers)

    async def _stream(
        self,
        request: web.Request,
        chat: ChatRequest,
        request_id: str,
        headers: dict[str, str],
        bill: Bill,
    ) -> web.StreamResponse:
        """Server-sent events. A client that leaves is charged for what was sent to it."""
        response = web.StreamResponse(headers={**headers, "Cache-Control": "no-cache"})
        response.content_type = "text/event-stream"
        said, cache, usage = answer_chat(chat), self.cache.use(chat), None
        try:
            await response.prepare(request)
            for chunk in chunks(chat, said, cache, request_id=request_id, created=int(time.time())):
                await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
                usage = chunk["usage"]
                await asyncio.sleep(self.state.chunk_seconds)
            await response.write(b"data: [DONE]\n\n")
        except ConnectionResetError:
            return response
        finally:
            bill(usage or usage_of(chat, 0, cache))
        return response

    def _charge(self, chat: ChatRequest, request_id: str, prices: PriceList, usage: Json) -> None:
        self.invoice.charge_chat(
            self.region, request_id, chat.model.id, usage, global_region=chat.is_global, prices=prices
        )

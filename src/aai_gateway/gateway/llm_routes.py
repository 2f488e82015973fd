"""AssemblyAI's LLM Gateway for its own SDK: `/llm-gateway.assemblyai/*`, `/llm-gateway.eu.assemblyai/*`."""

from __future__ import annotations

from aai_gateway.core.operations import Operation
from aai_gateway.gateway.forwarding import (
    SMALL_BODY_LIMIT,
    Call,
    Handlers,
    forward,
    require_transcript,
    until_gone,
)
from aai_gateway.gateway.llm_chat import complete
from aai_gateway.gateway.submission import BODY_LIMIT
from aai_gateway.gateway.understanding import understand
from aai_gateway.gateway.understanding_request import asked_of
from aai_gateway.gateway.wire import parse_json_object, read_body


async def _models(call: Call) -> None:
    await read_body(call.receive, SMALL_BODY_LIMIT)
    await until_gone(call.receive, forward(call, "GET"))


async def _validate(call: Call) -> None:
    body = await read_body(call.receive, BODY_LIMIT)
    asked = asked_of(parse_json_object(body))
    if asked.transcript_id is not None:
        await require_transcript(call, asked.transcript_id)
    await until_gone(call.receive, forward(call, "POST", body=body))


LLM_HANDLERS: Handlers = {
    Operation.MODELS: _models,
    Operation.CHAT: complete,
    Operation.UNDERSTANDING: understand,
    Operation.VALIDATE_UNDERSTANDING: _validate,
}

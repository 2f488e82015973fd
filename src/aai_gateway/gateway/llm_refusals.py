"""Refusals in the shapes of AssemblyAI's LLM Gateway.

Recorded from the service in September 2026: the 401 of its authentication is `{"error", "status",
"request_id"}`, all else `{"request_id", "message", "code"}`, with `metadata.errors` when the request is at
fault (400). Each answer has a request id of its own.
"""

from __future__ import annotations

import uuid
from typing import Any

from aai_gateway.errors import NotFound, Refused, Unauthenticated
from aai_gateway.gateway.wire import Send, respond_json


async def respond_llm_refusal(send: Send, refusal: Refused) -> None:
    """Send a refusal as the LLM Gateway does."""
    request_id = str(uuid.uuid4())
    if isinstance(refusal, Unauthenticated):
        body: dict[str, Any] = {"error": refusal.text, "status": "error", "request_id": request_id}
        await respond_json(send, refusal.status, body, refusal.headers)
    elif isinstance(refusal, NotFound):
        await respond_json(send, 404, llm_error(404, "transcript not found", request_id), refusal.headers)
    else:
        body = llm_error(refusal.status, refusal.text, request_id)
        await respond_json(send, refusal.status, body, refusal.headers)


def llm_error(status: int, message: str, request_id: str) -> dict[str, Any]:
    """The body of an error that is not about the key."""
    body: dict[str, Any] = {"request_id": request_id, "message": message, "code": status}
    return {**body, "metadata": {"errors": [message]}} if status == 400 else body

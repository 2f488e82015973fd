"""What all operations of the emulated LLM Gateway share: the account key, JSON bodies, error envelopes."""

from __future__ import annotations

import json
import uuid
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from aai_gateway.emulator.chat_request import ChatError

_NO_KEY = "Your account does not have access to LLM Gateway. Please upgrade your account."


def unauthenticated(request: web.Request, account_key: str, request_id: str) -> web.Response | None:
    """The 401 of a missing or wrong key; without a key the service speaks of access, not of the key."""
    given = request.headers.get("Authorization", "")
    if given.removeprefix("Bearer ").strip() == account_key:
        return None
    text = "Authentication error, API token missing/invalid" if given else _NO_KEY
    return web.json_response({"error": text, "status": "error", "request_id": request_id}, status=401)


@web.middleware
async def error_envelopes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say aiohttp's own refusals (unknown path, method, too large a body) in the gateway's words."""
    try:
        return await handler(request)
    except ChatError as error:
        return refused(error, str(uuid.uuid4()))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return refused(ChatError(error.reason, status=error.status), str(uuid.uuid4()))


def refused(error: ChatError, request_id: str) -> web.Response:
    """A refusal, as the service writes it: compact, the request id first."""
    body = json.dumps(error.body(request_id), separators=(",", ":")).encode()
    return web.Response(
        body=body, status=error.status, content_type="application/json", headers=error.headers
    )


async def json_object(request: web.Request) -> dict[str, Any]:
    """The request's body. Raises ChatError for what is no JSON object."""
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise ChatError("request body is not valid JSON") from error
    if not isinstance(body, dict):
        raise ChatError("request body must be a JSON object")
    return body

"""`GET /webhooks/deliveries`: what a team's webhooks were told, attempt by attempt."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs

from aai_gateway.core.operations import is_transcript_id
from aai_gateway.core.presented import key_of_request
from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import InvalidRequest, MethodNotAllowed, NotFound
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.management_rows import iso
from aai_gateway.gateway.wire import Scope, client_host
from aai_gateway.store import webhook_deliveries
from aai_gateway.store.webhook_deliveries import Attempt, Delivery

DEFAULT_LIMIT, MAX_LIMIT = 20, 200
_LARGEST = 2**63 - 1


async def show_log(gateway: Gateway, scope: Scope) -> dict[str, Any]:
    """A page of the caller's deliveries, newest first; `next_before` leads to the next older ones.

    Raises Unauthenticated, Forbidden, InvalidRequest, MethodNotAllowed, TooManyRequests.
    """
    caller = await gateway.identity.caller_of_key(key_of_request(scope["headers"]), client_host(scope))
    gateway.rates.count(caller, time.monotonic())
    if scope["method"] != "GET":
        raise MethodNotAllowed("The log is only read.", headers={"Allow": "GET"})
    asked = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
    limit = _number(asked, "limit", MAX_LIMIT) or DEFAULT_LIMIT
    if not is_transcript_id(asked.get("transcript_id", "any")):
        raise NotFound
    async with gateway.store.read() as connection:
        found = await webhook_deliveries.log(
            connection,
            **_whose(caller),
            transcript_id=asked.get("transcript_id"),
            before=_number(asked, "before", _LARGEST),
            limit=limit,
        )
    return {
        "deliveries": [delivery_json(delivery, attempts) for delivery, attempts in found],
        "next_before": found[-1][0].id if len(found) == limit else None,
    }


def _whose(caller: Caller) -> dict[str, str | None]:
    if caller.is_admin:
        return {}
    return {"owner": caller.owner, "key_hash": caller.narrowed_to}


def _number(asked: dict[str, str], name: str, largest: int) -> int | None:
    text = asked.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= largest):
        raise InvalidRequest(f"{name} must be a number from 1 to {largest}.")
    return int(text)


def delivery_json(delivery: Delivery, attempts: list[Attempt]) -> dict[str, Any]:
    """A delivery as its team sees it: never the header's value, never what the receiver wrote."""
    return {
        "id": delivery.id,
        "transcript_id": delivery.transcript_id,
        "region": delivery.region.value,
        "event": delivery.event.value,
        "url": delivery.url,
        "state": delivery.state,
        "created_at": iso(delivery.created_at),
        "delivered_at": iso(delivery.delivered_at),
        "gave_up_at": iso(delivery.gave_up_at),
        "next_attempt_at": iso(delivery.next_attempt_at),
        "attempts": [
            {"at": iso(one.at), "status": one.status, "error": one.error, "ms": one.milliseconds}
            for one in attempts
        ],
    }

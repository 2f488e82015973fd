"""AssemblyAI's callbacks: a genuine one is noted for its team, and settles its job.

Who brings no URL and header that were signed here learns nothing, and costs no look into the store. What is
noted is on disk before AssemblyAI has its 200; when it cannot be, AssemblyAI calls again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region, link_stays
from aai_gateway.core.webhooks import Event, Kind, event_of
from aai_gateway.errors import GatewayError, Refused, UnknownOperation
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.passthrough import route_path
from aai_gateway.gateway.webhook_log import show_log
from aai_gateway.gateway.webhook_paths import CALLBACK_PREFIX, LOG_PATH
from aai_gateway.gateway.webhook_secrets import HEADER_NAME
from aai_gateway.gateway.wire import (
    ClientGone,
    Receive,
    Scope,
    Send,
    header,
    parse_json_object,
    read_body,
    respond_json,
    respond_refusal,
)
from aai_gateway.store import webhooks
from aai_gateway.store.transcripts import Transcript

log = logging.getLogger("aai_gateway")

BODY_LIMIT = 32 * 1024
BODY_SECONDS = 5.0
SETTLE_SECONDS = 4.0
"""AssemblyAI waits 10 s for an answer: what its body and the settling may take of them."""


class WebhookRoutes:
    """The ASGI application behind `/webhooks/`. `ready` gives the opened gateway."""

    def __init__(self, ready: Callable[[], Awaitable[Gateway]]) -> None:
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every refusal has AssemblyAI's shape."""
        try:
            gateway = await self._ready()
            path = route_path(scope)
            if path == LOG_PATH:
                page = await show_log(gateway, scope)
            else:
                page = await _receive(gateway, path, scope, receive)
            await respond_json(send, 200, page)
        except ClientGone:
            return
        except Refused as error:
            await respond_refusal(send, error)
        except GatewayError as error:
            log.error("webhook route failed: %s", error)
            await respond_refusal(send, Refused("The gateway cannot serve this now.", status=503))
        except Exception:
            log.exception("webhook route failed")
            await respond_refusal(send, Refused("The gateway failed on this request.", status=500))


async def _receive(gateway: Gateway, path: str, scope: Scope, receive: Receive) -> dict[str, str]:
    """Take one callback. Raises Refused: 404 for what was not signed here or is about another job."""
    webhook_id = _genuine(gateway, path, scope)
    try:
        body = await asyncio.wait_for(read_body(receive, BODY_LIMIT), BODY_SECONDS)
    except asyncio.TimeoutError:
        raise Refused("The request body took too long.", status=408) from None
    event = event_of(parse_json_object(body))
    async with gateway.store.read() as connection:
        found = await webhooks.get(connection, webhook_id)
    if found is None:
        raise _unknown()
    webhook, job = found
    if job is None:
        # Told before the submission's answer was noted, or while that is still looked for.
        raise Refused("The job is not known yet.", status=503)
    if event.transcript_id not in (None, job.id) or (
        event.transcript_id is None and event.kind is Kind.TRANSCRIPT
    ):
        log.warning("webhook %s... was told of another job than its own", webhook_id[:6])
        raise _unknown()
    if _leads_out(gateway, job, event):
        log.error(
            "withheld a link for transcript %s, which is not known to be in the %s region",
            job.id,
            job.region.value.upper(),
        )
    elif webhook.owner == job.owner:
        async with gateway.store.write() as connection:
            await webhooks.note_event(connection, webhook, job, event, utc_now())
        if gateway.webhooks is not None:
            gateway.webhooks.wake()
    else:
        log.warning("transcript %s is another owner's by now: its webhook is not told", job.id)
    await _settle(gateway, job)
    return {"status": "ok"}


def _leads_out(gateway: Gateway, job: Transcript, event: Event) -> bool:
    """Whether an event has a link out of its job's region; then nobody is told of it."""
    hosts = gateway.settings.link_hosts(job.region)
    links = [text for text in event.body.values() if isinstance(text, str) and "//" in text]
    return not all(link_stays(link, job.region, hosts) for link in links)


def _genuine(gateway: Gateway, path: str, scope: Scope) -> str:
    """The webhook's id in a callback that bears our signatures. Raises UnknownOperation."""
    segments = path[len(CALLBACK_PREFIX) :].split("/")
    region = next((region for region in Region if [region.value] == segments[:1]), None)
    if gateway.webhooks is None or region is None or len(segments) != 2 or scope["method"] != "POST":
        raise _unknown()
    secrets = gateway.webhooks.secrets
    webhook_id = secrets.webhook_id(region, segments[1])
    presented = header(scope, HEADER_NAME.lower().encode())
    if webhook_id is None or not secrets.is_header_value(region, webhook_id, presented):
        raise _unknown()
    return webhook_id


def _unknown() -> Refused:
    return UnknownOperation("Not found.")


async def _settle(gateway: Gateway, job: Transcript) -> None:
    """Settle the job now if that can be; otherwise the settler will."""
    if job.settled_at is not None:
        return
    try:
        await asyncio.wait_for(gateway.ledger.settle_now(job), SETTLE_SECONDS)
    except (GatewayError, asyncio.TimeoutError) as error:
        log.warning("transcript %s is left to the settler: %s", job.id, error or "no answer in time")

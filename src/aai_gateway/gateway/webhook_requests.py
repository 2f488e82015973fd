"""A submission's webhook: noted as the team's own, and the gateway's callback put in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aai_gateway.core.json_members import with_members
from aai_gateway.core.webhooks import wanted_webhook
from aai_gateway.gateway.webhook_paths import CALLBACK_PREFIX
from aai_gateway.gateway.webhook_secrets import HEADER_NAME, WebhookSecrets, new_webhook_id
from aai_gateway.settings import Settings
from aai_gateway.store.intents import Intent
from aai_gateway.store.webhooks import Webhook


def taken_over(
    settings: Settings,
    secrets: WebhookSecrets | None,
    intent: Intent,
    request: Mapping[str, Any],
    body: bytes,
) -> tuple[Webhook | None, bytes]:
    """The webhook to note with the intent, and the body as AssemblyAI is to have it.

    Without a webhook, or a callback URL for the region, there is none and the body stays as it is. Raises
    InvalidRequest for a webhook that cannot be served.
    """
    base = settings.callback_url(intent.region)
    if secrets is None or base is None:
        return None, body
    wanted = wanted_webhook(request, settings.webhook_allow_networks)
    if wanted is None:
        return None, body
    webhook = Webhook(
        id=new_webhook_id(),
        region=intent.region,
        owner=intent.owner,
        key_hash=intent.key_hash,
        intent_id=intent.id,
        url=wanted.url,
        header_name=wanted.header_name,
        header_value=None if wanted.header_value is None else secrets.seal(wanted.header_value),
        created_at=intent.created_at,
    )
    ours = {
        "webhook_url": base
        + CALLBACK_PREFIX
        + f"{webhook.region.value}/{secrets.token(webhook.region, webhook.id)}",
        "webhook_auth_header_name": HEADER_NAME,
        "webhook_auth_header_value": secrets.header_value(webhook.region, webhook.id),
    }
    return webhook, with_members(body, ours)

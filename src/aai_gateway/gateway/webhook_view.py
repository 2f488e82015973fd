"""A team's own webhook in AssemblyAI's answers, which show the gateway's callback in its place."""

from __future__ import annotations

import re

import orjson

from aai_gateway.core.matching import DELETED_URL
from aai_gateway.errors import StoreError
from aai_gateway.gateway.identifiers import NOTHING, Change, Replacements
from aai_gateway.store import Store, webhooks
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.webhooks import Webhook

_SHOWS_ONE = re.compile(rb'"webhook_url"\s*:\s*"')


async def own_webhook(store: Store, row: Transcript | None, head: bytes, *, whole: bool) -> Replacements:
    """What to replace in the answer about a transcript that begins with `head`.

    Nothing for a job whose webhook went to AssemblyAI untouched. A webhook that is another owner's by now, or
    that cannot be read, is shown as none.
    """
    if row is None or row.intent_id is None or (whole and not _SHOWS_ONE.search(head)):
        return NOTHING
    try:
        async with store.read() as connection:
            found = await webhooks.of_job(connection, row)
    except StoreError:
        return as_own(None)
    if found is None:
        return NOTHING
    webhook, status = found
    return as_own(webhook if webhook.owner == row.owner else None, status if row.deleted_at is None else None)


def as_own(webhook: Webhook | None, status: int | None = None) -> Replacements:
    """Show this webhook, or none; `status` is what its receiver has answered.

    What AssemblyAI says of a deleted transcript stays as it is.
    """
    url, name = (webhook.url, webhook.header_name) if webhook is not None else (None, None)
    return {
        b'"webhook_url"': _unless(orjson.dumps(DELETED_URL), url),
        b'"webhook_auth"': _unless(b"false", name is not None),
        b'"webhook_auth_header_name"': _unless(b"null", name),
        b'"webhook_status_code"': _unless(None, status if webhook is not None else None),
    }


def _unless(kept: bytes | None, value: object) -> Change:
    shown = orjson.dumps(value)
    return lambda given: given if given == kept else shown

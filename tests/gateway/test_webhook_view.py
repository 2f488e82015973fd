from __future__ import annotations

import json
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import pytest

from aai_gateway.core.matching import DELETED_URL
from aai_gateway.core.regions import Region
from aai_gateway.gateway.identifiers import IdentifierFilter, without_identifiers
from aai_gateway.gateway.webhook_view import as_own
from aai_gateway.store.webhooks import Webhook

OURS: dict[str, Any] = {
    "webhook_url": "https://gateway/webhooks/assemblyai/us/token",
    "webhook_auth": True,
    "webhook_auth_header_name": "X-AAI-Gateway-Webhook",
    "webhook_status_code": 503,
}
NONE = dict(zip(OURS, (None, False, None, None), strict=True))


def webhook(name: str | None) -> Webhook:
    now = datetime.now(timezone.utc)
    return Webhook("w", Region.US, "team:t", None, "i", 'https://own/"x"', name, "sealed", now)


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize(
    ("own", "status", "shown"),
    [
        (webhook("X-Secret"), 204, ('https://own/"x"', True, "X-Secret", 204)),
        (webhook(None), None, ('https://own/"x"', False, None, None)),
        (None, 204, tuple(NONE.values())),
    ],
)
def test_a_transcript_shows_the_teams_own(
    own: Webhook | None, status: int | None, shown: Any, indent: int | None
):
    body = {"id": "t", "text": 'a "webhook_url" : "x"', **OURS, "words": [], "token_id": 1, "last": None}
    expected = {**body, **dict(zip(OURS, shown, strict=True))}
    del expected["token_id"]
    sent = json.dumps(body, indent=indent).encode()
    assert expected == json.loads(without_identifiers(sent, as_own(own, status)))
    for size in (1, 2, 7, 64):
        streamed = IdentifierFilter(as_own(own, status))
        edges = [*range(0, len(sent), size), len(sent)]
        parts = [streamed.feed(sent[start:end]) for start, end in pairwise(edges)]
        assert expected == json.loads(b"".join(parts) + streamed.finish())


def test_a_deleted_transcript_shows_what_assemblyai_says():
    gone = {**NONE, "webhook_url": DELETED_URL}
    assert gone == json.loads(without_identifiers(json.dumps(gone).encode(), as_own(webhook("X-Secret"))))

"""`aai-gateway webhooks` on a real store."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.webhooks import Verdict, transcript_event
from aai_gateway.store import intents, teams, transcripts, webhook_deliveries, webhooks
from aai_gateway.store.intents import Intent
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.webhook_deliveries import Attempt
from aai_gateway.store.webhooks import Webhook

URL = "https://hooks.example.org/x"


@pytest.fixture
def given_up(run, on_store):
    """A delivery of team newsroom that was given up; its number."""
    run("teams", "create", "newsroom")
    run("teams", "create", "research")
    now = utc_now()

    async def work(connection):
        team = await teams.get(connection, "newsroom")
        owner = f"team:{team.id}"
        intent = Intent(Region.US, owner, "https://example.org/a")
        webhook = Webhook("w", Region.US, owner, None, intent.id, URL, "X-Secret", "sealed-value", now)
        job = Transcript("job", Region.US, owner, "https://example.org/a", intent_id=intent.id)
        await intents.open(connection, intent)
        await webhooks.add(connection, webhook)
        await transcripts.record(connection, job)
        await webhooks.note_event(connection, webhook, job, transcript_event("job", "completed"), now)
        lease = now + timedelta(minutes=1)
        [delivery] = await webhook_deliveries.claim_due(connection, {owner: 1}, now, lease)
        await webhook_deliveries.record_attempt(connection, delivery, Attempt(now, 404, None, 12), Verdict())
        return delivery.id

    return on_store(work)


def test_list_shows_how_each_attempt_went_and_never_the_header(run, given_up):
    [shown] = json.loads(run("webhooks", "list", "--json").stdout)
    assert (given_up, "job", "transcript", "given_up", URL) == tuple(
        shown[name] for name in ("id", "transcript_id", "event", "state", "url")
    )
    assert [(404, None, 12)] == [(one["status"], one["error"], one["ms"]) for one in shown["attempts"]]
    table = run("webhooks", "list", "--team", "newsroom", "--transcript", "job").stdout
    assert "given up" in table and "HTTP 404" in table and URL in table
    assert "sealed-value" not in table + json.dumps(shown)


def test_list_is_narrowed(run, given_up):
    assert [] == json.loads(run("webhooks", "list", "--team", "research", "--json").stdout)
    assert "Nothing was to be delivered" in run("webhooks", "list", "--transcript", "another").stderr
    assert "There is no team nobody" in run("webhooks", "list", "--team", "nobody", status=1).stderr


def test_resend_makes_it_due_again(run, given_up):
    assert f"Delivery {given_up} (transcript of job)" in run("webhooks", "resend", str(given_up)).stderr
    [shown] = json.loads(run("webhooks", "list", "--json").stdout)
    assert ("pending", 1) == (shown["state"], len(shown["attempts"]))
    for number in ("99", str(10**30)):
        assert f"There is no delivery {number}" in run("webhooks", "resend", number, status=1).stderr

"""`aai-gateway usage rerate`: booked costs beside what they would be; the ledger stays as it is."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta, timezone

import pytest
from random_usage import UNKNOWN, item

from aai_gateway.core.chat_prices import TokenUsage, price_chat
from aai_gateway.core.price_book import amount_text
from aai_gateway.core.regions import Region
from aai_gateway.core.speech_prices import SpeechJob, price_speech
from aai_gateway.core.tenancy import Team
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.price_book import load_price_book
from aai_gateway.store import price_books, teams, usage

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
CHANGE = NOW - timedelta(hours=1)
BOOK = load_price_book()


def items_of(cost):
    return tuple(
        item(one.name, one.quantity, one.unit, amount_text(one.unit_price), one.micros) for one in cost.items
    )


def speech(source_id, submitted, team_id="t1"):
    """A job of an hour that was priced by the packaged book."""
    cost = price_speech(BOOK, SpeechJob("universal-2", 3600, 1, ("speaker_labels",), False, submitted))
    return UsageRow(
        "speech",
        source_id,
        Region.US,
        f"team:{team_id}",
        cost.micros,
        items=items_of(cost),
        team_id=team_id,
        model="universal-2",
        audio_seconds=3600,
        created_at=NOW,
        priced_at=submitted,
    )


@pytest.fixture
def booked(on_store):
    """A job from before and one from after a price that was learned late, a completion, and oddities."""
    tokens = TokenUsage(prompt=1000, completion=100)
    chat = price_chat(BOOK, Region.EU, "claude-sonnet-4-6", tokens, global_region=False, at=NOW)
    completion = UsageRow(
        "chat",
        "c1",
        Region.EU,
        "master",
        chat.micros,
        items=items_of(chat),
        model="claude-sonnet-4-6",
        global_region=False,
        created_at=NOW,
    )
    unknown = UsageRow(
        "chat", "c2", Region.EU, "master", 0, items=(UNKNOWN,), model="claude", status="unknown"
    )
    failed = UsageRow(
        "speech", "bad", Region.US, "team:t1", 0, team_id="t1", model="universal-2", status="error"
    )
    unpriced = UsageRow(
        "speech", "odd", Region.US, "team:t1", 0, team_id="t1", model="x", priced_as="unpriced"
    )
    learned = {
        "speech": {"models": {"universal-2": [{"from": CHANGE.isoformat(), "usd": "0.30", "source": "c"}]}}
    }

    async def book(connection):
        await teams.create(connection, Team(id="t1", alias="research"))
        before = speech("before", CHANGE - timedelta(minutes=1))
        after = speech("after", CHANGE + timedelta(minutes=1))
        for row in (before, after, completion, unknown, failed, unpriced):
            await usage.record(connection, row)
        await price_books.add(connection, "load contract.yaml", learned, NOW)

    on_store(book)


def as_json(run, *options):
    return json.loads(run("usage", "rerate", "--json", *options).stdout)


def test_a_price_that_was_learned_late_shows_where_it_held(run, booked):
    found = as_json(run)

    assert [
        ("research", "speech", "universal-2", 3, 1, 340_000, 490_000, 150_000, "0.150000"),
        (None, "chat", "claude-sonnet-4-6", 1, 0, 4950, 4950, 0, "0.000000"),
    ] == [
        tuple(
            one[name]
            for name in (
                *("team", "service", "model", "jobs", "changed", "recorded_micros", "rerated_micros"),
                *("difference_micros", "difference_usd"),
            )
        )
        for one in found["rows"]
    ]
    assert (4, 1, 150_000) == tuple(found["total"][name] for name in ("jobs", "changed", "difference_micros"))
    assert 2 == found["skipped"]["jobs"]


def test_prices_of_another_moment_hold_for_every_row(run, booked):
    found = as_json(run, "--prices-at", NOW.isoformat(), "--team", "research")

    assert (2, 300_000) == (found["total"]["changed"], found["total"]["difference_micros"])
    assert 0 == as_json(run, "--prices-at", "2026-11-20T10:00:00Z", "--team", "research")["total"]["changed"]


def test_nothing_is_changed(run, booked, on_store):
    before = on_store(usage.list_rows)
    as_json(run, "--prices-at", NOW.isoformat())

    assert before == on_store(usage.list_rows)


def test_the_table_and_what_is_left_out(run, booked):
    result = run("usage", "rerate", "--until", "2030-01-01")

    assert [
        ["research", "speech", "universal-2", "3", "1", "$0.340000", "$0.490000", "$0.150000"],
        ["-", "chat", "claude-sonnet-4-6", "1", "0", "$0.004950", "$0.004950", "$0.000000"],
        ["Total", "4", "1", "$0.344950", "$0.494950", "$0.150000"],
    ] == [line.split() for line in result.stdout.splitlines()[2:]]
    assert "Left out, because they cannot be priced: 2 rows, $0.000000." in result.stderr
    assert "nothing to price" in run("usage", "rerate", "--since", "2030-01-01").stderr


def test_csv(run, booked):
    rows = list(csv.DictReader(io.StringIO(run("usage", "rerate", "--csv").stdout)))

    assert ["0.150000", "0.000000"] == [one["difference_usd"] for one in rows]
    run("usage", "rerate", "--csv", "--json", status=2)

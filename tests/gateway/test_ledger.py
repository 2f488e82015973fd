from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opened_gateway import KEY, TEAM, opened_gateway

from aai_gateway.core.attribution import Attribution
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.prices import TokenUsage
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator
from aai_gateway.errors import UpstreamFailed
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.ledger import FIRST_WAIT, LONGEST_WAIT, LOOKS_FOR_VANISHED, back_off
from aai_gateway.store import keys, teams, transcripts, usage
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageRow

HOUR = {"id": "job", "status": "completed", "speech_model_used": "universal-2", "audio_duration": 3600}


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened_gateway(emulator, tmp_path) as gateway:
        yield gateway


async def recorded(gateway: Gateway, **values: Any) -> Transcript:
    row = Transcript(
        id="job",
        region=Region.US,
        owner=f"team:{TEAM}",
        team_id=TEAM,
        key_hash=hash_key(KEY),
        audio_url="https://example.org/a.wav",
        next_check_at=utc_now(),
        **values,
    )
    async with gateway.store.write() as connection:
        await transcripts.record(connection, row)
    return row


async def rows(gateway: Gateway) -> list[UsageRow]:
    async with gateway.store.read() as connection:
        return await usage.list_rows(connection)


async def spent(gateway: Gateway) -> tuple[int, int]:
    """Micro-dollars that the key and the team have spent."""
    async with gateway.store.read() as connection:
        key = await keys.by_hash(connection, hash_key(KEY))
        team = await teams.get(connection, TEAM)
    assert key is not None and team is not None
    return key.budget.spent_micros, team.budget.spent_micros


async def test_an_hour_with_an_add_on_is_booked_and_charged_once(gateway: Gateway):
    row = await recorded(gateway, requested={"speaker_labels": True})
    for _ in range(2):
        assert await gateway.ledger.settle_body(row, json.dumps(HOUR).encode()) is not None
    [booked] = await rows(gateway)
    assert [("universal-2", 3600, 150_000), ("speaker_labels", 3600, 20_000)] == [
        (item["name"], item["quantity"], item["micros"]) for item in booked.items
    ]
    assert (170_000, "completed", None) == (booked.micros, booked.status, booked.priced_as)
    assert (170_000, 170_000) == await spent(gateway)


async def test_a_failed_job_costs_nothing_and_is_done(gateway: Gateway):
    row = await recorded(gateway, requested={"speaker_labels": True})
    failed = {"id": "job", "status": "error", "error": "Download error", "audio_duration": 3600}
    assert await gateway.ledger.settle_body(row, json.dumps(failed).encode()) is not None
    [booked] = await rows(gateway)
    assert (0, (), "error") == (booked.micros, tuple(booked.items), booked.status)
    async with gateway.store.read() as connection:
        stored = await transcripts.get(connection, Region.US, "job")
    assert stored is not None and stored.settled_at is not None
    assert ("error", "Download error", None) == (stored.status, stored.error, stored.next_check_at)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"completed"',
        b'{"status":"completed"}',
        b'{"id":"other","status":"completed"}',
        b'{"id":"job","status":"processing"}',
        b'{"id":"job"}',
    ],
)
async def test_what_is_not_the_end_of_this_job_books_nothing(gateway: Gateway, body: bytes):
    row = await recorded(gateway)
    assert await gateway.ledger.settle_body(row, body) is None
    assert [] == await rows(gateway)


@pytest.mark.parametrize("duration", [None, "1", -1, True])
async def test_a_completed_job_without_a_length_is_booked_at_nothing_and_marked(
    gateway: Gateway, duration: Any
):
    row = await recorded(gateway)
    body = json.dumps({**HOUR, "audio_duration": duration}).encode()
    assert 0 == await gateway.ledger.settle_body(row, body)
    [booked] = await rows(gateway)
    assert (0, "unpriced") == (booked.micros, booked.priced_as)


async def test_an_unknown_model_is_priced_and_marked(gateway: Gateway):
    row = await recorded(gateway)
    assert await gateway.ledger.settle_body(
        row, json.dumps({**HOUR, "speech_model_used": "universal-9"}).encode()
    )
    [booked] = await rows(gateway)
    assert ("universal-9", "fallback") == (booked.model, booked.priced_as)
    assert 0 < booked.micros


async def test_a_key_that_is_gone_leaves_the_charge_to_its_team(gateway: Gateway):
    row = await recorded(gateway)
    async with gateway.store.write() as connection:
        await keys.delete(connection, hash_key(KEY))
    assert await gateway.ledger.settle_body(row, json.dumps(HOUR).encode()) is not None
    async with gateway.store.read() as connection:
        team = await teams.get(connection, TEAM)
    assert team is not None and 150_000 == team.budget.spent_micros


async def test_a_job_that_assemblyai_does_not_know_is_on_record_at_nothing(gateway: Gateway):
    row = await recorded(gateway, attempts=LOOKS_FOR_VANISHED)
    assert await gateway.ledger.settle_now(row)
    [booked] = await rows(gateway)
    assert (0, "unknown", "unknown_outcome") == (booked.micros, booked.status, booked.items[0]["name"])
    # Should it turn up after all, then it is booked over this.
    assert await gateway.ledger.settle_body(row, json.dumps(HOUR).encode()) is not None
    [booked] = await rows(gateway)
    assert (150_000, "completed") == (booked.micros, booked.status)


async def test_a_job_that_assemblyai_does_not_know_yet_is_asked_for_again(gateway: Gateway):
    assert not await gateway.ledger.settle_now(await recorded(gateway))
    assert [] == await rows(gateway)


async def test_a_job_that_cannot_be_asked_for_stays_open(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path, assemblyai_api_key="wrong") as gateway:
        with pytest.raises(UpstreamFailed):
            await gateway.ledger.settle_now(await recorded(gateway))
        assert [] == await rows(gateway)


async def test_a_completion_is_booked_by_its_call_id(gateway: Gateway):
    caller = await gateway.identity.caller_of_key(KEY)
    for _ in range(2):
        cost = await gateway.ledger.book_chat(
            caller,
            Region.EU,
            completion_id="call-1",
            model="claude-sonnet-4-6",
            tokens=TokenUsage(prompt=1000, completion=100),
            global_region=False,
            attribution=Attribution(("a",)),
        )
    [booked] = await rows(gateway)
    assert (cost.micros, "call-1", Region.EU) == (booked.micros, booked.source_id, booked.region)
    assert (cost.micros, cost.micros) == await spent(gateway)
    assert 0 < cost.micros


def test_waits_grow_from_the_first_to_the_longest():
    waits = [back_off(attempts, 2) for attempts in range(100)]
    assert [FIRST_WAIT, FIRST_WAIT * 2, FIRST_WAIT * 4] == waits[:3]
    assert sorted(waits) == waits
    assert LONGEST_WAIT == waits[-1]

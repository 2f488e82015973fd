"""The audit log on a real store: in the transaction of what it tells of, unbroken, and hard to change."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from aai_gateway.core.auditing import GENESIS, Actor, Broken, Head
from aai_gateway.core.budgets import Budget, utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Secret, Team, VirtualKey, hash_key, mask_key
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, audit_log, gateway_budget, keys, price_books, teams, transcripts
from aai_gateway.store.audit_log import AuditFilter, acting, list_entries, verify

WORKER = Path(__file__).parent / "audit_worker.py"
SECRET = "sk-AbCdEfGhIjKlMnOpQrStUvWx"
KEY = VirtualKey(hash=hash_key(SECRET), masked=mask_key(SECRET), alias="desk", team_id="t1")
EVE = Actor("cli:eve", "laptop pts/3")


async def entries(store, **asked):
    async with store.read() as connection:
        return await list_entries(connection, AuditFilter(**asked), limit=1000, after=0)


async def verified(store, expected=None):
    async with store.read() as connection:
        return await verify(connection, expected)


async def note(store, *numbers, action="test.note", team_id=None):
    async with store.write() as connection:
        for number in numbers:
            details = {"number": number}
            audit_log.record(connection, action, f"thing:{number}", details, team_id=team_id)


@pytest.fixture
def tampered(store, store_url):
    """A SQLite connection behind the store's back, its triggers taken away."""
    if not store_url.startswith("sqlite"):
        pytest.skip("SQLite's file is what can be opened behind its back.")
    connection = sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)
    for event in ("update", "delete", "insert"):
        connection.execute(f"DROP TRIGGER audit_log_no_{event}")
    yield connection
    connection.close()


async def test_what_is_done_to_teams_and_keys_is_told_with_who_and_from_where(store):
    with acting(EVE):
        async with store.write() as connection:
            await teams.create(connection, Team("t1", "newsroom"))
            await keys.create(connection, KEY)
            await keys.update(connection, KEY.hash, blocked=True, metadata={"note": "hunter2"})
            await teams.update(connection, "t1", regions=(Region.EU,), budget=Budget(5_000_000, "30d"))
            await teams.delete(connection, "t1")
    found = await entries(store)
    assert ["team.create", "key.create", "key.update", "team.update", "team.delete"] == [
        entry.action for entry in found
    ]
    assert {("cli:eve", "laptop pts/3", "t1")} == {(e.actor, e.source, e.team_id) for e in found}
    made, new_key, blocked, narrowed, gone = found
    assert "team:t1" == made.target == gone.target
    assert "newsroom" == made.details["after"]["alias"] == gone.details["before"]["alias"]
    assert f"key:{KEY.hash}" == new_key.target
    assert {"before": {"blocked": False}, "after": {"blocked": True}, "metadata": ["note"]} == blocked.details
    assert {"before": {"regions": ["us", "eu"], "max_micros": None, "budget_duration": None}} | {
        "after": {"regions": ["eu"], "max_micros": 5_000_000, "budget_duration": "30d"}
    } == narrowed.details
    assert [{"hash": KEY.hash, "alias": "desk"}] == gone.details["keys"]
    assert Head(5, gone.hash) == await verified(store)
    assert "sk-" not in str(found)


async def test_a_rotation_is_told_and_the_secrets_are_not(store):
    new, until = Secret(hash_key("sk-rotated"), mask_key("sk-rotated"), utc_now()), utc_now()
    async with store.write() as connection:
        await teams.create(connection, Team(id="t1", alias="newsroom"))
        await keys.create(connection, KEY)
    with acting(EVE):
        async with store.write() as connection:
            await keys.rotate(connection, KEY.hash, new, until)
    entry = (await entries(store, action="key.rotate"))[0]
    assert (EVE.who, f"key:{KEY.hash}", "t1") == (entry.actor, entry.target, entry.team_id)
    assert "ated" == entry.details["after"]["ends_in"]
    assert {"ends_in", "old_secrets_until"} == set(entry.details["after"])


async def test_what_changes_nothing_leaves_no_entry(store):
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "newsroom", blocked=True))
        await teams.update(connection, "t1", blocked=True)
        await keys.delete(connection, "no such key")
        await teams.delete(connection, "no such team")
        await gateway_budget.set_limits(connection, Budget(), utc_now())
    assert ["team.create"] == [entry.action for entry in await entries(store)]


async def test_keys_transcripts_prices_and_the_gateways_budget_are_told_too(store):
    row = transcripts.Transcript("j1", Region.EU, "team:t1", "https://example.com/a.mp3", team_id="t1")
    async with store.write() as connection:
        await keys.create(connection, replace(KEY, team_id=None))
        await keys.delete(connection, KEY.hash)
        await transcripts.record(connection, row)
        await transcripts.mark_deleted(connection, Region.EU, "j1", utc_now())
        await transcripts.mark_deleted(connection, Region.EU, "j1", utc_now())
        await transcripts.mark_deleted(connection, Region.US, "unknown", utc_now())
        await gateway_budget.set_limits(connection, Budget(9_000_000), utc_now())
        body = {"speech": {"best": [{"from": "2026-01-01", "usd": 0.21}]}}
        number = await price_books.add(connection, "load contract.yaml", body, utc_now())
    found = {(entry.action, entry.target): entry for entry in await entries(store)}
    assert [
        ("key.create", f"key:{KEY.hash}"),
        ("key.delete", f"key:{KEY.hash}"),
        ("transcript.delete", "transcript:eu/j1"),
        ("transcript.delete", "transcript:us/unknown"),
        ("budget.update", "gateway"),
        ("prices.load", f"price_book:{number}"),
    ] == list(found)
    deleted = found["transcript.delete", "transcript:eu/j1"]
    assert ("t1", {"owner": "team:t1"}) == (deleted.team_id, deleted.details)
    assert {"before": {"max_micros": None}, "after": {"max_micros": 9_000_000}} == found[
        "budget.update", "gateway"
    ].details
    loaded = found["prices.load", f"price_book:{number}"].details
    assert {"speech": {"best": [{"from": "2026-01-01", "usd": "0.21"}]}} == loaded["body"]
    assert {"gateway"} == {entry.actor for entry in found.values()}
    assert isinstance(await verified(store), Head)


async def test_what_is_undone_leaves_no_entry(store):
    async def fail():
        async with store.write() as connection:
            await teams.create(connection, Team("t1", "newsroom"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert ([], GENESIS) == (await entries(store), await verified(store))
    await note(store, 1)
    assert 1 == len(await entries(store))


async def test_nothing_can_be_recorded_outside_of_a_transaction(store):
    async with store.write():
        pass
    async with store.read() as connection:
        with pytest.raises(StoreError, match=r"must happen in Store\.write"):
            audit_log.record(connection, "test.note", "thing:1", {})


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'nobody' WHERE seq = 2",
        "UPDATE audit_log SET seq = 9 WHERE seq = 3",
        "DELETE FROM audit_log WHERE seq = 3",
        "DELETE FROM audit_log",
        "INSERT INTO audit_log SELECT seq + 1, at, actor, action, target, team_id, source, details,"
        " previous_hash, hash FROM audit_log WHERE seq = 3",
    ],
)
async def test_the_database_refuses_to_change_entries(store, statement):
    await note(store, 1, 2, 3)
    before = await entries(store)
    with pytest.raises(StoreError, match=r"append-only|unique"):
        async with store.write() as connection:
            await connection.execute(sa.text(statement))
    assert before == await entries(store)


@pytest.mark.parametrize("number", [1, 3, 9])
async def test_sqlite_refuses_to_replace_entries(store, store_url, number):
    await note(store, 1, 2, 3)
    columns = "at, actor, action, target, team_id, source, details, previous_hash"
    other = (
        f"INSERT OR REPLACE INTO audit_log SELECT {number}, {columns}, 'other' FROM audit_log WHERE seq = 2"
    )
    same_hash = f"INSERT OR REPLACE INTO audit_log SELECT 4, {columns}, hash FROM audit_log WHERE seq = 2"
    if not store_url.startswith("sqlite"):
        same_hash = other = "TRUNCATE audit_log"
    for statement in (other, same_hash):
        with pytest.raises(StoreError, match="append-only"):
            async with store.write() as connection:
                await connection.execute(sa.text(statement))
    assert 3 == len(await entries(store))


@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        (["UPDATE audit_log SET actor = 'nobody' WHERE seq = 3"], (3, "Entry 3 was changed")),
        (["UPDATE audit_log SET details = '{\"number\": 9}' WHERE seq = 3"], (3, "Entry 3 was changed")),
        (["UPDATE audit_log SET details = '{' WHERE seq = 3"], (3, "it cannot be read")),
        (["UPDATE audit_log SET at = 'noon' WHERE seq = 4"], (4, "it cannot be read")),
        (["UPDATE audit_log SET at = 12 WHERE seq = 4"], (4, "it cannot be read")),
        (["UPDATE audit_log SET actor = x'00ff' WHERE seq = 4"], (4, "Entry 4 was changed")),
        (["DELETE FROM audit_log WHERE seq = 3"], (3, "Entry 3 is missing: entry 4 comes next")),
        (["DELETE FROM audit_log WHERE seq = 1"], (1, "Entry 1 is missing")),
        (
            [
                "DELETE FROM audit_log WHERE seq = 3",
                "UPDATE audit_log SET seq = seq - 1 WHERE seq > 3",
            ],
            (3, "not chained to the one before it"),
        ),
        (
            [
                "UPDATE audit_log SET seq = 99 WHERE seq = 2",
                "UPDATE audit_log SET seq = 2 WHERE seq = 3",
                "UPDATE audit_log SET seq = 3 WHERE seq = 99",
            ],
            (2, "not chained to the one before it"),
        ),
        (["UPDATE audit_log SET seq = 0 WHERE seq = 1"], (0, "entry 0 comes next")),
    ],
)
async def test_verify_names_the_first_broken_entry(store, tampered, statements, broken):
    await note(store, 1, 2, 3, 4, 5)
    assert 5 == (await verified(store)).seq
    for statement in statements:
        tampered.execute(statement)
    found = await verified(store)
    assert isinstance(found, Broken)
    assert broken[0] == found.seq
    assert broken[1] in found.why


async def test_a_cut_off_end_is_seen_by_who_kept_an_earlier_head(store, tampered):
    await note(store, 1, 2, 3, 4, 5)
    kept = await verified(store)
    tampered.execute("DELETE FROM audit_log WHERE seq > 3")
    assert 3 == (await verified(store)).seq
    assert Broken(4, "The log ends at entry 3, but entry 5 was there: it was cut off.") == await verified(
        store, kept
    )
    await note(store, "other", "another", "one more")
    found = await verified(store, kept)
    assert Broken(5, "Entry 5 is another than expected: the log was rewritten.") == found


async def test_a_long_log_is_verified_in_pages_wherever_it_is_broken(store, tampered, monkeypatch):
    monkeypatch.setattr(audit_log, "PAGE", 3)
    await note(store, *range(10))
    kept = Head(4, (await entries(store))[3].hash)
    assert 10 == (await verified(store, kept)).seq
    async with store.read() as connection:
        newest = [e.seq async for page in audit_log.pages(connection, limit=7) for e in page]
        oldest = [e.seq async for page in audit_log.pages(connection, oldest_first=True) for e in page]
    assert ([10, 9, 8, 7, 6, 5, 4], list(range(1, 11))) == (newest, oldest)
    tampered.execute("UPDATE audit_log SET details = 'no JSON' WHERE seq = 8")
    assert 8 == (await verified(store)).seq


async def test_entries_are_found_by_what_they_tell(store):
    with acting(Actor("key:abc (desk)", "10.0.0.1")):
        await note(store, 1, team_id="t1")
    with acting(Actor("key:abcd", "10.0.0.1")):
        await note(store, 2, action="key.create")
    await note(store, 3, action="key.delete", team_id="t1")

    async def numbers(**asked):
        return [entry.seq for entry in await entries(store, **asked)]

    assert [1, 3] == await numbers(team_id="t1")
    assert [1] == await numbers(actor="key:abc")
    assert [1] == await numbers(actor="key:abc (desk)")
    assert [1, 2] == await numbers(actor="key:*")
    assert [2, 3] == await numbers(action="key.*")
    assert [3] == await numbers(action="key.delete")
    assert [] == await numbers(action="key_*")
    assert [2] == await numbers(target="thing:2")
    assert [] == await numbers(since=utc_now() + timedelta(days=1))
    assert [1, 2, 3] == await numbers(since=datetime(2020, 1, 1, tzinfo=timezone.utc))
    assert [] == await numbers(until=datetime(2020, 1, 1, tzinfo=timezone.utc))


async def test_many_processes_keep_one_unbroken_chain(store, store_url):
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), store_url, f"w{number}", "12", stderr=asyncio.subprocess.PIPE
        )
        for number in range(3)
    ]
    await asyncio.gather(*(note(store, number) for number in range(12)))
    errors = [(await worker.communicate())[1].decode() for worker in workers]
    assert [""] * 3 == errors
    found = await entries(store)
    # A worker makes a team and a key and deletes both, twelve times; this process notes twelve things.
    assert 3 * 12 * 3 + 12 == len(found)
    assert Head(len(found), found[-1].hash) == await verified(store)
    assert 1 + 3 == len({entry.actor for entry in found})


async def test_a_transaction_holds_up_the_chain_only_at_its_end(store, store_url):
    if store_url.startswith("sqlite"):
        pytest.skip("SQLite's writers take turns anyway.")
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "one"))
        await teams.create(connection, Team("t2", "two"))

    async def crosswise():
        async with store.write() as first:
            await teams.update(first, "t1", blocked=True)
            async with store.write() as second:
                await teams.update(second, "t2", blocked=True)
            await teams.update(first, "t2", alias="second")

    await asyncio.wait_for(crosswise(), timeout=60)
    assert ["team:t2", "team:t1", "team:t2"] == [entry.target for entry in (await entries(store))[2:]]
    assert 5 == (await verified(store)).seq


async def test_each_entry_goes_on_from_where_the_one_before_it_left(store):
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "team-0"))

    async def rename(number):
        async with store.write() as connection:
            await teams.update(connection, "t1", alias=f"team-{number}")

    await asyncio.gather(*(rename(number) for number in range(1, 21)))
    alias = "team-0"
    for entry in await entries(store, action="team.update"):
        assert alias == entry.details["before"]["alias"]
        alias = entry.details["after"]["alias"]
    assert 21 == (await verified(store)).seq


async def test_details_come_back_as_they_were_hashed(store):
    details = {"text": "Zoë 🎧 \u2028 \\ \" '", "large": 2**63 - 1, "list": [1, None, True, {}], "none": None}
    async with store.write() as connection:
        audit_log.record(connection, "test.note", "thing:é", details)
    [entry] = await entries(store)
    assert json.loads(json.dumps(details)) == entry.details
    assert Head(1, entry.hash) == await verified(store)


async def test_a_store_can_be_reopened_and_its_chain_goes_on(store_url):
    for number in (1, 2):
        store = await Store.open(store_url)
        await note(store, number)
        assert number == (await verified(store)).seq
        await store.close()

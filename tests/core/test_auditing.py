"""The audit log's chain, without a store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from aai_gateway.core.auditing import (
    GENESIS,
    LONGEST_TEXT,
    Actor,
    Broken,
    Head,
    actor_of,
    chained,
    entry_json,
    event,
    follow,
    parse_head,
    plain,
    require_reached,
)
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import MASTER, Caller, Team, VirtualKey
from aai_gateway.errors import ConfigurationError

NOON = datetime(2026, 11, 1, 13, 30, tzinfo=timezone(timedelta(hours=4)))


def an_event(number=0, actor="master", details=None):
    given = details if details is not None else {"after": {"alias": f"desk-{number}"}}
    return event(
        Actor(actor, "10.0.0.1"), "key.create", f"key:{number}", at=NOON, team_id="t1", details=given
    )


def a_log(length=5):
    entries, head = [], GENESIS
    for number in range(length):
        entries.append(chained(head, an_event(number)))
        head = Head(entries[-1].seq, entries[-1].hash)
    return entries, head


def test_the_bytes_that_are_hashed_are_those_that_the_documents_say():
    entry = chained(GENESIS, an_event(details={"after": {"name": "Zoë", "blocked": False}, "n": 3}))
    body = (
        r'{"action":"key.create","actor":"master","at":"2026-11-01T09:30:00.000000Z",'
        r'"details":{"after":{"blocked":false,"name":"Zo\u00eb"},"n":3},"seq":1,"source":"10.0.0.1",'
        r'"target":"key:0","team_id":"t1"}'
    )
    assert hashlib.sha256(b"0" * 64 + b"\n" + body.encode("ascii")).hexdigest() == entry.hash
    assert "0" * 64 == entry.previous_hash
    assert {"seq", "at", "actor", "action", "target", "team_id", "source", "details"} | {
        "previous_hash",
        "hash",
    } == entry_json(entry).keys()


def test_a_chain_is_followed_in_pieces_to_its_end():
    entries, head = a_log()
    middle = follow(GENESIS, entries[:2])
    assert isinstance(middle, Head)
    assert head == follow(middle, entries[2:])
    assert GENESIS == follow(GENESIS, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": "cli:eve"},
        {"action": "key.update"},
        {"target": "key:9"},
        {"team_id": None},
        {"source": None},
        {"details": {}},
        {"details": {"after": {"alias": float("nan")}}},
        {"at": NOON + timedelta(microseconds=1)},
        {"hash": "f" * 64},
    ],
    ids=str,
)
def test_no_field_can_be_changed(changes):
    entries, _ = a_log()
    entries[2] = replace(entries[2], **changes)
    assert Broken(3, "Entry 3 was changed: its hash is not that of its fields.") == follow(GENESIS, entries)


def test_a_missing_entry_is_named():
    entries, _ = a_log()
    del entries[2]
    assert Broken(3, "Entry 3 is missing: entry 4 comes next.") == follow(GENESIS, entries)
    assert Broken(1, "Entry 1 is missing: entry 2 comes next.") == follow(GENESIS, entries[1:])


def test_entries_that_changed_places_are_named():
    entries, _ = a_log()
    second, third = entries[1], entries[2]
    entries[1], entries[2] = replace(third, seq=2), replace(second, seq=3)
    found = follow(GENESIS, entries)
    assert isinstance(found, Broken)
    assert (2, True) == (found.seq, "not chained to the one before it" in found.why)


def test_a_log_that_was_written_anew_is_not_the_expected_one():
    _, head = a_log()
    anew, end = [], GENESIS
    for number in range(6):
        anew.append(chained(end, an_event(number, actor="cli:eve")))
        end = Head(anew[-1].seq, anew[-1].hash)
    assert end == follow(GENESIS, anew)
    found = follow(GENESIS, anew, head)
    assert Broken(5, "Entry 5 is another than expected: the log was rewritten.") == found


def test_a_log_whose_end_was_cut_off_is_unbroken_but_ends_too_early():
    entries, head = a_log()
    end = follow(GENESIS, entries[:3], head)
    assert isinstance(end, Head)
    assert Broken(4, "The log ends at entry 3, but entry 5 was there: it was cut off.") == require_reached(
        end, head
    )
    assert head == require_reached(head, end)


def test_a_head_is_read_as_it_is_printed():
    _, head = a_log()
    assert head == parse_head(f" {head}\n")
    for text in ("", "5", "5:abc", f"-1:{'0' * 64}", f"5:{'G' * 64}"):
        with pytest.raises(ConfigurationError, match="number and hash"):
            parse_head(text)


def test_who_acts_is_the_master_or_a_key_by_its_name():
    key = VirtualKey(hash="ab" * 32, masked="sk-...Ab3d")
    team = Team("t1", "newsroom")
    assert "master" == actor_of(MASTER, "::1").who
    assert f"key:{'ab' * 32}" == actor_of(Caller(key, team), None).who
    assert f"key:{'ab' * 32} (desk)" == actor_of(Caller(replace(key, alias="desk"), team), None).who


def test_nothing_that_looks_like_a_virtual_key_gets_in():
    secret = "sk-AbCdEfGhIjKlMnOpQrStUvWx"
    made = event(
        Actor(f"key:1 ({secret})", f"{secret}, 10.0.0.1"),
        "key.create",
        f"key:{secret}",
        at=NOON,
        team_id=None,
        details={"after": {"alias": f"my {secret}", "models": [secret], secret: 1}},
    )
    assert secret not in str(chained(GENESIS, made))
    assert "my [key]" == made.details["after"]["alias"]
    assert "risk-assessment-team-one" == plain("risk-assessment-team-one")


def test_what_a_client_sends_is_bounded_and_printable():
    forwarded = "1.2.3.4\x00\r\n\ud800" + "x" * 5000
    made = event(
        Actor("master", forwarded), "key.create", "key:1", at=NOON, team_id=None, details={"a": "\x00\ud800"}
    )
    assert made.source is not None
    assert (LONGEST_TEXT, True) == (len(made.source), made.source.isprintable())
    assert {"a": "\ufffd?"} == made.details
    assert 64 == len(chained(GENESIS, made).hash)


def test_values_are_written_in_one_way_only():
    given = {
        "float": 0.1,
        "decimal": Decimal("0.10"),
        "region": Region.EU,
        "when": NOON,
        "large": 2**70,
        "list": (1, None, True),
        "object": {"a": 1},
    }
    assert {
        "float": "0.1",
        "decimal": "0.10",
        "region": "eu",
        "when": "2026-11-01T09:30:00.000000Z",
        "large": str(2**70),
        "list": [1, None, True],
        "object": {"a": 1},
    } == plain(given)
